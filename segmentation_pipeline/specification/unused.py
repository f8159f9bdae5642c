"""Texts of customers that nothing of a home uses: declared, loaded, and then forgotten.

What belongs here: who may use a text. That somebody has to be told belongs to `segmentation check`
and the cleaning report.
"""

from collections.abc import Iterator

from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.home import Home, feature_column
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def unused_texts(home: Home) -> dict[str, list[str]]:
    """Source -> its columns of type text and free_text that nothing uses; no others.

    A key, a column that says something of its row, and a text that is declared personal, such as a
    name, have their use. Texts of events may tell two events apart: they are not looked at.
    """
    used = {*_used_of_customers(home.customers)}
    for spec in home.segmentations.values():
        used |= {*_used_by_segmentation(spec)}
    found: dict[str, list[str]] = {}
    for name, source in home.customers.sources.items():
        for column, declared in source.attribute_columns.items():
            is_forgotten = declared.type == "text" and not declared.personal and column not in used
            is_uncounted = declared.type == "free_text" and used.isdisjoint(
                {column, *declared.as_columns(column)}
            )
            if is_forgotten or is_uncounted:
                found.setdefault(name, []).append(column)
    return found


def _used_of_customers(customers: CustomersSpec) -> Iterator[str]:
    expectations = [*customers.customers.expectations]
    for source in customers.sources.values():
        expectations += source.expectations
        if hasattr(source.key, "expression"):
            yield from referenced_columns(source.key.expression)
        if hasattr(source.key, "column"):
            yield source.key.column
    for expectation in expectations:
        yield from referenced_columns(expectation.predicate)
    for kpi in customers.kpis.values():
        if kpi.expression is not None:
            yield from referenced_columns(kpi.expression)
        for aggregate in kpi.aggregates.values():
            yield from [aggregate.column] if aggregate.column else []
            yield from referenced_columns(aggregate.where) if aggregate.where else []
    if customers.experiments is not None:
        yield from referenced_columns(customers.experiments.permission)


def _used_by_segmentation(spec: SegmentationSpec) -> Iterator[str]:
    for condition in (spec.where, spec.eligible):
        yield from referenced_columns(condition) if condition is not None else ()
    for name, feature in spec.features.items():
        column = feature_column(name, feature)
        yield from [column] if column is not None else []
        if feature.expression is not None:
            yield from referenced_columns(feature.expression)
        if feature.aggregate is not None:
            yield from [feature.aggregate.column] if feature.aggregate.column else []
            where = feature.aggregate.where
            yield from referenced_columns(where) if where is not None else ()
