"""Which strategies of the playbook apply to which segment, and on what evidence.

What belongs here: the choice. How evidence reads belongs to `evidence`; what a playbook may say, to
the specification.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.segments.evidence import Finding, Subjects, condition_words, find
from segmentation_pipeline.specification.kpis import EVERYBODY, Kpi
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.strategies import NO_STRATEGY, Condition, Strategy
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_rows

_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "strategy": pa.string(),
        "rank": pa.int32(),
        "priority": pa.int32(),
        "message": pa.string(),
        "channel": pa.string(),
        "offer": pa.string(),
        "goal_kpi": pa.string(),
        "conditions": pa.string(),
        "evidence": pa.string(),
    }
)


@dataclass(frozen=True)
class Figures:
    """The published figures of a segmentation's segments, each row under what identifies it."""

    segments: Mapping[str, Mapping[str, Any]]
    profiles: Mapping[tuple[str, str], Mapping[str, Any]]
    shares: Mapping[tuple[str, str, str], Mapping[str, Any]]
    traits: Mapping[tuple[str, str, str | None], Mapping[str, Any]]
    kpis: Mapping[tuple[str, str], Mapping[str, Any]]

    def row(self, segment_id: str, condition: Condition) -> Mapping[str, Any] | None:
        """Find the row that answers a condition about a segment; None where there is none."""
        if condition.kpi is not None:
            return self.kpis.get((segment_id, condition.kpi))
        if condition.feature is None:
            return self.segments[segment_id]
        if condition.measure == "trait_rank":
            return self.traits.get((segment_id, condition.feature, condition.category))
        if condition.category is None:
            return self.profiles.get((segment_id, condition.feature))
        return self.shares.get((segment_id, condition.feature, condition.category))


def asks_for_kpis(spec: SegmentationSpec) -> bool:
    """Whether a condition of the playbook is about a KPI."""
    return any(
        one.kpi is not None for strategy in spec.strategies.values() for one in strategy.when
    )


def make_segment_strategies(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    kpis: Mapping[str, Kpi],
    build: Build,
) -> int:
    """Write `segment_strategies`: what applies to each segment, the first priority first.

    A segment to which nothing applies has one row that says so. Noise, and a segment without
    customers, have none. `segment_kpis` is read where a condition asks for a KPI. Returns the
    number of rows.

    Raises SpecificationError where an expression turns out to be of another kind than a condition
    takes it for.
    """
    figures = _figures(connection, name, build.as_of if asks_for_kpis(spec) else None)
    rows = strategy_rows(name, spec, kpis, figures)
    return write_rows(connection, Table(name, "segment_strategies"), _SCHEMA, list(rows), build)


def segments_without_strategy(connection: Connection, name: str) -> list[str]:
    """Name the segments to which no strategy applies, in the order of their size."""
    rows = connection.execute(
        f"SELECT segment_id FROM {Table(name, 'segment_strategies').sql}"
        f" JOIN {Table(name, 'segments').sql} USING (segment_id)"
        " WHERE strategy = ? ORDER BY customers DESC, segment_id",
        [NO_STRATEGY],
    ).fetchall()
    return [str(row[0]) for row in rows]


def strategy_rows(
    name: str, spec: SegmentationSpec, kpis: Mapping[str, Kpi], figures: Figures
) -> Iterator[dict[str, Any]]:
    """Hold each strategy against each segment that has customers and is not noise."""
    subjects = Subjects(spec.features, kpis)
    _refuse_other_kinds(name, spec, figures)
    # The sort is stable: of equal priorities, the one that stands first in the file comes first.
    playbook = sorted(spec.strategies.items(), key=lambda item: item[1].priority)
    for segment_id, segment in sorted(figures.segments.items()):
        if segment["is_noise"] or not segment["customers"]:
            continue
        held = [
            (strategy_name, strategy, _findings(segment_id, strategy, subjects, figures))
            for strategy_name, strategy in playbook
        ]
        applying = [one for one in held if all(finding.holds for finding in one[2])]
        for rank, (strategy_name, strategy, findings) in enumerate(applying, start=1):
            yield {
                "segment_id": segment_id,
                "strategy": strategy_name,
                "rank": rank,
                **strategy.model_dump(exclude={"when", "experiment"}),
                "conditions": _joined(condition_words(c, subjects) for c in strategy.when),
                "evidence": _joined(finding.words for finding in findings),
            }
        if not applying:
            yield _nothing_applies(segment_id, held, subjects)


