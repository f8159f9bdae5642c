"""What readers learn of segments as rules."""

from segmentation_pipeline.contracts.contract import (
    PROVENANCE,
    SEGMENT_ID,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

RULE_CONTRACTS = (
    Contract(
        "segment_rules",
        "Each segment as a short rule over the features that make it. A rule explains a segment; "
        "customer_segments, not the rule, says who is in it. A good rule is no evidence that there "
        "are groups: every cut through a crowd has one.",
        "one row per segment",
        ("segmentation", "segment_id"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            required(
                "rule",
                "VARCHAR",
                "The rule in words, from a tree of at most eight leaves. An approximate one begins "
                "with `approximately:`; where there is none, `none:` and the reason stand.",
            ),
            ContractColumn(
                "sql_predicate",
                "VARCHAR",
                "The rule as an SQL predicate over `runs_on`, for the date `as_of`; none if there "
                "is no rule.",
            ),
            ContractColumn(
                "runs_on",
                "VARCHAR",
                "Table of the warehouse that the predicate runs on: core.customers, or, where the "
                "rule asks for events, engineered_features of the segmentation. Neither is "
                "published; none if there is no rule.",
            ),
            required(
                "fidelity",
                "DOUBLE",
                "Share of customers whom the rules of the segmentation, taken together, put into "
                "their segment; cross-validated, one figure per segmentation.",
            ),
            ContractColumn(
                "precision",
                "DOUBLE",
                "Share of the segment among those whom the rule finds; cross-validated; none if "
                "there is no rule.",
            ),
            ContractColumn(
                "recall",
                "DOUBLE",
                "Share of the segment whom the rule finds; cross-validated; none if there is no "
                "rule.",
            ),
            required("leaves", "INTEGER", "Alternatives in the rule, joined by or."),
            ContractColumn(
                "customers",
                "BIGINT",
                "Customers whom the rule finds tonight, in whichever segment they are; none if "
                "there is no rule, or if withheld as too few customers could be told from it.",
                "customers",
            ),
            required(
                "sampled_customers",
                "BIGINT",
                "Customers whom the rule was found on: all, or as many with the smallest hash.",
                "customers",
            ),
            required(
                "is_approximate",
                "BOOLEAN",
                "Whether fidelity, precision or recall is below 0.85, or there is no rule.",
            ),
            *PROVENANCE,
        ),
    ),
)
