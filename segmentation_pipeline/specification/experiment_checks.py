"""Whether a home's experiments fit its sources, its segmentations and each other.

What belongs here: what the model of one experiment cannot know.
"""

from collections.abc import Mapping
from pathlib import Path

from segmentation_pipeline.specification.binding import require_predicate
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.references import (
    check_names,
    customer_table_columns,
    customer_table_types,
)
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def check_permission(document: Document, customers: CustomersSpec) -> None:
    """Refuse a permission over unknown or sensitive columns, and caps that nothing counts.

    Whether somebody may be contacted may depend on a personal column (that there is an address): it
    leaves no trace but the customer's absence from a list.
    """
    experiments = customers.experiments
    if experiments is None:
        return
    columns = customers.customer_columns()
    place: Place = ["experiments", "permission"]
    used = referenced_columns(experiments.permission)
    check_names(document, place, used, [*customer_table_columns(customers), "as_of"])
    for name in used:
        if name in columns and columns[name].sensitive:
            raise document.error(place, f"`{name}` is sensitive: it can be no condition")
    columns_seen = {**customer_table_types(customers), "as_of": "DATE"}
    require_predicate(document, place, experiments.permission, columns_seen, "customers")
    has_exposures = any(source.kind == "exposures" for source in customers.sources.values())
    if experiments.frequency_caps and not has_exposures:
        raise document.error(
            ["experiments", "frequency_caps"],
            "contacts are counted in sources of kind exposures, and there is none",
        )


def check_experiments(document: Document, spec: SegmentationSpec, customers: CustomersSpec) -> None:
    """Refuse experiments without what all share, and a goal that looks at another time than they.

    The goals must be KPIs of the customer base.
    """
    for name, strategy in spec.strategies.items():
        if strategy.experiment is None:
            continue
        goal, days = customers.kpis[strategy.goal_kpi], strategy.experiment.days
        if goal.expression is None and goal.window_days != days:
            raise document.error(
                ["strategies", name, "experiment", "days"],
                f"the KPI `{strategy.goal_kpi}` looks at {goal.window_days} days, and its effect "
                f"would be looked at {days}: make them equal, or declare a KPI of {days} days",
            )
        if customers.experiments is None:
            raise document.error(
                ["strategies", name, "experiment"],
                "customers.yaml has no `experiments`: say there by which key customers are drawn, "
                "and who may be contacted",
            )


def check_experiments_of_home(
    home_path: Path, segmentations: Mapping[str, SegmentationSpec], customers: CustomersSpec
) -> None:
    """Refuse two experiments of one name, and an order of segmentations that there aren't.

    Lists and exposures name a strategy, and no segmentation.
    """
    if customers.experiments is not None:
        for index, name in enumerate(customers.experiments.order):
            if name not in segmentations:
                raise Document(home_path / "customers.yaml").error(
                    ["experiments", "order", index],
                    f"there is no segmentation `{name}`; {nearest(name, segmentations)}",
                )
    owners: dict[str, str] = {}
    for segmentation, spec in segmentations.items():
        for name, strategy in spec.strategies.items():
            if strategy.experiment is None:
                continue
            if owners.setdefault(name, segmentation) != segmentation:
                raise Document(home_path / "segmentations" / f"{segmentation}.yaml").error(
                    ["strategies", name],
                    f"`{owners[name]}` has an experiment of this name too: lists and exposures "
                    "tell strategies by their names alone",
                )
