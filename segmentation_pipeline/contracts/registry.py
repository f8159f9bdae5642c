"""What readers learn about the life of models: which there were, who decided, what was watched."""

from segmentation_pipeline.contracts.contract import (
    PROVENANCE,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

_STATUS = (
    "challenger: watched, in force for nobody; champion: in force, or from its date on; retired: "
    "it was; rejected: it won't be; withdrawn: its date was run again and fitted another or none."
)
_WHO = "Who decided: system, by a stated rule, or the name that a person gave"

REGISTRY_CONTRACTS = (
    Contract(
        "model_versions",
        "Every model that there ever was: what became of it, by whose decision, and why.",
        "one row per version of a segmentation's model, rejected ones included",
        ("segmentation", "version"),
        (
            SEGMENTATION,
            required("version", "INTEGER", "Version of the model; never reused."),
            required("status", "VARCHAR", _STATUS),
            ContractColumn(
                "status_date", "DATE", "Business date from which it has it; none if withdrawn."
            ),
            ContractColumn("decided_by", "VARCHAR", f"{_WHO}; none if withdrawn."),
            required("decided_reason", "VARCHAR", "Why, in words."),
            ContractColumn(
                "first_date", "DATE", "First business date on which it was in force; none if never."
            ),
            required("fitted_date", "DATE", "Business date whose customers it was fitted on."),
            required("algorithm", "VARCHAR", "Family of clustering, such as k_means."),
            required("segments", "INTEGER", "Number of segments.", "segments"),
            required("chosen_reason", "VARCHAR", "Why it was taken among its candidates."),
            ContractColumn(
                "start",
                "VARCHAR",
                "warm: it went on from the segments in force; cold: from random starts; none of a "
                "model that challenged nobody.",
            ),
            ContractColumn("start_reason", "VARCHAR", "Why, in words."),
            ContractColumn(
                "against_version", "INTEGER", "Version in force when it was fitted as a challenger."
            ),
            ContractColumn(
                "against_verdict",
                "VARCHAR",
                "Verdict on that one, on the customers that this one was fitted on.",
            ),
            ContractColumn(
                "verdict", "VARCHAR", "Verdict on this one, on the same; as in structure_verdict."
            ),
            ContractColumn(
                "lowest_jaccard", "DOUBLE", "As in structure_verdict: its least stable segment."
            ),
            required("specification_digest", "VARCHAR", "SHA-256 of what a model depends on."),
            required("preparation_digest", "VARCHAR", "SHA-256 of its fitted preparation."),
            required("model_digest", "VARCHAR", "SHA-256 of its manifest."),
            required("library_version", "VARCHAR", "Version of scikit-learn that fitted it."),
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
    Contract(
        "model_events",
        "Each change of a model's status: from which date, who decided it, and why.",
        "one row per change of status",
        ("segmentation", "event"),
        (
            SEGMENTATION,
            required("event", "INTEGER", "Number of the change, in the order of decisions."),
            required("version", "INTEGER", "Version of the model."),
            required("status", "VARCHAR", "What it became: challenger, champion or rejected."),
            required("from_date", "DATE", "Business date from which it holds."),
            required("decided_date", "DATE", "Night on which, or after which, it was decided."),
            required("decided_by", "VARCHAR", f"{_WHO}."),
            required("reason", "VARCHAR", "Why, in words."),
            ContractColumn(
                "retired_version", "INTEGER", "Version that is retired by it; none if none is."
            ),
            *PROVENANCE,
        ),
        is_cumulative=True,
    ),
    Contract(
        "challenger_nights",
        "What a challenger would have done on each night beside the model in force; nobody was put "
        "into its segments. No row on nights without a challenger.",
        "one row per business date with a challenger",
        ("as_of", "segmentation"),
        (
            SEGMENTATION,
            required("challenger_version", "INTEGER", "Version of the challenger."),
            required("night", "BIGINT", "Which of its nights it is, from 1.", "nights"),
            required(
                "state",
                "VARCHAR",
                "in its shadow: the gates decide later; promoted: in force from the next day on; "
                "waiting: for a person.",
            ),
            ContractColumn(
                "shut_gates",
                "VARCHAR",
                "What is in its way, by a comma and a space: verdict, stability, sizes, migration; "
                "none if nothing is.",
            ),
            required("sentence", "VARCHAR", "The same in words."),
            required("champion_version", "INTEGER", "Version in force, with which it is compared."),
            required("customers", "BIGINT", "Customers grouped by both.", "customers"),
            required(
                "agreement", "DOUBLE", "Adjusted Rand index of both models' segments; 1: the same."
            ),
            required(
                "migration_share",
                "DOUBLE",
                "Share of customers who would be in another segment, by the ids that it would get.",
            ),
            required("kept_segments", "INTEGER", "Segments in force that would go on.", "segments"),
            required(
                "smallest_customers", "BIGINT", "Customers of its smallest segment.", "customers"
            ),
            required("sizes", "VARCHAR", "Customers of each of its segments, as JSON."),
            required("noise_share", "DOUBLE", "Share of customers whom it puts in no segment."),
            ContractColumn(
                "churn_share",
                "DOUBLE",
                "Share of customers who changed segment under it since its night before; of a "
                "sample, none on its first.",
            ),
            *PROVENANCE,
        ),
        is_dated=True,
    ),
)
