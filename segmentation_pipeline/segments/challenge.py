"""What becomes of a challenger tonight: it goes on in the shadow, is promoted, or waits.

What belongs here: the order of a challenger's life, by rule. Its figures belong to `shadow`, the
conditions to `gates`, what people decide to `model_decisions`; fitting one belongs to `assets`,
which has what it takes.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.clustering.kept_fits import challenge_of
from segmentation_pipeline.clustering.model_events import (
    ModelEvent,
    Wanted,
    challengers_on,
    champion_on,
)
from segmentation_pipeline.clustering.registry import ModelRecord, version_record
from segmentation_pipeline.clustering.verdicts import verdict_of
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.segments.gates import (
    ChallengerFigures,
    Gate,
    SmallestSegment,
    judge_gates,
)
from segmentation_pipeline.segments.shadow import create_shadow, read_nights
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_table

State = Literal["in its shadow", "promoted", "waiting"]


@dataclass(frozen=True)
class Standing:
    """Where a challenger stands after a night: how long it was watched, and what the gates say."""

    model_version: int
    state: State
    nights: int
    gates: tuple[Gate, ...]
    sentence: str


@dataclass(frozen=True)
class Rivals:
    """The challengers that a night finds: the one that goes on, and what ends the others."""

    going_on: ModelRecord | None
    ended: tuple[Wanted, ...]


def find_rivals(
    connection: Connection,
    home: Home,
    name: str,
    events: Sequence[ModelEvent],
    as_of: dt.date,
    *,
    is_refit: bool,
    is_asked: bool,
) -> Rivals:
    """Say which challenger of an earlier night goes on tonight; at most one does.

    One that was fitted under another specification doesn't, nor does one where a person asked for
    another, or where a refit is due again while it waits: it is of customers that were so long ago.
    `events` are those before the night (`model_events.events_before`).
    """
    spec, yesterday = home.segmentations[name], as_of - dt.timedelta(days=1)
    expected = fitting_digest(spec)
    going_on, ended = None, []
    for version in reversed(challengers_on(events, as_of)):
        record = version_record(connection, name, version)
        if record.specification_digest != expected:
            why = "what a model depends on was changed in the YAML"
        elif is_asked:
            why = "a person asked for another one"
        elif is_refit and (
            len(read_nights(connection, name, version, yesterday)) >= spec.refit.shadow_nights
        ):
            why = "a refit was due again while it waited for a person"
        elif going_on is not None:
            why = f"version {going_on.model_version} is watched instead"
        else:
            going_on = record
            continue
        ended.append(Wanted(version, "rejected", as_of, why))
    return Rivals(going_on, tuple(ended))


def standing_of(
    connection: Connection,
    home: Home,
    name: str,
    challenger: ModelRecord,
    events: Sequence[ModelEvent],
    as_of: dt.date,
) -> Standing:
    """Judge a challenger after tonight's `shadow_night`; promotes nothing by itself.

    The gates decide once, on the last night of the shadow. A promotion holds from the day after:
    tonight's customers have their segments already.
    """
    spec = home.segmentations[name]
    version, wanted = challenger.model_version, spec.refit.shadow_nights
    nights = read_nights(connection, name, version, as_of)
    gates = judge_gates(
        _figures(connection, challenger, spec.clustering.if_continuum == "keep_model"),
        nights[-wanted:],
        smallest_segment(home, name, challenger.k),
        spec.refit,
    )
    shut = [gate.sentence for gate in gates if not gate.is_open]
    called = f"challenger {version}, fitted on {challenger.as_of},"
    if len(nights) < wanted:
        sentence = f"{called} is in its shadow: {len(nights)} of {wanted} nights"
        return Standing(version, "in its shadow", len(nights), gates, sentence)
    after = as_of + dt.timedelta(days=1)
    is_decided = champion_on(events, after) == version
    if is_decided or (len(nights) == wanted and not shut):
        sentence = f"{called} is in force from {after}"
        return Standing(version, "promoted", len(nights), gates, sentence)
    why = "; ".join(shut) or "a gate was shut when its shadow ended, now none is"
    sentence = f"{called} waits for a person: {why}"
    return Standing(version, "waiting", len(nights), gates, sentence)


def wanted_of(standing: Standing, events: Sequence[ModelEvent], as_of: dt.date) -> list[Wanted]:
    """Say what a standing changes: the promotion, where the gates are open and nobody made it."""
    after = as_of + dt.timedelta(days=1)
    if standing.state != "promoted" or champion_on(events, after) == standing.model_version:
        return []
    reason = "all gates are open: " + "; ".join(gate.sentence for gate in standing.gates)
    return [Wanted(standing.model_version, "champion", after, reason)]


def make_challenger_nights(
    connection: Connection, name: str, standing: Standing | None, build: Build
) -> int:
    """Write the night's `challenger_nights`: one row where there is a challenger, else none."""
    create_shadow(connection)
    told = _told(standing)
    columns = ", ".join(
        f"CAST({literal(value)} AS {'BIGINT' if column == 'night' else 'VARCHAR'}) AS {column}"
        for column, value in told.items()
    )
    version = None if standing is None else standing.model_version
    query = (
        f"SELECT model_version AS challenger_version, {columns},"
        " champion_model_version AS champion_version, * EXCLUDE (segmentation, model_version,"
        " as_of, champion_model_version) FROM core.challenger_nights"
        f" WHERE segmentation = {literal(name)} AND as_of = {literal(build.as_of)}"
        f" AND model_version = {literal(version)}"
    )
    return write_table(connection, Table(name, "challenger_nights"), query, build)


def _told(standing: Standing | None) -> dict[str, str | int | None]:
    if standing is None:
        return dict.fromkeys(("night", "state", "shut_gates", "sentence"))
    shut = [gate.name for gate in standing.gates if not gate.is_open]
    return {
        "night": standing.nights,
        "state": standing.state,
        "shut_gates": ", ".join(shut) or None,
        "sentence": standing.sentence,
    }


def smallest_segment(home: Home, name: str, segments: int) -> SmallestSegment:
    """Say what a segmentation asks of its smallest segment."""
    declared = home.segmentations[name].clustering.smallest_share
    share = min(0.01, 0.2 / max(1, segments)) if declared is None else declared
    return SmallestSegment(home.customers.limits.smallest_group, share)


def _figures(
    connection: Connection, challenger: ModelRecord, keeps_model: bool
) -> ChallengerFigures:
    challenge = challenge_of(connection, challenger.segmentation, challenger.model_version)
    if challenge is None:
        raise ClusteringError(
            f"{challenger.segmentation} has no record of how model {challenger.model_version} was "
            "fitted: restore the warehouse from a backup"
        )
    verdict, lowest = verdict_of(connection, challenger)
    return ChallengerFigures(verdict, challenge.against_verdict, challenger.k, lowest, keeps_model)
