"""The suites of a segmentation's tables: of its feature matrix, and of what is made for readers."""

from collections.abc import Sequence

from segmentation_pipeline.contracts import Contract
from segmentation_pipeline.validation.derived import not_null, row_floor, unique
from segmentation_pipeline.validation.expectations import Expectation
from segmentation_pipeline.warehouse import quote

_MAY_BE_EMPTY = frozenset(
    {
        "segment_profiles",
        "segment_traits",
        "feature_distributions",
        "segment_category_shares",
        "preprocessing_effect",
        "feature_drift",
        "challenger_nights",
        "segment_map",
        "segment_transitions",
        "segment_movements",
        "segment_strategies",
        "segment_kpis",
        "sensitive_shares",
        "strategy_audience",
        "strategy_assignments",
        "strategy_effects",
        "typing_accuracy",
        "typing_confusion",
    }
)
"""A segmentation may have no feature that is a number, or none that is a category; one segment;
nothing that sets it apart; no new model; nobody who moved; nobody but noise; no column that is
sensitive; no KPI; no strategy that is an experiment; nobody who is typed; nothing that drift can be
measured against; no challenger."""


def feature_matrix_suite(columns: Sequence[str]) -> list[Expectation]:
    """Say what a feature matrix must satisfy: one row per customer, and numbers only.

    `columns` are its columns besides `customer_id`; they change nothing but what is looked at.
    """
    is_number = [f"coalesce(isfinite({quote(column)}), FALSE)" for column in columns]
    return [
        row_floor(1, "the matrix has rows"),
        Expectation(
            "table__columns",
            "columns_equal",
            columns=("customer_id", *columns),
            description="the customer and the columns of the scaling, no others",
        ),
        not_null("customer_id", 1.0, "a row names its customer"),
        unique(("customer_id",), "one row per customer"),
        Expectation(
            "values__finite",
            "row_predicate",
            parameters={"predicate": "\nAND ".join(is_number) or "TRUE"},
            description="no value is missing, NaN or infinite",
        ),
    ]


def contract_suite(contract: Contract) -> list[Expectation]:
    """Say what a segmentation's work table must satisfy to be published under its contract."""
    minimum = 0 if contract.name in _MAY_BE_EMPTY else 1
    suite = [
        row_floor(minimum, "the table has rows" if minimum else "the table may be empty"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=tuple(column.name for column in contract.work_columns),
            description="every column of the contract is there",
        ),
        *(
            not_null(column.name, 1.0, "the contract promises a value")
            for column in contract.work_columns
            if not column.is_nullable
        ),
    ]
    may_lack = {column.name for column in contract.work_columns if column.is_nullable}
    # A key with a part that may be lacking is looked at by the audit before publication: here, a
    # row that lacks it has no key.
    if contract.work_key and may_lack.isdisjoint(contract.work_key):
        suite.append(unique(contract.work_key, contract.grain))
    return suite
