"""What readers learn about what to do with segments, and on whom that falls."""

from segmentation_pipeline.contracts.contract import (
    PROVENANCE,
    SEGMENT_ID,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

STRATEGY_CONTRACTS = (
    Contract(
        "segment_strategies",
        "What the playbook says of each segment, the first priority first, with the evidence. The "
        "customers in no segment have no row.",
        "one row per segment and strategy that applies; one of `none` where nothing applies",
        ("segmentation", "segment_id", "strategy"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            required("strategy", "VARCHAR", "Name of the strategy; `none` if nothing applies."),
            required("rank", "INTEGER", "Its place among the segment's strategies, from 1."),
            ContractColumn("priority", "INTEGER", "As the playbook says; 1 comes first."),
            ContractColumn("message", "VARCHAR", "What the customers are told."),
            ContractColumn("channel", "VARCHAR", "How they are reached."),
            ContractColumn("offer", "VARCHAR", "What they are offered, if anything."),
            ContractColumn("goal_kpi", "VARCHAR", "KPI by which its success is told."),
            ContractColumn(
                "conditions",
                "VARCHAR",
                "What the playbook asks for; of `none`, what the nearest strategy lacks.",
            ),
            required(
                "evidence",
                "VARCHAR",
                "What was found; each number is a rounded cell of segments, segment_profiles, "
                "segment_category_shares, segment_traits or segment_kpis.",
            ),
            *PROVENANCE,
        ),
    ),
    Contract(
        "sensitive_shares",
        "How segments, and the customers of each strategy, fall on columns marked sensitive: by "
        "those nobody was grouped or addressed, and this shows whether it came about all the same.",
        "one row per sensitive column, category and segment or strategy",
        ("segmentation", "group_kind", "group_name", "column_name", "category"),
        (
            SEGMENTATION,
            required("group_kind", "VARCHAR", "segment or strategy."),
            required("group_name", "VARCHAR", "Id of the segment, or name of the strategy."),
            required("column_name", "VARCHAR", "Column marked sensitive in customers.yaml."),
            required(
                "category",
                "VARCHAR",
                "Category of the column; quarters of all customers of a number or a date.",
            ),
            ContractColumn(
                "customers",
                "BIGINT",
                "Customers of the group in it; none if withheld.",
                "customers",
            ),
            ContractColumn("share", "DOUBLE", "Share of the group; none if withheld."),
            ContractColumn("overall_share", "DOUBLE", "Share of all customers; none if withheld."),
            ContractColumn("ratio", "DOUBLE", "`share` / `overall_share`; 1 is like everybody."),
            required(
                "is_suppressed",
                "BOOLEAN",
                "Whether the figure is withheld: it is small, or tells a small one.",
            ),
            *PROVENANCE,
        ),
    ),
)
