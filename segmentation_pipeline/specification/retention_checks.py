"""Whether what is cut is more than features, KPIs and experiments look back at.

What belongs here: what the model of `retention` alone cannot know.
"""

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.retention import (
    CUT_AT_KPI_DATES,
    cuttable_tables,
    shortest_days,
)
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.sources import SourceSpec


def check_retention(document: Document, customers: CustomersSpec) -> None:
    """Refuse a retention of what isn't there, what never goes, or what KPIs need for longer."""
    retention = customers.retention
    for name in retention.sources:
        place: Place = ["retention", "sources", name]
        source = customers.sources.get(name)
        if source is None:
            raise document.error(place, f"no source `{name}`; {nearest(name, customers.sources)}")
        reason = _stays(source)
        if reason is not None:
            raise document.error(place, reason)
    known = list(cuttable_tables())
    for name in retention.tables:
        place = ["retention", "tables", name]
        if name not in CONTRACTS:
            raise document.error(place, f"no table `{name}` is published; {nearest(name, known)}")
        if name not in known:
            raise document.error(
                place, f"`{name}` doesn't grow by the night, and is never cut; {nearest('', known)}"
            )
    for name, kpi in customers.kpis.items():
        _check_kpi(document, customers, name, kpi)


def check_retention_of_segmentation(
    document: Document, spec: SegmentationSpec, customers: CustomersSpec
) -> None:
    """Refuse a feature or an experiment that looks back beyond what is kept of a source."""
    for name, feature in spec.features.items():
        aggregate = feature.aggregate
        if aggregate is not None:
            _require(
                document,
                ["features", name, "aggregate"],
                customers,
                aggregate.source,
                aggregate.window_days,
                "give it a `window_days`, or keep them for ever",
            )
    for name, strategy in spec.strategies.items():
        experiment, goal = strategy.experiment, customers.kpis.get(strategy.goal_kpi)
        if experiment is None or goal is None:
            continue
        # Read when the last customers drawn are done: the effect, the time before the draw, and
        # that before it, as if the experiment had been then.
        days = experiment.enrolment_days + 3 * experiment.days
        for aggregate in goal.aggregates.values():
            place = ["strategies", name, "experiment"]
            _require(document, place, customers, aggregate.source, days)


def _check_kpi(document: Document, customers: CustomersSpec, name: str, kpi: Kpi) -> None:
    place = ["kpis", name]
    windows = 3 if kpi.returning else 2
    for aggregate in kpi.aggregates.values():
        _require(document, place, customers, aggregate.source, windows * kpi.window_days)
    keep = customers.retention.durations.get(CUT_AT_KPI_DATES)
    if kpi.expression is not None and keep and shortest_days(keep) <= kpi.window_days:
        raise document.error(
            [*place, "window_days"],
            f"it is compared with its value {kpi.window_days} days before, and `retention.tables` "
            f"keeps {CUT_AT_KPI_DATES} for {keep} only: keep them longer",
        )


def _require(
    document: Document,
    place: Place,
    customers: CustomersSpec,
    source: str,
    days: int | None,
    remedy: str = "keep them longer",
) -> None:
    """Refuse what looks at more days of a source than are kept; None days are all rows."""
    keep = customers.retention.sources.get(source)
    if keep is None or (days is not None and days <= shortest_days(keep)):
        return
    looked_at = f"{days} days" if days is not None else "all rows"
    raise document.error(
        place,
        f"it looks at {looked_at} of `{source}`, and `retention.sources` of customers.yaml keeps "
        f"{keep} of them: {remedy}",
    )


def _stays(source: SourceSpec) -> str | None:
    """Say why the rows of a source are never cut; None where they may be."""
    if source.kind == "exposures":
        return (
            "rows of kind exposures stay: `strategy_assignments` says of everybody who ever was in "
            "an experiment what was sent to them"
        )
    if source.kind == "identity":
        return "an old log-in still says whose a visitor's events are: an identity map stays whole"
    if source.kind == "survey" and source.is_attributes:
        return (
            f"a survey that keeps the {source.keep} answer stays: the answers are columns of the "
            "customers; take the rows out of its file"
        )
    if source.kind != "crm" and source.time is None:
        return "its rows have no `time`, so that nobody knows how old they are"
    return None
