"""What a group's KPI is told from: exact sums over its customers, made in one pass.

What belongs here: the sums of powers and products of a KPI's parts, by segment. What they tell
belongs to `kpi_intervals`.

Sums run over integers: DuckDB adds floats in whatever order its threads finish, and the last bits
differ from run to run. Each part is scaled by a power of two such that its largest magnitude is
2^40, as in `segments.profiles`; for cubes, which need the room, 2^26. Python's integers then lose
nothing in the subtractions that variances are. Parts that are small whole numbers, as counts are,
need no scale for that: they are summed up as they are, with half the work, and the sums scaled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from segmentation_pipeline.warehouse import Connection, literal, quote

NUMERATOR, DENOMINATOR = "n", "d"
NUMERATOR_BEFORE, DENOMINATOR_BEFORE = "p", "e"
NOW = (NUMERATOR, DENOMINATOR)
BEFORE = (NUMERATOR_BEFORE, DENOMINATOR_BEFORE)
CUBE, CUBE_OF_CHANGE = "nnn", "change"

_BITS = 40
_BITS_OF_CUBES = 26
_MOST_BITS = 500
"""No larger scale: a power of two beyond 1,023 is no DOUBLE."""
_BITS_OF_SMALL = 20
"""Whole numbers below 2^20 are small: the cube of a difference of two fits in a BIGINT."""
_COUNTS = ("customers", "measured", "contributing", "measured_before", "contributing_before")


@dataclass(frozen=True)
class KpiColumns:
    """Where a KPI's parts stand in a relation of customers; without denominator it counts as 1.

    `numerator_before` is None where the window before isn't covered by what was loaded.
    """

    numerator: str
    denominator: str | None
    numerator_before: str | None
    denominator_before: str | None

    @property
    def all(self) -> list[str]:
        """Those that there are."""
        found = (
            self.numerator, self.denominator, self.numerator_before, self.denominator_before,
        )  # fmt: skip
        return [one for one in found if one is not None]


@dataclass(frozen=True)
class KpiSums:
    """Counts of a group's customers, and sums over them of the KPI's parts, as whole numbers.

    `measured` customers have a value (of a ratio: anything to divide, or to divide by), and
    `contributing` ones a value other than 0 (of a ratio: the same customers). `sums` has the sum of
    each part by its letter and of each product by both letters; a part that a customer lacks
    counts as 0, and its denominator too. The true sum of numerators is that of `n` divided by
    `numerator_scale`.
    """

    customers: int
    measured: int
    contributing: int
    measured_before: int
    contributing_before: int
    sums: Mapping[str, int]
    numerator_scale: float = 1.0
    denominator_scale: float = 1.0
    has_before: bool = False

    @property
    def unit(self) -> float:
        """By what a quotient of scaled parts is multiplied to be one of the parts."""
        return self.denominator_scale / self.numerator_scale


@dataclass(frozen=True)
class _Scales:
    """The scales of a KPI's parts; sums of those that `are_small` are scaled afterwards."""

    numerator: float
    denominator: float
    are_small: bool

    @property
    def integers(self) -> str:
        """The type of the parts."""
        return "BIGINT" if self.are_small else "HUGEINT"

    def part_sql(self, value: str, scale: float, name: str) -> str:
        """Write a part to be summed."""
        scaled = value if self.are_small else f"{value} * {literal(scale)}"
        return f"CAST({scaled} AS {self.integers}) AS {quote(name)}"

    def shift(self, key: str, *, is_divided: bool) -> int:
        """By how many bits a sum of small parts is scaled."""
        over, under = (math.frexp(scale)[1] - 1 for scale in (self.numerator, self.denominator))
        if key in (CUBE, CUBE_OF_CHANGE):
            return 3 * over
        is_over = [letter in (NUMERATOR, NUMERATOR_BEFORE) for letter in key]
        return sum(over if one else under * is_divided for one in is_over)


def sums_by_segment(
    connection: Connection, relation: str, kpis: Mapping[str, KpiColumns]
) -> dict[str, dict[str, KpiSums]]:
    """Sum up KPIs over a relation with `segment_id`: KPI -> segment -> its sums."""
    scales = _scales(connection, relation, kpis)
    parts, sums = [], []
    for index, (name, columns) in enumerate(kpis.items()):
        parts += _parts_sql(index, columns, scales[name])
        sums += _sums_sql(index, columns)
    # Some are the same: where all that is divided by is 1, the sum of it is that of its squares.
    summed = [*dict.fromkeys(sums)]
    rows = connection.execute(
        f"SELECT segment_id, count(*), {', '.join(summed)}"
        f" FROM (SELECT segment_id, {', '.join(parts)} FROM {relation})"
        " GROUP BY segment_id ORDER BY segment_id"
    ).fetchall()
    found: dict[str, dict[str, KpiSums]] = {name: {} for name in kpis}
    for segment_id, customers, *values_of in rows:
        value_of = dict(zip(summed, values_of, strict=True))
        values, start = [value_of[sql] for sql in sums], 0
        for name, columns in kpis.items():
            letters = _letters(columns)
            end = start + 4 + len(_products(letters)) + len(_cubes(columns))
            found[name][segment_id] = _sums_of(
                customers, values[start:end], columns, letters, scales[name]
            )
            start = end
    return found


def total(groups: Sequence[KpiSums]) -> KpiSums:
    """Add up groups that no customer shares, summed by one pass; at least one."""
    first = groups[0]
    counts = {name: sum(getattr(group, name) for group in groups) for name in _COUNTS}
    sums = {key: sum(group.sums[key] for group in groups) for key in first.sums}
    return KpiSums(
        **counts,
        sums=sums,
        numerator_scale=first.numerator_scale,
        denominator_scale=first.denominator_scale,
        has_before=first.has_before,
    )


