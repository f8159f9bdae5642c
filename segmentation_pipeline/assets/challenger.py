"""Group `clustering` of a segmentation, after its segments: the challenger, and who decides."""

from collections.abc import Iterator, Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import Metadata, small_table
from segmentation_pipeline.assets.new_challenger import ChallengerNight, run_challenge
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.model_events import make_model_events
from segmentation_pipeline.clustering.model_tables import make_model_versions
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.segments.challenge import make_challenger_nights
from segmentation_pipeline.warehouse import Table, require_builds

_TABLES = ("challenger_nights", "model_versions", "model_events")
_READ = ("customer_segments", "refit_decision", "structure_verdict")


def build_challenger_assets(name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's challenger, and of the registry of its models."""

    @dg.multi_asset(
        name=f"{name}__challenger",
        specs=[
            dg.AssetSpec(
                [name, table],
                deps=[[name, read] for read in _READ],
                kinds={"duckdb", "scikitlearn"} if table == "challenger_nights" else {"duckdb"},
                description=CONTRACTS[table].description,
            )
            for table in _TABLES
        ],
        check_specs=[
            *contract_checks(name, *_TABLES),
            dg.AssetCheckSpec(
                "no_challenger_waits",
                asset=[name, "challenger_nights"],
                description="No challenger waits for a person to promote or to reject it.",
            ),
        ],
    )
    def challenger(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in _READ], build.as_of)
            night = run_challenge(
                connection,
                workshop.home,
                name,
                build,
                lambda phrase: context.log.info(f"{name}: {phrase}"),
            )
            check = _nothing_waits(name, night)
            if not check.passed:
                context.log.warning(f"{name}: {check.description}")
            rows = {
                "challenger_nights": make_challenger_nights(
                    connection, name, night.standing, build
                ),
                "model_versions": make_model_versions(connection, name, build),
                "model_events": make_model_events(connection, name, build),
            }
            for table_name in _TABLES:
                table = Table(name, table_name)
                is_about_night = table_name == "challenger_nights"
                yield table_result(
                    connection,
                    table,
                    rows[table_name],
                    build,
                    {
                        "rows": small_table(connection, f"FROM {table.sql}"),
                        **(_told(night) if is_about_night else {}),
                    },
                    checks=[check] if is_about_night else [],
                    tags=_tags(night) if is_about_night else None,
                )

    return [challenger]


def _nothing_waits(name: str, night: ChallengerNight) -> dg.AssetCheckResult:
    commands = f"`segmentation promote {name}` or `segmentation reject {name}` decides"
    is_waiting = night.standing is not None and night.standing.state == "waiting"
    return dg.AssetCheckResult(
        asset_key=[name, "challenger_nights"],
        check_name="no_challenger_waits",
        passed=not (is_waiting or night.is_failed),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{night.sentence}: {commands}" if is_waiting else night.sentence,
    )


def _told(night: ChallengerNight) -> Metadata:
    told: Metadata = {"challenger": night.sentence}
    if night.standing is not None:
        for gate in night.standing.gates:
            state = "open" if gate.is_open else "shut"
            told[f"gate_{gate.name}"] = f"{state}: {gate.sentence}"
    return told


def _tags(night: ChallengerNight) -> dict[str, str]:
    if night.standing is None:
        return {"challenger": "none"}
    state = night.standing.state.replace(" ", "_")
    return {"challenger": str(night.standing.model_version), "challenger_state": state}
