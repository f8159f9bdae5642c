"""What readers learn about how segments do, night by night."""

from segmentation_pipeline.contracts.contract import (
    CUSTOMERS,
    IS_SUPPRESSED,
    PROVENANCE,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

KPI_CONTRACTS = (
    Contract(
        "segment_kpis",
        "The KPIs of each segment and of everybody, for every business date that was run, of who "
        "was in the segment on that date. Events that arrive late correct the dates that they "
        "belong to. Figures of fewer customers than the privacy floor are withheld, and as many "
        "others as keep them from being computed from everybody's.",
        "one row per segment, or everybody, KPI and business date",
        ("segmentation", "segment_id", "kpi", "kpi_date"),
        (
            SEGMENTATION,
            required(
                "segment_id",
                "VARCHAR",
                "Segment, such as engagement-1; `everybody` for all of them.",
            ),
            required("kpi", "VARCHAR", "Name of the KPI in customers.yaml."),
            required("kpi_date", "DATE", "Business date that the figures are for."),
            required(
                "kind",
                "VARCHAR",
                "binary: a share of customers; mean; heavy: a mean that few customers make most "
                "of; ratio: one total divided by another.",
            ),
            required("description", "VARCHAR", "What the KPI tells."),
            ContractColumn("unit", "VARCHAR", "Unit of `value`."),
            required("is_higher_better", "BOOLEAN", "Whether a rise is good news."),
            required(
                "window_days",
                "INTEGER",
                "It looks at so many days up to `kpi_date`, and compares them with as many before.",
                "days",
            ),
            CUSTOMERS,
            ContractColumn(
                "measured_customers",
                "BIGINT",
                "Those with a value; of a ratio, with anything to divide or to divide by; none if "
                "withheld.",
                "customers",
            ),
            ContractColumn(
                "numerator",
                "DOUBLE",
                "Sum over the customers; of a share, how many of them; none if withheld.",
            ),
            ContractColumn(
                "denominator",
                "DOUBLE",
                "What it is divided by: a total if the KPI is a ratio, else `measured_customers`; "
                "none if withheld.",
            ),
            ContractColumn(
                "value",
                "DOUBLE",
                "`numerator` / `denominator`; none if withheld or if the latter is 0.",
            ),
            ContractColumn(
                "lower",
                "DOUBLE",
                "Lower bound of its 95 % interval; none of fewer than two customers.",
            ),
            ContractColumn("upper", "DOUBLE", "Upper bound of its 95 % interval."),
            ContractColumn(
                "method",
                "VARCHAR",
                "How the interval is found: wilson, t, skewness_adjusted_t or delta.",
            ),
            ContractColumn(
                "previous_value",
                "DOUBLE",
                "The KPI in the window just before, of the same customers; of customers' columns, "
                "the row of `window_days` before; none where what was loaded doesn't reach back.",
            ),
            ContractColumn("change", "DOUBLE", "`value` - `previous_value`, in the same unit."),
            ContractColumn("change_lower", "DOUBLE", "Lower bound of the change's 95 % interval."),
            ContractColumn("change_upper", "DOUBLE", "Upper bound of the change's 95 % interval."),
            IS_SUPPRESSED,
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
)
