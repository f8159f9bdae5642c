"""What readers learn about segments and their customers."""

from segmentation_pipeline.contracts.contract import (
    CRITERION,
    CUSTOMERS,
    FEATURE,
    IS_SUPPRESSED,
    PROVENANCE,
    SEGMENT_ID,
    SEGMENTATION,
    USE,
    Contract,
    ContractColumn,
    required,
)

SEGMENT_CONTRACTS = (
    Contract(
        "segments",
        "The segments: how many customers each has, and what it is called.",
        "one row per segment",
        ("segmentation", "segment_id"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            ContractColumn(
                "number_in_model",
                "INTEGER",
                "Number of the segment in its model, from 0; none of customers whom no segment "
                "holds, and if an earlier release published the row.",
            ),
            required("label", "VARCHAR", "Name of the segment, for people."),
            CUSTOMERS,
            required("share", "DOUBLE", "Share of the segmentation's customers."),
            ContractColumn(
                "expected_customers",
                "DOUBLE",
                "Customers that it should have: those grouped by their own features, and the sum "
                "of the probabilities of those who were typed; none if an earlier release "
                "published the row.",
                "customers",
            ),
            required(
                "is_noise",
                "BOOLEAN",
                "Whether it is no segment, but the customers whom none holds (-noise), who are not "
                "eligible (-ineligible), or whose segment nothing tells (-unknown).",
            ),
            ContractColumn(
                "verdict",
                "VARCHAR",
                "Whether the data hold these segments, as in structure_verdict; none if an earlier "
                "release published the row.",
            ),
            *PROVENANCE,
            required(
                "is_stale",
                "BOOLEAN",
                "Whether the segmentation is of an earlier date than the newest one published.",
            ),
        ),
    ),
    Contract(
        "customer_segments",
        "Which segment each customer is in, how clearly, and which would be the next.",
        "one row per customer and segmentation",
        ("segmentation", "customer_id"),
        (
            SEGMENTATION,
            required("customer_id", "VARCHAR", "Customer, as the CRM names them."),
            required("segment_id", "VARCHAR", "The customer's segment."),
            required("raw_segment_id", "VARCHAR", "Nearest segment tonight, whatever it was."),
            ContractColumn(
                "runner_up_segment_id", "VARCHAR", "Second nearest segment; none if there is one."
            ),
            ContractColumn(
                "distance",
                "DOUBLE",
                "Distance to `raw_segment_id`, in scaled units; of noise, to the nearest segment; "
                "none where rules decide.",
            ),
            ContractColumn(
                "margin",
                "DOUBLE",
                "How clearly it is `raw_segment_id`: 0 on the border to the runner-up, 1 in the "
                "middle of the segment, more on its far side; none of noise, and where rules "
                "decide.",
            ),
            ContractColumn(
                "probability", "DOUBLE", "Probability of the segment; of mixtures only."
            ),
            required(
                "is_borderline",
                "BOOLEAN",
                "Whether the margin is below 0.1, or a mixture's probability below 0.6.",
            ),
            required(
                "is_outlier",
                "BOOLEAN",
                "Whether the distance, unclipped, is beyond the 99.5th percentile of training.",
            ),
            required(
                "is_typed",
                "BOOLEAN",
                "Whether the customer lacks a source, and the segment was learned from the others; "
                "distance, margin and probability are then none.",
            ),
            ContractColumn(
                "typing_confidence",
                "DOUBLE",
                "Probability of the segment of those typed, of the unknown that of the likeliest "
                "one; none of others, and where typing was refused.",
            ),
            *PROVENANCE,
        ),
    ),
    Contract(
        "segment_profiles",
        "Each segment by its numeric features, in their original units, next to everybody. Figures "
        "of fewer customers than the privacy floor (`limits.smallest_group`) are withheld, and as "
        "many others as keep them unknown.",
        "one row per segment and numeric feature",
        ("segmentation", "segment_id", "feature"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            FEATURE,
            required("description", "VARCHAR", "What the feature tells, for people."),
            ContractColumn("unit", "VARCHAR", "Unit of the feature's values."),
            CRITERION,
            USE,
            ContractColumn(
                "customers",
                "BIGINT",
                "Customers of the segment with a value; none if withheld.",
                "customers",
            ),
            ContractColumn(
                "missing_share", "DOUBLE", "Share of the segment without a value; none if withheld."
            ),
            ContractColumn("mean", "DOUBLE", "Mean in the segment, in `unit`."),
            ContractColumn(
                "standard_deviation", "DOUBLE", "Standard deviation in the segment, in `unit`."
            ),
            ContractColumn("median", "DOUBLE", "Median in the segment, in `unit`."),
            ContractColumn("lower_quartile", "DOUBLE", "25th percentile, in `unit`."),
            ContractColumn("upper_quartile", "DOUBLE", "75th percentile, in `unit`."),
            ContractColumn("overall_mean", "DOUBLE", "Mean of all customers, in `unit`."),
            ContractColumn(
                "overall_standard_deviation",
                "DOUBLE",
                "Standard deviation of all customers, in `unit`.",
            ),
            ContractColumn(
                "standardised_difference",
                "DOUBLE",
                "(Mean inside - mean outside) / pooled standard deviation; from 0.2 on it tells. "
                "Of a feature that makes the segments it is no discovery.",
            ),
            required(
                "rank",
                "INTEGER",
                "Rank within the segment by |standardised difference| among the features of the "
                "same use, from 1.",
            ),
            IS_SUPPRESSED,
            *PROVENANCE,
        ),
    ),
    Contract(
        "segment_category_shares",
        "Each segment by its categorical features, next to everybody. Categories of fewer "
        "customers than the privacy floor (`limits.smallest_group`) are withheld, and as many "
        "others as keep them from being computed from the totals.",
        "one row per segment, categorical feature and category",
        ("segmentation", "segment_id", "feature", "category"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            FEATURE,
            required("category", "VARCHAR", "Category; `missing` where there is no value."),
            CRITERION,
            USE,
            ContractColumn(
                "customers",
                "BIGINT",
                "Customers of the segment in it; none if withheld.",
                "customers",
            ),
            ContractColumn(
                "share", "DOUBLE", "Share of the segment's customers; none if withheld."
            ),
            ContractColumn("overall_share", "DOUBLE", "Share of all customers; none if withheld."),
            ContractColumn(
                "lift",
                "DOUBLE",
                "`share` / `overall_share`; 1 is like everybody; none if either is withheld.",
            ),
            IS_SUPPRESSED,
            *PROVENANCE,
        ),
    ),
)
