"""Whether KPIs name sources and columns that a customer base has, and strategies name KPIs.

What belongs here: what the model of one KPI cannot know. What a KPI looks like belongs to `kpis`.
"""

from segmentation_pipeline.specification.binding import bound_type
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import feature_type
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.references import (
    check_aggregate,
    check_names,
    customer_table_columns,
    customer_table_types,
    refuse_guarded,
)
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.sources import RESERVED_COLUMNS

_USE = "no part of a KPI, which is published"


def check_kpis(document: Document, customers: CustomersSpec) -> None:
    """Refuse a KPI that can't be made of the customer base's sources and columns.

    Raises SpecificationError for an unknown source or column, one that is sensitive or personal, a
    source without dates, and a name that the pipeline uses itself.
    """
    for name, kpi in customers.kpis.items():
        place: list[str | int] = ["kpis", name]
        if name in RESERVED_COLUMNS:
            raise document.error(
                place, f"a KPI can't be called `{name}`: the pipeline uses that name"
            )
        _check_sources(document, place, kpi, customers)
        if kpi.expression is not None:
            used = referenced_columns(kpi.expression)
            known = [*customer_table_columns(customers), "as_of"]
            where = [*place, "expression"]
            check_names(document, where, used, known)
            refuse_guarded(document, where, used, customers.customer_columns(), _USE)
            columns = {**customer_table_types(customers), "as_of": "DATE"}
            kind = feature_type(bound_type(document, where, kpi.expression, columns, "customers"))
            if kind not in ("DOUBLE", "BOOLEAN"):
                raise document.error(
                    where,
                    f"it is of type {kind}, and a KPI is made of numbers or of what is true or "
                    "false: compare it with something, or cast it",
                )


def check_goals(document: Document, spec: SegmentationSpec, customers: CustomersSpec) -> None:
    """Refuse a strategy whose goal is no KPI of `customers.yaml`."""
    for name, strategy in spec.strategies.items():
        place = ["strategies", name, "goal_kpi"]
        check_kpi_name(document, place, strategy.goal_kpi, customers)


def check_kpi_name(document: Document, place: Place, name: str, customers: CustomersSpec) -> None:
    """Refuse the name of a KPI that `customers.yaml` doesn't declare, with the nearest one."""
    if name not in customers.kpis:
        hint = nearest(name, customers.kpis) if customers.kpis else "declare it there"
        raise document.error(place, f"`kpis` of customers.yaml has no `{name}`; {hint}")


def _check_sources(
    document: Document, place: list[str | int], kpi: Kpi, customers: CustomersSpec
) -> None:
    for part, aggregate in kpi.aggregates.items():
        where = [*place, part] if kpi.kind == "ratio" else place
        source = customers.sources.get(aggregate.source)
        if source is not None and source.kind == "crm":
            raise document.error(
                [*where, "source"],
                f"rows of `{aggregate.source}` describe customers, and nothing that happened: use "
                "an `expression` over columns of `customers`",
            )
        check_aggregate(document, where, aggregate, customers, _USE)
