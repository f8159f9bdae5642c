"""Sixty nights of the example's CRM: what changes suddenly is flagged at once, and nothing else."""

import pytest

from segmentation_pipeline.demo import crm
from segmentation_pipeline.demo.population import Population
from segmentation_pipeline.demo.randomness import Draws, create_macros
from segmentation_pipeline.demo.scenario import SCENARIOS
from segmentation_pipeline.measurement.drift import feature_rows
from segmentation_pipeline.measurement.training_reference import (
    TrainingReference,
    count_features,
    reference_features,
)
from segmentation_pipeline.specification.refit import Refit
from segmentation_pipeline.warehouse import Table, open_in_memory

CUSTOMERS, NIGHTS = 1000, 60
MEASURES = (
    "publications",
    "congresses",
    "partnerships",
    "attended_events",
    "contract_value_eur",
)
FEATURES = Table("main", "engineered_features")


def levels(drift, seed):
    """Night -> feature -> level, against the customers of the first night."""
    population = Population(CUSTOMERS, NIGHTS, SCENARIOS[drift])
    draws = Draws(seed)
    found = []
    with open_in_memory(threads=1) as connection:
        create_macros(connection)
        connection.execute(f"CREATE TABLE people AS {population.people_sql(draws)}")
        connection.execute(f"CREATE TABLE crm_staff AS {crm.staff_sql(draws)}")
        numbers = ", ".join(f"TRY_CAST({name} AS DOUBLE) AS {name}" for name in MEASURES)
        reference = None
        for date in population.nights:
            connection.execute(
                f"CREATE OR REPLACE TABLE {FEATURES.sql} AS"
                f" SELECT DISTINCT staff_id AS customer_id, department, {numbers}"
                f" FROM ({crm.snapshot_sql(population, date)})"
            )
            if reference is None:
                names = [*MEASURES, "department"]
                customers, bins = reference_features(
                    connection, FEATURES, names, seed=7, limit=CUSTOMERS, smallest_group=5
                )
                reference = TrainingReference(date, customers, None, bins)
            customers, counted = count_features(connection, FEATURES, reference.features)
            rows = feature_rows(reference, customers, counted, Refit())
            found.append({row["feature"]: row["level"] for row in rows})
    return found


@pytest.mark.parametrize("seed", [3, 7])
def test_a_sudden_change_is_an_alarm_on_its_night_and_not_before(seed):
    found = levels("sudden", seed)
    alarmed = [night for night, one in enumerate(found) if one["contract_value_eur"] == "alarm"]

    assert alarmed == list(range(NIGHTS // 2, NIGHTS))
    assert {one["contract_value_eur"] for one in found[: NIGHTS // 2]} == {"ok"}
    others = {level for one in found for name, level in one.items() if "contract" not in name}
    assert "alarm" not in others


@pytest.mark.parametrize("drift", ["none", "moves", "gradual"])
def test_slow_change_alone_is_no_alarm_in_sixty_nights(drift):
    found = levels(drift, 7)

    assert "alarm" not in {level for one in found for level in one.values()}
