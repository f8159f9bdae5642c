"""Group `clustering` of a segmentation, before its model: drift, and whether a refit is due."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from segmentation_pipeline.assets.metadata import (
    Metadata,
    picture,
    read_rows,
    small_table,
)
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.measurement.drift import make_feature_drift
from segmentation_pipeline.measurement.refit_decision import make_refit_decision
from segmentation_pipeline.measurement.refit_requests import request_refit
from segmentation_pipeline.reports import drift_chart
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, require_builds

_NO_ALARM = "no_drift_alarm"


class RefitRequest(dg.Config):
    """What a person may ask of a night in Dagster's launchpad."""

    ask_for_refit: str = Field(
        default="", description="Why another model is wanted; nobody asks where it is empty."
    )


def build_drift_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make `feature_drift` and `refit_decision`, which `model_candidates` waits for."""
    rules = home.segmentations[name].refit

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "engineered_features"]],
        kinds={"duckdb"},
        check_specs=[
            *contract_checks(name, "feature_drift"),
            dg.AssetCheckSpec(
                _NO_ALARM,
                asset=[name, "feature_drift"],
                description="No feature is far from what the model was fitted on.",
            ),
        ],
    )
    def feature_drift(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """How far tonight's customers are from those that the model in force was fitted on."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "engineered_features")], build.as_of)
            rows = make_feature_drift(connection, workshop.home, name, build)
            table = Table(name, "feature_drift")
            drift = read_rows(
                connection, f"FROM {table.sql} ORDER BY psi DESC NULLS FIRST, feature"
            )
            shown: Metadata = {
                "features": small_table(
                    connection, f"FROM {table.sql} ORDER BY psi DESC NULLS FIRST, feature"
                )
            }
            if drift:
                shown["picture"] = picture(drift_chart(drift, rules))
            alarm = _alarm(name, drift)
            return table_result(connection, table, rows, build, shown, checks=[alarm])

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "feature_drift"]],
        kinds={"python"},
        check_specs=contract_checks(name, "refit_decision"),
    )
    def refit_decision(
        context: dg.AssetExecutionContext, workshop: Workshop, config: RefitRequest
    ) -> dg.MaterializeResult:
        """Whether the night keeps its model, fits another one, or calls a person, and why."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "feature_drift")], build.as_of)
            if config.ask_for_refit:
                request_refit(connection, name, config.ask_for_refit, build.as_of)
            made = make_refit_decision(connection, workshop.home, name, build)
            if made.decision == "alert":
                context.log.warning(f"{name}: {made.reason}")
            table = Table(name, "refit_decision")
            told: Metadata = {
                "decision": made.decision,
                "reasons": made.reason,
                "figures": small_table(connection, f"FROM {table.sql}"),
            }
            return table_result(connection, table, 1, build, told)

    return [feature_drift, refit_decision]


def _alarm(name: str, drift: Sequence[dict[str, Any]]) -> dg.AssetCheckResult:
    """Show an alarm, which stops nothing: what follows from it is decided next."""
    by_feature = sorted(drift, key=lambda row: str(row["feature"]))
    alarms = [str(row["reason"]) for row in by_feature if row["level"] == "alarm"]
    return dg.AssetCheckResult(
        asset_key=[name, "feature_drift"],
        check_name=_NO_ALARM,
        passed=not alarms,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(alarms) or f"none of {len(drift)} features is an alarm",
        metadata={"alarms": len(alarms), "features": len(drift)},
    )
