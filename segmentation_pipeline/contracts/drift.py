"""What readers learn of drift, and of the decision that follows from it."""

from segmentation_pipeline.contracts.contract import (
    FEATURE,
    PROVENANCE,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

_JUDGED = "Version of the model that the night found in force, against which drift is measured"

DRIFT_CONTRACTS = (
    Contract(
        "feature_drift",
        "How far tonight's customers are from those that the model was fitted on, by feature that "
        "makes the segments. No rows on nights that have nothing to compare with: the first one, "
        "one with a changed specification, or under a model of an earlier release.",
        "one row per date and feature",
        ("as_of", "segmentation", "feature"),
        (
            SEGMENTATION,
            FEATURE,
            ContractColumn(
                "psi",
                "DOUBLE",
                "Population stability index of the values that there are, over at most ten bins "
                "fixed when the model was fitted: 0, as then; none if there are no values.",
            ),
            ContractColumn(
                "psi_floor",
                "DOUBLE",
                "PSI that chance alone exceeds in one of twenty nights, at so many customers.",
            ),
            required("missing_share", "DOUBLE", "Share of tonight's customers without a value."),
            required("reference_missing_share", "DOUBLE", "The same when the model was fitted."),
            ContractColumn(
                "new_category_share",
                "DOUBLE",
                "Share of the values in categories that were new or rare when the model was "
                "fitted, beyond their share then; none of a number.",
            ),
            required(
                "level",
                "VARCHAR",
                "ok, warn or alarm, by the thresholds under `refit` in the segmentation's file.",
            ),
            ContractColumn("reason", "VARCHAR", "Why it isn't ok, in words."),
            required("customers", "BIGINT", "Customers compared.", "customers"),
            required(
                "reference_customers", "BIGINT", "Customers that it was fitted on.", "customers"
            ),
            required("reference_date", "DATE", "Business date that they are of."),
            required("reference_model_version", "INTEGER", f"{_JUDGED}."),
            *PROVENANCE,
        ),
        is_dated=True,
    ),
    Contract(
        "refit_decision",
        "Whether each night kept the model, asked for a new one, or for a person, and why.",
        "one row per date",
        ("as_of", "segmentation"),
        (
            SEGMENTATION,
            required(
                "decision",
                "VARCHAR",
                "first: there was no model; keep; refit: a challenger is fitted; alert: something "
                "is off that no new model mends, and a person should look.",
            ),
            required("reasons", "VARCHAR", "Why, in words, most pressing first."),
            required(
                "causes",
                "VARCHAR",
                "The same for machines: a JSON array such as psi:contract_value or asked:3; empty "
                "on a night that keeps the model.",
            ),
            ContractColumn("judged_model_version", "INTEGER", f"{_JUDGED}; none on a first night."),
            ContractColumn("worst_feature", "VARCHAR", "Feature with the highest PSI."),
            ContractColumn("worst_psi", "DOUBLE", "Its PSI."),
            ContractColumn("warned_share", "DOUBLE", "Share of the features that aren't ok."),
            ContractColumn(
                "median_distance_ratio",
                "DOUBLE",
                "Median distance of a customer to the own segment, over what it was when the model "
                "was fitted, in the model's metric; none where it has none.",
            ),
            ContractColumn(
                "churn_share",
                "DOUBLE",
                "Share of customers who moved on the night before; none until the model has had "
                "one.",
            ),
            ContractColumn(
                "churn_median", "DOUBLE", "Median of it over the nights before that one."
            ),
            ContractColumn("age_days", "INTEGER", "Days since the model was fitted.", "days"),
            *PROVENANCE,
        ),
        is_dated=True,
    ),
)
