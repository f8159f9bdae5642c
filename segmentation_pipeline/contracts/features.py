"""What readers learn of features: how they make the distance, and what they tell of segments."""

from segmentation_pipeline.contracts.contract import (
    CRITERION,
    FEATURE,
    PROVENANCE,
    SEGMENTATION,
    USE,
    Contract,
    ContractColumn,
    required,
)

FEATURE_CONTRACTS = (
    Contract(
        "feature_importance",
        "How much each feature separates the segments. Of a feature that makes the segments this "
        "describes them and is no evidence: K-Means separates customers by its features even where "
        "there are no groups; see structure_verdict.",
        "one row per feature",
        ("segmentation", "feature"),
        (
            SEGMENTATION,
            FEATURE,
            CRITERION,
            USE,
            ContractColumn(
                "importance",
                "DOUBLE",
                "Share of the feature's variance that lies between the segments, less what chance "
                "gives (epsilon squared; of a category, Goodman and Kruskal's tau less the same), "
                "0 to 1; none if it doesn't vary.",
            ),
            required(
                "rank", "INTEGER", "Rank by importance among the features of the same use, from 1."
            ),
            ContractColumn(
                "distance_share",
                "DOUBLE",
                "Share of the feature in the mean distance between two customers, on the first "
                "night with this model; none if it is no part of it.",
            ),
            *PROVENANCE,
        ),
    ),
    Contract(
        "preprocessing_effect",
        "What preparation did: K-Means with as many segments, on the features as declared and on "
        "the same features prepared otherwise.",
        "one row per way to prepare",
        ("segmentation", "variant"),
        (
            SEGMENTATION,
            required("variant", "VARCHAR", "as declared, without scaling, or without transforms."),
            required("segments", "INTEGER", "Number of segments.", "segments"),
            required("sampled_customers", "BIGINT", "Customers it was tried on.", "customers"),
            ContractColumn(
                "examined_date",
                "DATE",
                "Business date of these customers: the first night with this model; none in rows "
                "of an earlier release.",
            ),
            ContractColumn(
                "silhouette",
                "DOUBLE",
                "Mean silhouette in the variant's own distances, which can't be compared with "
                "another variant's; none of one segment.",
            ),
            required("smallest_share", "DOUBLE", "Share of the smallest segment."),
            required(
                "agreement",
                "DOUBLE",
                "Adjusted Rand index with the segments as declared; 1: the same, 0: by chance.",
            ),
            required(
                "leading_feature", "VARCHAR", "Feature that carries most of the squared distance."
            ),
            required("leading_share", "DOUBLE", "Share of the squared distance that it carries."),
            *PROVENANCE,
        ),
    ),
)
