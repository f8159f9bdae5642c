"""Who will be drawn to get the strategy that works: the packaged playbook says, as to a night."""

from importlib.resources import files
from typing import Any

import yaml

from segmentation_pipeline.demo import planted
from segmentation_pipeline.demo.population import STAFF_ID_SQL
from segmentation_pipeline.measurement.arms import arm_sql, key_parameters
from segmentation_pipeline.warehouse import literal


def treated_sql() -> str:
    """Select the `number` of each of `people` whose arm is `treated`; binds `treated_key`.

    Whoever isn't in the strategy's segment is never assigned to it, and has an arm all the same.
    """
    shared = _packaged("customers")["experiments"]
    playbook = _packaged(f"segmentations/{planted.ENGAGEMENT.name}")["strategies"]
    hold_out = playbook[planted.LIFTED_STRATEGY]["experiment"]["hold_out"]
    salt = literal(f"{planted.ENGAGEMENT.name}.{planted.LIFTED_STRATEGY}")
    arm = arm_sql(salt, literal(hold_out), shared["global_hold_out"])
    return (
        f"SELECT number FROM (SELECT number, {STAFF_ID_SQL} AS customer_id FROM people)"
        f" WHERE {arm} = 'treated'"
    )


def treated_key() -> dict[str, bytes]:
    """Prepare the packaged key, to be bound."""
    return key_parameters(_packaged("customers")["experiments"]["key"].encode())


def _packaged(name: str) -> dict[str, Any]:
    file = files("segmentation_pipeline.demo") / "home" / f"{name}.yaml"
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found
