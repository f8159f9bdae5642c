"""What readers learn about how segments were made, and what may be claimed of them."""

from segmentation_pipeline.contracts.contract import (
    FEATURE,
    PROVENANCE,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

MODEL_CONTRACTS = (
    Contract(
        "model_candidates",
        "The models that were tried, their scores, and why one was chosen.",
        "one row per algorithm and parameters that were tried",
        ("segmentation", "algorithm", "parameters"),
        (
            SEGMENTATION,
            required("algorithm", "VARCHAR", "Family of clustering, such as k_means."),
            required("parameters", "VARCHAR", "What was tried of it, such as segments=3."),
            required("metric", "VARCHAR", "Distance between customers, such as euclidean."),
            required(
                "segments", "INTEGER", "Number of segments; 0 if it wasn't fitted.", "segments"
            ),
            ContractColumn(
                "silhouette", "DOUBLE", "Mean silhouette on a sample, -1 to 1; higher is better."
            ),
            ContractColumn("silhouette_standard_error", "DOUBLE", "Its standard error."),
            ContractColumn("davies_bouldin", "DOUBLE", "Davies-Bouldin index; lower is better."),
            ContractColumn(
                "calinski_harabasz", "DOUBLE", "Calinski-Harabasz index; higher is better."
            ),
            ContractColumn(
                "inertia",
                "DOUBLE",
                "Sum of distances to the centres, in scaled units; squared ones of K-Means.",
            ),
            ContractColumn(
                "bic",
                "DOUBLE",
                "Bayesian information criterion of a mixture; lower is better, among mixtures of "
                "one kind of covariance.",
            ),
            ContractColumn(
                "log_likelihood", "DOUBLE", "Mean log-likelihood of a customer under a mixture."
            ),
            ContractColumn(
                "reconstruction_error",
                "DOUBLE",
                "Share of the variance that an autoencoder loses, of customers held out.",
            ),
            ContractColumn("smallest_share", "DOUBLE", "Share of the smallest segment."),
            ContractColumn("noise_share", "DOUBLE", "Share of customers whom no segment holds."),
            ContractColumn(
                "border_p", "DOUBLE", "As in structure_verdict: chance of so empty a border."
            ),
            ContractColumn(
                "border_depth", "DOUBLE", "As in structure_verdict: how much emptier it is."
            ),
            ContractColumn(
                "crowded_border_p",
                "DOUBLE",
                "Of the most crowded border: chance that customers there are so much farther from "
                "their neighbours than those in the centres; 1 where it wasn't looked at.",
            ),
            ContractColumn(
                "null_z", "DOUBLE", "As in structure_verdict, of K-Means with as many segments."
            ),
            ContractColumn("null_p", "DOUBLE", "As in structure_verdict, likewise."),
            ContractColumn(
                "lowest_jaccard", "DOUBLE", "As in structure_verdict: the least stable segment."
            ),
            ContractColumn("jaccards", "VARCHAR", "The same of each segment, as JSON."),
            ContractColumn(
                "held_out_agreement",
                "DOUBLE",
                "Adjusted Rand index of two models, each fitted on one half of the customers, on "
                "customers of the other; 1: the same segments.",
            ),
            ContractColumn(
                "held_out_gain",
                "DOUBLE",
                "How much more likely the segments, each as a Gaussian, make customers held out "
                "than one Gaussian of all; in nats a customer.",
            ),
            ContractColumn(
                "crowded_leak",
                "DOUBLE",
                "Share of links to the ten nearest customers that leave a segment from its crowded "
                "three quarters; near 0 where borders run through valleys.",
            ),
            ContractColumn(
                "rule_fidelity",
                "DOUBLE",
                "Share of customers that a tree of eight leaves puts into their segment, "
                "cross-validated.",
            ),
            required("is_admissible", "BOOLEAN", "Whether its segments are large enough."),
            required("is_chosen", "BOOLEAN", "Whether it is the published model."),
            ContractColumn("reason", "VARCHAR", "Why it was chosen, or why not."),
            ContractColumn("seconds", "DOUBLE", "Time it took.", "s", is_volatile=True),
            *PROVENANCE,
        ),
    ),
    Contract(
        "structure_verdict",
        "Whether the data hold the published segments: a word, a sentence, every figure behind it.",
        "one row per segmentation",
        ("segmentation",),
        (
            SEGMENTATION,
            required(
                "verdict",
                "VARCHAR",
                "supported; weak: signs, but not all; continuum: cut where nothing divides it; "
                "too few to tell; no structure: one segment.",
            ),
            required("sentence", "VARCHAR", "The same in sentences, with the figures."),
            required("segments", "INTEGER", "Number of segments.", "segments"),
            required(
                "examined_customers",
                "BIGINT",
                "Customers that were looked at: a sample of the segmentation's.",
                "customers",
            ),
            required("examined_date", "DATE", "Business date whose customers were looked at."),
            required(
                "candidates",
                "INTEGER",
                "Numbers of segments tried, which `is_separated` allows for.",
            ),
            required(
                "is_separated",
                "BOOLEAN",
                "Whether every border is emptier than the segments: `border_p` is at most 0.01 / "
                "`candidates`.",
            ),
            ContractColumn(
                "border_p",
                "DOUBLE",
                "Chance of so empty a border if it were as full as the emptier centre beside it; "
                "the worst border's.",
            ),
            ContractColumn(
                "border_depth",
                "DOUBLE",
                "Share by which that border is emptier than the centre; negative if it is fuller.",
            ),
            ContractColumn(
                "null_z",
                "DOUBLE",
                "Silhouette against data with the same values and correlations but no segments, in "
                "their standard deviations.",
            ),
            ContractColumn(
                "null_p",
                "DOUBLE",
                "Chance of such a silhouette without segments; up to 0.01 tells, never alone.",
            ),
            ContractColumn(
                "lowest_jaccard",
                "DOUBLE",
                "How much of the least stable segment reappears when customers are resampled, 0 to "
                "1; from 0.75 on it is stable.",
            ),
            ContractColumn(
                "jaccards", "VARCHAR", "The same of each segment, largest first, as JSON."
            ),
            ContractColumn(
                "stability_scheme",
                "VARCHAR",
                "How they were resampled: bootstrap or sample splits.",
            ),
            ContractColumn(
                "one_split_rule",
                "VARCHAR",
                "One cut of one feature that comes nearest to two segments.",
            ),
            ContractColumn(
                "one_split_fidelity",
                "DOUBLE",
                "Share of customers it puts into their segment, cross-validated.",
            ),
            ContractColumn(
                "one_split_recall", "DOUBLE", "The same within the segment where it does worse."
            ),
            *PROVENANCE,
        ),
    ),
    Contract(
        "feature_selection",
        "Which features went into the distance, and why others did not.",
        "one row per column of the feature matrix, kept or dropped",
        ("segmentation", "feature", "column_name"),
        (
            SEGMENTATION,
            FEATURE,
            required("column_name", "VARCHAR", "Column of the feature matrix."),
            required("is_kept", "BOOLEAN", "Whether it is part of the distance."),
            ContractColumn(
                "reason", "VARCHAR", "Why it was dropped, or what to know of it although kept."
            ),
            ContractColumn("missing_share", "DOUBLE", "Share of customers without a value."),
            ContractColumn("distinct_values", "BIGINT", "Number of different values.", "values"),
            ContractColumn(
                "unseen_share", "DOUBLE", "Share of customers in a category unknown to the model."
            ),
            *PROVENANCE,
        ),
    ),
)
