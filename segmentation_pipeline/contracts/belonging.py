"""What readers learn about customers who lack a source, and how well their segments are told."""

from segmentation_pipeline.contracts.contract import (
    IS_SUPPRESSED,
    PROVENANCE,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

_WEIGHTED = "counted for the customers like them who lack the source"

BELONGING_CONTRACTS = (
    Contract(
        "typing_accuracy",
        "How well segments are told for customers who lack a source: on customers whose segment is "
        "known, hidden from clustering and typing alike; whether typing is refused, and why. No "
        "rows where the segmentation types nobody.",
        "one row per segmentation and weighting",
        ("segmentation", "weighting"),
        (
            SEGMENTATION,
            required(
                "weighting",
                "VARCHAR",
                "plain: each customer kept aside counts once; weighted: " + _WEIGHTED + ".",
            ),
            required(
                "is_refused",
                "BOOLEAN",
                "Whether typing does too badly to be used: whoever lacks the source is unknown.",
            ),
            ContractColumn("reason", "VARCHAR", "Why it is refused; none if it is not."),
            required("learned_customers", "BIGINT", "Customers it was learned from.", "customers"),
            required(
                "held_out_customers", "BIGINT", "Customers kept aside to measure it.", "customers"
            ),
            required(
                "silent_customers",
                "BIGINT",
                "Customers who lacked the source when it was learned.",
                "customers",
            ),
            required(
                "answering",
                "VARCHAR",
                "On what it depends who has the source, as far as can be told: segments, features "
                "or chance; not examined where nothing could be learned.",
            ),
            ContractColumn(
                "effective_customers",
                "DOUBLE",
                "As many customers of equal weight would tell as much.",
                "customers",
            ),
            ContractColumn("accuracy", "DOUBLE", "Share whose likeliest segment is the true one."),
            ContractColumn(
                "balanced_accuracy", "DOUBLE", "The same within each segment, on average of these."
            ),
            ContractColumn(
                "lowest_recall", "DOUBLE", "The same in the segment where it is lowest."
            ),
            ContractColumn(
                "kappa", "DOUBLE", "Cohen's kappa: agreement beyond chance; 1 is perfect."
            ),
            ContractColumn("kappa_standard_error", "DOUBLE", "Its standard error, by bootstrap."),
            ContractColumn(
                "calibration_error",
                "DOUBLE",
                "Mean distance of the confidence from the share that came true, in ten bins.",
            ),
            ContractColumn(
                "calibration",
                "VARCHAR",
                "The bins as JSON: lower bound, share of customers, mean confidence, share that "
                "came true.",
            ),
            ContractColumn(
                "unknown_share", "DOUBLE", "Share whose likeliest segment is below 0.6."
            ),
            ContractColumn("known_accuracy", "DOUBLE", "Accuracy among the others."),
            *PROVENANCE,
        ),
    ),
    Contract(
        "typing_confusion",
        "Which segments typing takes for which, of the customers kept aside.",
        "one row per true segment and segment that was found likeliest",
        ("segmentation", "segment_id", "typed_segment_id"),
        (
            SEGMENTATION,
            required("segment_id", "VARCHAR", "Segment by the customers' own features."),
            required("typed_segment_id", "VARCHAR", "Segment that typing finds likeliest."),
            ContractColumn(
                "customers", "BIGINT", "Number of customers; none where withheld.", "customers"
            ),
            ContractColumn("share", "DOUBLE", "Share of the segment's customers."),
            ContractColumn("weighted_share", "DOUBLE", f"The same, {_WEIGHTED}."),
            IS_SUPPRESSED,
            *PROVENANCE,
        ),
    ),
)
