"""Group `clustering` of a segmentation, before its model: drift, and whether a refit is due."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from segmentation_pipeline.assets.metadata import (
    Metadata,
    picture,
    read_rows,
    small_table,
    table_metadata,
)
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.measurement.drift import make_feature_drift
from segmentation_pipeline.measurement.refit_decision import make_refit_decision
from segmentation_pipeline.measurement.refit_requests import request_refit
from segmentation_pipeline.reports import drift_chart
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, Table, require_builds


class RefitRequest(dg.Config):
    """What a person may ask of a night in Dagster's launchpad."""

    ask_for_refit: str = Field(
        default="", description="Why another model is wanted; nobody asks where it is empty."
    )


def build_drift_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make `feature_drift` and `refit_decision`, which `model_candidates` waits for."""
    rules = home.segmentations[name].refit

    @dg.asset(key_prefix=[name], deps=[[name, "engineered_features"]], kinds={"duckdb"})
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
            pictures: Metadata = {}
            if drift:
                pictures["picture"] = picture(drift_chart(drift, rules))
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, rows),
                    "features": small_table(
                        connection, f"FROM {table.sql} ORDER BY psi DESC NULLS FIRST, feature"
                    ),
                    **pictures,
                }
            )

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "feature_drift"]],
        kinds={"python"},
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
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, 1),
                    "decision": made.decision,
                    "reasons": made.reason,
                    "figures": small_table(connection, f"FROM {table.sql}"),
                }
            )

    return [feature_drift, refit_decision]


def build_drift_checks(home: Home) -> Sequence[dg.AssetChecksDefinition]:
    """Make the check of each segmentation that shows an alarm; it stops nothing."""
    return [_no_drift_alarm(name) for name in home.segmentations]


def _no_drift_alarm(name: str) -> dg.AssetChecksDefinition:
    table = Table(name, "feature_drift")

    @dg.asset_check(
        asset=[name, "feature_drift"],
        name="no_drift_alarm",
        description="No feature is far from what the model was fitted on.",
        blocking=False,
    )
    def no_drift_alarm(
        context: dg.AssetCheckExecutionContext, workshop: Workshop
    ) -> dg.AssetCheckResult:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [table], build.as_of)
            alarms, features = _alarms(connection, table)
        return dg.AssetCheckResult(
            passed=not alarms,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(alarms) or f"none of {features} features is an alarm",
            metadata={"alarms": len(alarms), "features": features},
        )

    return no_drift_alarm


def _alarms(connection: Connection, table: Table) -> tuple[list[str], int]:
    """Say why features are an alarm, and how many were looked at."""
    rows = read_rows(connection, f"SELECT level, reason FROM {table.sql} ORDER BY feature")
    return [str(row["reason"]) for row in rows if row["level"] == "alarm"], len(rows)