def _scales(
    connection: Connection, relation: str, kpis: Mapping[str, KpiColumns]
) -> dict[str, _Scales]:
    """KPI -> the scale of its numerators and of its denominators, each a power of two."""
    asked = []
    for columns in kpis.values():
        for pair in (
            (columns.numerator, columns.numerator_before),
            (columns.denominator, columns.denominator_before),
        ):
            there = [quote(one) for one in pair if one is not None]
            sizes = ", ".join(f"max(abs({one}))" for one in there)
            wholes = " AND ".join(f"count(*) FILTER ({one} <> trunc({one})) = 0" for one in there)
            asked += [f"greatest({sizes})", wholes] if there else ["NULL", "TRUE"]
    found = connection.execute(f"SELECT {', '.join(asked)} FROM {relation}").fetchall()[0]
    scales = [
        2.0 ** min(_BITS - math.frexp(size)[1], _MOST_BITS) if size else 1.0 for size in found[::2]
    ]
    are_small = [
        bool(is_whole) and (size or 0.0) < 2.0**_BITS_OF_SMALL
        for size, is_whole in zip(found[::2], found[1::2], strict=True)
    ]
    return {
        name: _Scales(scales[at], scales[at + 1], are_small[at] and are_small[at + 1])
        for at, name in zip(range(0, len(scales), 2), kpis, strict=True)
    }


def _parts_sql(index: int, columns: KpiColumns, scales: _Scales) -> list[str]:
    """Write the columns of parts to be summed: `<index> n`, `<index> d`, ..., those for cubes."""
    written = []
    pairs = [(NOW, columns.numerator, columns.denominator)]
    if columns.numerator_before is not None:
        pairs.append((BEFORE, columns.numerator_before, columns.denominator_before))
    for (over, under), numerator, denominator in pairs:
        value = f"coalesce({quote(numerator)}, 0)"
        written.append(scales.part_sql(value, scales.numerator, f"{index} {over}"))
        if denominator is None:
            counts = f"({quote(numerator)} IS NOT NULL)::{scales.integers}"
            written.append(f"{counts} AS {quote(f'{index} {under}')}")
            coarse = scales.numerator / 2.0 ** (_BITS - _BITS_OF_CUBES)
            written.append(scales.part_sql(value, coarse, f"{index} {over} coarse"))
        else:
            value = f"coalesce({quote(denominator)}, 0)"
            written.append(scales.part_sql(value, scales.denominator, f"{index} {under}"))
    return written


def _sums_sql(index: int, columns: KpiColumns) -> list[str]:
    """Write the aggregates of a KPI: four counts, sums, sums of products, sums of cubes."""
    counted = []
    for over, under in (NOW, BEFORE):
        if over == NUMERATOR_BEFORE and columns.numerator_before is None:
            counted += ["0", "0"]
            continue
        top, bottom = quote(f"{index} {over}"), quote(f"{index} {under}")
        if columns.denominator is None:
            counted += [_sum_sql(bottom), f"count(*) FILTER ({top} <> 0)"]
        else:
            counted += [f"count(*) FILTER ({top} <> 0 OR {bottom} <> 0)"] * 2
    products = [
        " * ".join(quote(f"{index} {letter}") for letter in _factors(product, columns))
        for product in _products(_letters(columns))
    ]
    cubes = {
        CUBE: quote(f"{index} n coarse"),
        CUBE_OF_CHANGE: f"({quote(f'{index} n coarse')} - {quote(f'{index} p coarse')})",
    }
    products += [" * ".join([cubes[key]] * 3) for key in _cubes(columns)]
    return [*counted, *map(_sum_sql, products)]


def _sum_sql(product: str) -> str:
    return f"coalesce(sum({product}), 0)"


def _factors(product: str, columns: KpiColumns) -> str:
    """Leave out of a product a denominator that is 1 wherever the rest of it isn't 0.

    >>> _factors("nd", KpiColumns("visits", None, None, None))
    'n'
    """
    is_counted = columns.denominator is None and product in {"nd", "dd", "pe", "ee"}
    return product[0] if is_counted else product


def _sums_of(
    customers: int,
    values: Sequence[int],
    columns: KpiColumns,
    letters: str,
    scales: _Scales,
) -> KpiSums:
    measured, contributing, measured_before, contributing_before = map(int, values[:4])
    keys = [*_products(letters), *_cubes(columns)]
    sums = {key: int(value) for key, value in zip(keys, values[4:], strict=True)}
    if scales.are_small:
        is_divided = columns.denominator is not None
        for key in keys:
            sums[key] <<= scales.shift(key, is_divided=is_divided)
    else:
        for key in _cubes(columns):
            sums[key] <<= 3 * (_BITS - _BITS_OF_CUBES)
    return KpiSums(
        customers,
        measured,
        contributing,
        measured_before,
        contributing_before,
        sums=sums,
        numerator_scale=scales.numerator,
        denominator_scale=1.0 if columns.denominator is None else scales.denominator,
        has_before=columns.numerator_before is not None,
    )


def _letters(columns: KpiColumns) -> str:
    return "".join(NOW if columns.numerator_before is None else (*NOW, *BEFORE))


def _products(letters: str) -> list[str]:
    """List the parts, and the pairs of them.

    >>> _products("nd")
    ['n', 'd', 'nn', 'nd', 'dd']
    """
    return [*letters, *("".join(pair) for pair in combinations_with_replacement(letters, 2))]


def _cubes(columns: KpiColumns) -> list[str]:
    if columns.denominator is not None:
        return []
    return [CUBE] if columns.numerator_before is None else [CUBE, CUBE_OF_CHANGE]
