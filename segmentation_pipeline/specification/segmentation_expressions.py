"""Whether the SQL of a segmentation can be evaluated: its conditions, features and rules.

What belongs here: types. That the names in it are known is looked at before (`home`), and so is
that features don't stand in a circle.
"""

from graphlib import TopologicalSorter

from segmentation_pipeline.specification.binding import bound_type, require_predicate
from segmentation_pipeline.specification.columns import SQL_TYPES
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import feature_type, type_fault
from segmentation_pipeline.specification.reading import Document, Place
from segmentation_pipeline.specification.references import customer_table_types
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def check_segmentation_expressions(
    document: Document, spec: SegmentationSpec, customers: CustomersSpec
) -> None:
    """Refuse SQL that no night could evaluate, and features that are none (SpecificationError)."""
    columns = {**customer_table_types(customers), "as_of": "DATE"}
    for key, condition in (("where", spec.where), ("eligible", spec.eligible)):
        if condition is not None:
            require_predicate(document, [key], condition, columns, "customers")
    types = _feature_types(document, spec, customers)
    rules = spec.clustering.rules
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        place: Place = ["clustering", "rules", index, "where"]
        require_predicate(document, place, rule.where, types)


def _feature_types(
    document: Document, spec: SegmentationSpec, customers: CustomersSpec
) -> dict[str, str]:
    """Feature -> DuckDB type, in an order in which each reads only earlier ones."""
    declared = {name: SQL_TYPES[one.type] for name, one in customers.customer_columns().items()}
    columns = {**customer_table_types(customers), "as_of": "DATE"}
    reads = {
        name: {
            read
            for read in referenced_columns(feature.expression or "NULL")
            if read in spec.features and read != name
        }
        for name, feature in spec.features.items()
    }
    types: dict[str, str] = {}
    for name in TopologicalSorter(reads).static_order():
        feature = spec.features[name]
        place: Place = ["features", name]
        if feature.aggregate is not None:
            kind = "DOUBLE"
        elif feature.expression is None:
            kind = declared[feature.column or name]
        else:
            # Its own name means the column, any other name the feature first.
            known = columns | {other: made for other, made in types.items() if other != name}
            kind = bound_type(document, [*place, "expression"], feature.expression, known)
        types[name] = feature_type(kind)
        fault = type_fault(feature, types[name])
        if fault is not None:
            raise document.error(place, f"it {fault}")
    return types
