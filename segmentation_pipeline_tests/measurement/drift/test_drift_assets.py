"""What Dagster shows of drift, and what a person may ask there."""

from contextlib import contextmanager

import dagster as dg
import pytest

from segmentation_pipeline.assets.drift import build_drift_assets
from segmentation_pipeline.assets.resources import PARTITION_TAG, Workshop
from segmentation_pipeline.reports import drift_chart
from segmentation_pipeline.specification.refit import Refit

CHANNEL = ["web"] * 60 + ["mail"] * 40
SHARES = {"ok": 50, "warn": 70, "alarm": 90}
"""Level -> customers of a hundred without a visit."""


def drifted(**settings):
    return {"feature": "visits", "psi": 0.4, "psi_floor": 0.05, "level": "alarm"} | settings


def materialise(lens, number, **config):
    """Run both assets in Dagster, for a night; returns the run's result."""

    class Opened(Workshop):
        @contextmanager
        def yield_for_execution(self, _context):
            self._home, self._connection = lens.home, lens.connection
            yield self

    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            build_drift_assets(lens.home, "lens"),
            resources={"workshop": Opened(home_path=str(lens.path))},
            instance=instance,
            tags={PARTITION_TAG: lens.date(number).isoformat()},
            run_config={"ops": {"lens__refit_decision": {"config": config}}} if config else None,
        )


@pytest.fixture
def fitted(lens):
    lens.write_customers(0, [0.0, 1.0] * 50, CHANNEL)
    lens.register(0)
    return lens


def test_the_chart_tells_features_by_how_far_they_are():
    rows = [
        drifted(feature="calm", psi=0.01, level="ok"),
        drifted(),
        drifted(feature="empty", psi=None, psi_floor=None),
    ]

    chart = drift_chart(rows, Refit())

    assert chart.alt == (
        "Bar chart. Drift of each feature, worst first: empty without values (alarm); "
        "visits 0.40 (alarm); calm 0.01 (ok)."
    )
    assert chart.png.startswith(b"\x89PNG")
    assert chart.svg == drift_chart(rows[::-1], Refit()).svg


@pytest.mark.parametrize("level", ["ok", "warn", "alarm"])
def test_the_check_warns_of_an_alarm_and_stops_nothing(fitted, level):
    none = SHARES[level]
    fitted.write_customers(1, [0.0] * none + [1.0] * (100 - none), CHANNEL)

    result = materialise(fitted, 1)

    found = {
        (one.asset_key.path[-1], one.check_name): one
        for one in result.get_asset_check_evaluations()
    }
    assert result.success
    evaluation = found.pop(("feature_drift", "no_drift_alarm"))
    assert evaluation.passed == (level != "alarm")
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert {key: one.passed for key, one in found.items()} == {
        ("feature_drift", "contract"): True,
        ("refit_decision", "contract"): True,
    }
    assert fitted.rows("refit_decision")[0]["decision"] == ("refit" if level == "alarm" else "keep")


def test_a_materialisation_shows_bars_features_and_reasons(fitted):
    fitted.write_customers(1, [0.0] * 90 + [1.0] * 10, CHANNEL)

    result = materialise(fitted, 1)

    drift, decision = (
        event.materialization.metadata for event in result.get_asset_materialization_events()
    )
    assert drift["picture"].value.startswith("![Bar chart. Drift of each feature, worst first: vis")
    assert drift["dagster/row_count"].value == 2
    assert decision["decision"].value == "refit"
    assert decision["reasons"].value.startswith("`visits` has another distribution")


def test_a_person_asks_in_the_launchpad(fitted):
    fitted.write_customers(1, [0.0, 1.0] * 50, CHANNEL)

    assert materialise(fitted, 1, ask_for_refit="new contracts").success

    (row,) = fitted.rows("refit_decision")
    assert (row["decision"], row["reasons"]) == ("refit", "a person asked for it: new contracts")
