"""What readers learn about segments over time."""

from segmentation_pipeline.contracts.contract import (
    AS_OF,
    CUSTOMERS,
    IS_SUPPRESSED,
    MODEL,
    PROVENANCE,
    RUN_ID,
    SEGMENT_ID,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

_CUSTOMER_ID = required("customer_id", "VARCHAR", "Customer, as the CRM names them.")

HISTORY_CONTRACTS = (
    Contract(
        "segment_registry",
        "Every segment that there ever was: its name, when it came and went, and out of which.",
        "one row per segment, those of the past included",
        ("segmentation", "segment_id"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            ContractColumn(
                "label", "VARCHAR", "Name of the segment, for people; none if nobody was in it."
            ),
            required("is_named", "BOOLEAN", "Whether people gave the name; else traits did."),
            required("born_date", "DATE", "First business date with it."),
            required("born_model_version", "INTEGER", "Version of the model that first had it."),
            ContractColumn(
                "retired_date", "DATE", "First business date without it; none if it is in force."
            ),
            ContractColumn(
                "parent_segment_ids",
                "VARCHAR",
                "Segments that most of its customers came from, by a comma and a space; none if it "
                "is of no other.",
            ),
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
    Contract(
        "segment_transitions",
        "What a new model made of the segments of the model before it.",
        "one row per business date with a new model, and pair of segments that it relates",
        ("as_of", "segmentation", "kind", "from_segment_id", "to_segment_id"),
        (
            AS_OF,
            RUN_ID,
            SEGMENTATION,
            required(
                "kind",
                "VARCHAR",
                "kept: the same segment; split: a part that has a new id; merged: gone into another"
                "; born: none of the old ones; retired: none of the new ones.",
            ),
            ContractColumn(
                "from_segment_id",
                "VARCHAR",
                "Segment of the model before; of a born one, where most of it comes from.",
            ),
            ContractColumn(
                "to_segment_id",
                "VARCHAR",
                "Segment of the new model; of a retired one, where most of it went.",
            ),
            ContractColumn("from_model_version", "INTEGER", "Version of the model before."),
            ContractColumn(
                "customers", "BIGINT", "Customers that both segments have.", "customers"
            ),
            ContractColumn("from_share", "DOUBLE", "Their share of the segment before."),
            ContractColumn("to_share", "DOUBLE", "Their share of the new segment."),
            ContractColumn(
                "jaccard",
                "DOUBLE",
                "Their share of the customers of either; from 0.5 on both are the same segment.",
            ),
            MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "segment_history",
        "From when to when each customer was in which segment, and why that changed.",
        "one row per customer and uninterrupted time in a segment",
        ("segmentation", "customer_id", "valid_from"),
        (
            SEGMENTATION,
            _CUSTOMER_ID,
            SEGMENT_ID,
            required("valid_from", "DATE", "First business date in the segment."),
            ContractColumn(
                "valid_to", "DATE", "First business date not in it any more; none if still in it."
            ),
            required(
                "reason",
                "VARCHAR",
                "Why it began: entered, moved, or model (a new model groups otherwise).",
            ),
            ContractColumn(
                "end_reason",
                "VARCHAR",
                "Why it ended: moved, model, left, or erased (then customer_id is of nobody).",
            ),
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
    Contract(
        "segment_movements",
        "Who entered and who left which segment on which night; on the first, everybody entered, "
        "so that whoever applies the nights in order has who is where.",
        "one row per business date and customer who is in another segment than the night before",
        ("as_of", "segmentation", "customer_id"),
        (
            AS_OF,
            RUN_ID,
            SEGMENTATION,
            _CUSTOMER_ID,
            ContractColumn(
                "from_segment_id", "VARCHAR", "Segment of the night before; none: not there."
            ),
            ContractColumn("to_segment_id", "VARCHAR", "Segment of this night; none: not there."),
            required("reason", "VARCHAR", "entered, moved, model (a new one) or left."),
            MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "segment_migration",
        "How many customers went from which segment to which, night by night.",
        "one row per business date, segment of the night before, segment of this one, and reason",
        ("as_of", "segmentation", "from_segment_id", "to_segment_id", "reason"),
        (
            AS_OF,
            RUN_ID,
            SEGMENTATION,
            ContractColumn(
                "from_segment_id", "VARCHAR", "Segment of the night before; none: not there."
            ),
            ContractColumn("to_segment_id", "VARCHAR", "Segment of this night; none: not there."),
            required("reason", "VARCHAR", "stayed, entered, moved, model, left or erased."),
            ContractColumn(
                "customers", "BIGINT", "Number of customers; none where withheld.", "customers"
            ),
            ContractColumn(
                "share",
                "DOUBLE",
                "Their share of the segment of the night before; none of those who entered, and "
                "where withheld.",
            ),
            IS_SUPPRESSED,
            MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "segment_nights",
        "How steady a segmentation is: how many customers changed segment, night by night.",
        "one row per business date and segmentation",
        ("as_of", "segmentation"),
        (
            AS_OF,
            RUN_ID,
            SEGMENTATION,
            CUSTOMERS,
            required("entered_count", "BIGINT", "Customers not there before.", "customers"),
            required("left_count", "BIGINT", "Customers not there any more.", "customers"),
            required(
                "moved_count",
                "BIGINT",
                "Customers in another segment because they changed.",
                "customers",
            ),
            required(
                "model_count",
                "BIGINT",
                "Customers in another segment on the first night of a new model.",
                "customers",
            ),
            required(
                "erased_count", "BIGINT", "Customers erased at their own request.", "customers"
            ),
            required(
                "held_count",
                "BIGINT",
                "Customers kept where they were although tonight's raw segment is another.",
                "customers",
            ),
            ContractColumn(
                "churn_share",
                "DOUBLE",
                "Share of the customers of both nights that changed segment; none on the first.",
            ),
            MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "segment_crosstab",
        "The segments of one segmentation against those of another. Pairs of fewer customers than "
        "the privacy floor are withheld, and as many others as keep them from being computed from "
        "the totals; who may read customer_segments can count them all.",
        "one row per pair of segments of two segmentations that share customers, or may do so",
        ("segmentation", "segment_id", "other_segmentation", "other_segment_id"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            required("other_segmentation", "VARCHAR", "Name of the other segmentation."),
            required("other_segment_id", "VARCHAR", "Its segment."),
            ContractColumn(
                "customers", "BIGINT", "Customers of both; none if withheld.", "customers"
            ),
            ContractColumn(
                "share",
                "DOUBLE",
                "Their share of the first segment, of those in common; none if withheld.",
            ),
            required("overall_share", "DOUBLE", "The other segment's share of all in common."),
            ContractColumn(
                "lift",
                "DOUBLE",
                "`share` / `overall_share`; 1 is like everybody; none if withheld.",
            ),
            IS_SUPPRESSED,
            *PROVENANCE,
        ),
    ),
)