def _findings(
    segment_id: str, strategy: Strategy, subjects: Subjects, figures: Figures
) -> list[Finding]:
    return [
        find(condition, figures.row(segment_id, condition), subjects) for condition in strategy.when
    ]


def _nothing_applies(
    segment_id: str, held: list[tuple[str, Strategy, list[Finding]]], subjects: Subjects
) -> dict[str, Any]:
    """Say so in a row, with what the nearest strategy lacks: fewest conditions, then priority."""
    row: dict[str, Any] = dict.fromkeys(_SCHEMA.names)
    row |= {"segment_id": segment_id, "strategy": NO_STRATEGY, "rank": 1}
    if not held:
        return {**row, "evidence": "The segmentation's file has no strategies"}
    nearest, strategy, findings = min(
        held, key=lambda one: sum(not finding.holds for finding in one[2])
    )
    lacking = [
        (condition, finding)
        for condition, finding in zip(strategy.when, findings, strict=True)
        if not finding.holds
    ]
    found = _joined(finding.words for _, finding in lacking)
    return {
        **row,
        "conditions": _joined(condition_words(c, subjects) for c, _ in lacking),
        "evidence": f"No strategy applies; {nearest} comes nearest, but: {found}",
    }


def _refuse_other_kinds(name: str, spec: SegmentationSpec, figures: Figures) -> None:
    """Refuse the mean of what turned out to be a category, and a category of a number."""
    numbers = {feature for _, feature in figures.profiles}
    categories = {feature for _, feature, _ in figures.shares}
    for strategy_name, strategy in spec.strategies.items():
        for index, condition in enumerate(strategy.when):
            wrong = numbers if condition.category is not None else categories
            if condition.feature in wrong:
                kind = "number" if wrong is numbers else "category"
                raise SpecificationError(
                    f"segmentations/{name}.yaml: strategies.{strategy_name}.when.{index}: "
                    f"`{condition.feature}` is a {kind}: `measure: {condition.measure}` "
                    f"{'with' if condition.category is not None else 'without'} `category` is "
                    "not for it"
                )


def _joined(words: Iterator[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def _figures(connection: Connection, name: str, kpi_date: dt.date | None) -> Figures:
    """Read the segments' figures, and of a date given their KPIs next to everybody's."""

    def rows(table: str, of: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            connection.sql(f"FROM {Table(name, table).sql} {of}").to_arrow_table().to_pylist()
        )
        return found

    kpis: list[dict[str, Any]] = []
    if kpi_date is not None:
        kpis = rows("segment_kpis", f"WHERE kpi_date = {literal(kpi_date)}")
    overall = {row["kpi"]: row["value"] for row in kpis if row["segment_id"] == EVERYBODY}
    return Figures(
        segments={row["segment_id"]: row for row in rows("segments")},
        profiles={(row["segment_id"], row["feature"]): row for row in rows("segment_profiles")},
        shares={
            (row["segment_id"], row["feature"], row["category"]): row
            for row in rows("segment_category_shares")
        },
        traits={
            (row["segment_id"], row["feature"], row["category"]): row | {"trait_rank": row["rank"]}
            for row in rows("segment_traits")
        },
        kpis={
            (row["segment_id"], row["kpi"]): row | {"overall_value": overall[row["kpi"]]}
            for row in kpis
        },
    )
