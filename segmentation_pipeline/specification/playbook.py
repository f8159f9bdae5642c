"""Whether a playbook's conditions name features, categories and KPIs that there are.

What belongs here: what the model of one condition cannot know. What a condition looks like belongs
to `strategies`.
"""

from collections.abc import Collection, Iterable

from segmentation_pipeline.specification.columns import MISSING_CATEGORY, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import FeatureSpec, GivenEncoding, OrdinalEncoding
from segmentation_pipeline.specification.kpi_references import check_kpi_name
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.strategies import NO_STRATEGY, Condition


def check_playbook(document: Document, spec: SegmentationSpec, customers: CustomersSpec) -> None:
    """Refuse a condition that no published figure could answer, with its line and nearest name.

    Raises SpecificationError for an unknown KPI, a share that can't be, an unknown feature, one
    that profiles don't tell, a sensitive or personal column, an unknown category, and a measure
    that its kind of feature doesn't have.
    """
    if NO_STRATEGY in spec.strategies:
        raise document.error(
            ["strategies", NO_STRATEGY],
            f"a strategy can't be called `{NO_STRATEGY}`: that says that none applies",
        )
    for name, strategy in spec.strategies.items():
        for index, condition in enumerate(strategy.when):
            place: list[str | int] = ["strategies", name, "when", index]
            if condition.kpi is not None:
                check_kpi_name(document, [*place, "kpi"], condition.kpi, customers)
                _check_share(document, place, condition, customers.kpis[condition.kpi])
            if condition.feature is not None:
                _check_condition(document, place, condition, condition.feature, spec, customers)


def _check_share(document: Document, place: Place, condition: Condition, kpi: Kpi) -> None:
    """Refuse percents where a share is meant, or the difference of two."""
    lowest = -1 if condition.measure == "change" else 0
    for setting in ("at_least", "at_most"):
        bound = getattr(condition, setting)
        if kpi.kind == "binary" and bound is not None and not lowest <= bound <= 1:
            raise document.error(
                [*place, setting],
                f"`{condition.kpi}` is a share, whose {condition.measure} is between {lowest} and "
                "1: write 0.4 for 40 %",
            )


def _check_condition(
    document: Document,
    place: list[str | int],
    condition: Condition,
    name: str,
    spec: SegmentationSpec,
    customers: CustomersSpec,
) -> None:
    told = [known for known, one in spec.features.items() if one.use != "input"]
    columns = customers.customer_columns()
    if name not in spec.features:
        guarded = columns.get(name)
        if guarded is not None and (guarded.sensitive or guarded.personal):
            kind = "sensitive" if guarded.sensitive else "personal"
            raise document.error(
                [*place, "feature"],
                f"`{name}` is {kind}: it can be neither a feature nor a condition",
            )
        raise document.error(
            [*place, "feature"], f"there is no feature `{name}`; {nearest(name, told)}"
        )
    if name not in told:
        raise document.error(
            [*place, "feature"],
            f"`{name}` is only an input of other features, which no profile tells: give it "
            "`use: profile`",
        )
    feature = spec.features[name]
    column = _column(name, feature, columns)
    _check_kind(document, place, condition, name, column)
    known = _categories(feature, column)
    if condition.category is not None and known and condition.category not in known:
        raise document.error(
            [*place, "category"],
            f"`{name}` has no category `{condition.category}`; "
            f"{nearest(condition.category, known)}",
        )


def _check_kind(
    document: Document, place: Place, condition: Condition, name: str, column: ColumnSpec | None
) -> None:
    """Refuse the mean of a category and the category of a number; an expression may be either."""
    if column is None:
        return
    is_category = column.type == "category"
    if is_category and condition.category is None:
        raise document.error(
            [*place, "measure"],
            f"`{name}` is a category, which has no {condition.measure}: name its `category`, and "
            "measure its share or lift",
        )
    if not is_category and condition.category is not None:
        raise document.error(
            [*place, "category"], f"`{name}` is of type {column.type}: it has no categories"
        )


def _column(name: str, feature: FeatureSpec, columns: dict[str, ColumnSpec]) -> ColumnSpec | None:
    """Declare what a feature's values are; None of an expression, which only the night tells."""
    if feature.aggregate is not None:
        return ColumnSpec(type="number")
    if feature.encoding is not None:
        is_column = feature.expression is None
        return columns[feature.column or name] if is_column else ColumnSpec(type="category")
    if feature.expression is not None:
        return None
    return columns[feature.column or name]


def _categories(feature: FeatureSpec, column: ColumnSpec | None) -> Collection[str]:
    """List the categories that a feature can have; nothing where that is not declared."""
    declared: Iterable[str] = ()
    if column is not None and column.categories is not None:
        declared = column.categories
    elif isinstance(feature.encoding, OrdinalEncoding):
        declared = feature.encoding.order or feature.encoding.values or ()
    elif isinstance(feature.encoding, GivenEncoding):
        declared = feature.encoding.vectors
    found = [*declared]
    if found and column is not None and column.impute is not None:
        found.append(str(column.impute.value))
    return [*found, MISSING_CATEGORY] if found else []
