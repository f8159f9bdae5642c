"""What readers learn about strategies as experiments: who is in them, and what they bring."""

from segmentation_pipeline.contracts.contract import (
    AS_OF,
    MODEL,
    PROVENANCE,
    RUN_ID,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

_STRATEGY = required("strategy", "VARCHAR", "Name of the strategy.")


def _part(name: str, description: str) -> ContractColumn:
    return ContractColumn(name, "BIGINT", f"{description}; none if withheld.", "customers")


EXPERIMENT_CONTRACTS = (
    Contract(
        "strategy_audience",
        "How many customers a strategy could reach, and what keeps it from the others, night by "
        "night. Each customer whose segment the strategy applies to is in one of the counts that "
        "add up to `eligible_count`. Counts of fewer than the privacy floor are withheld, and as "
        "many others as keep them unknown; who may read strategy_assignments can count many.",
        "one row per business date and strategy that is run as an experiment",
        ("as_of", "segmentation", "strategy"),
        (
            AS_OF,
            RUN_ID,
            SEGMENTATION,
            _STRATEGY,
            required(
                "eligible_count",
                "BIGINT",
                "Customers in a segment to which it applies.",
                "customers",
            ),
            _part("treated_count", "Of them, drawn to get it, that night or before"),
            _part("hold_out_count", "Held out of this strategy"),
            _part("global_hold_out_count", "Held out of all strategies"),
            _part("without_permission_count", "Not drawn: they may not be contacted"),
            _part("capped_count", "Not drawn: they were contacted as often as is allowed"),
            _part("busy_count", "Not drawn: they are in the experiment of another strategy"),
            _part("waiting_count", "Not drawn, as the date was run again after later ones"),
            _part("listed_count", "Customers on the night's list"),
            required("is_suppressed", "BOOLEAN", "Whether counts of the row are withheld."),
            MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "strategy_assignments",
        "Who is in which strategy's experiment, in which arm, from when to when. A row is written "
        "on the first night on which the strategy is the customer's, and stays: whoever leaves the "
        "segment stays in the arm.",
        "one row per customer and strategy",
        ("segmentation", "strategy", "customer_id"),
        (
            SEGMENTATION,
            _STRATEGY,
            required("customer_id", "VARCHAR", "Customer, as the CRM names them."),
            required("segment_id", "VARCHAR", "The customer's segment on `assigned_date`."),
            required(
                "is_typed",
                "BOOLEAN",
                "Whether that segment was learned from others' answers; such rows count in no "
                "effect.",
            ),
            required(
                "arm",
                "VARCHAR",
                "treated; hold_out: kept from this strategy; global_hold_out: from all.",
            ),
            required("assigned_date", "DATE", "Business date of the draw."),
            required(
                "end_date",
                "DATE",
                "Last date that counts for the effect; another strategy may come after it.",
            ),
            ContractColumn(
                "sent_count",
                "BIGINT",
                "Messages of the strategy sent to the customer in that time; none if no source "
                "tells.",
                "messages",
            ),
            ContractColumn("delivered_count", "BIGINT", "Messages delivered.", "messages"),
            ContractColumn("bounced_count", "BIGINT", "Messages that came back.", "messages"),
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
    Contract(
        "strategy_effects",
        "What strategies bring: customers drawn to get one against those held out, whoever was "
        "reached (intention to treat). The outcome is read once, on `end_date`; before it there "
        "are counts, and a p where the experiment asks for nightly looks.",
        "one row per strategy that is run as an experiment and segment, or `all` of them",
        ("segmentation", "strategy", "segment_id"),
        (
            SEGMENTATION,
            _STRATEGY,
            required("segment_id", "VARCHAR", "Segment on the night of the draw; or `all`."),
            required("goal_kpi", "VARCHAR", "The KPI that is compared, named before it began."),
            ContractColumn("unit", "VARCHAR", "Unit of the KPI."),
            ContractColumn("started_date", "DATE", "Night of the first draw; none before."),
            ContractColumn("end_date", "DATE", "Business date on which the effect is read."),
            _part("treated_count", "Customers drawn to get it, of those who count for the effect"),
            _part("hold_out_count", "Customers held out of it"),
            _part("global_hold_out_count", "Customers held out of everything; not compared"),
            ContractColumn(
                "sent_share", "DOUBLE", "Share of the treated who were sent it; none if unknown."
            ),
            ContractColumn(
                "hold_out_sent_share",
                "DOUBLE",
                "Share of those held out who were sent it all the same.",
            ),
            ContractColumn(
                "sample_ratio_p",
                "DOUBLE",
                "p of so uneven arms; below 0.001 the experiment is invalid.",
            ),
            required(
                "comparisons", "INTEGER", "Comparisons that the home declares.", "comparisons"
            ),
            ContractColumn(
                "smallest_detectable",
                "DOUBLE",
                "Effect that is found in 80 of 100 such experiments, in `unit`; before the end as "
                "foreseen from the time before the draw.",
            ),
            ContractColumn("method", "VARCHAR", "Test, by the kind of the KPI."),
            ContractColumn(
                "has_history", "BOOLEAN", "Whether it is adjusted by the time before the draw."
            ),
            ContractColumn("treated_mean", "DOUBLE", "KPI of the treated, in `unit`."),
            ContractColumn("hold_out_mean", "DOUBLE", "KPI of those held out, in `unit`."),
            ContractColumn("effect", "DOUBLE", "Their difference, in `unit`."),
            ContractColumn("relative_effect", "DOUBLE", "`effect` / `hold_out_mean`."),
            ContractColumn(
                "lower", "DOUBLE", "Lower bound of its 95 % interval, of this comparison alone."
            ),
            ContractColumn("upper", "DOUBLE", "Upper bound of its 95 % interval."),
            ContractColumn(
                "winsorised_effect",
                "DOUBLE",
                "Of heavy KPIs, with the highest and lowest percent drawn in; no test.",
            ),
            ContractColumn("p_value", "DOUBLE", "p of this comparison alone."),
            ContractColumn(
                "corrected_p", "DOUBLE", "p to judge by: corrected for all comparisons (Holm)."
            ),
            required("is_final", "BOOLEAN", "Whether the outcome has been read."),
            required("verdict", "VARCHAR", "What may be said, in words."),
            required("is_suppressed", "BOOLEAN", "Whether counts of the row are withheld."),
            *PROVENANCE,
        ),
    ),
)
