"""How far the columns of a load differ from those of the load before, and how far they may.

Each allowance is the declared one, or twice what chance explains where that is more: of small loads
shares differ from night to night without a cause. Twice the 95 % bound is about four standard
errors, which one comparison in ten thousand exceeds. What counts as drawn by chance are people, not
rows: events come in bursts, and 40 nights of 20 to 40 events gave an alarm in ten without that.
Results tell shares and ranks, never values.
"""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace

from segmentation_pipeline.specification.expectations import ChangeSeverity, DistributionChange
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation.expectations import (
    Expectation,
    ExpectationResult,
    Kind,
    Severity,
)
from segmentation_pipeline.validation.profiles import ColumnProfile, Look
from segmentation_pipeline.validation.stability_index import stability_index

_NOISE_BOUND = 1.96
_NOISE_FACTOR = 2.0
_FEWEST_VALUES = 10
"""Where ten values are expected, chance gives none once in twenty thousand times (e^-10)."""


def column_changes(
    name: str,
    source: SourceSpec,
    look: Look,
    now: ColumnProfile,
    before: ColumnProfile | None,
    ranks_before: tuple[float, ...],
    date: dt.date,
) -> Iterator[ExpectationResult]:
    """Compare a column with what it was in the load of `date`; None where that did not have it.

    `ranks_before` are the ranks, among the values now, of the quartiles before.
    """
    allowed = source.distribution
    missing = _expectation(name, "missing_change", allowed, allowed.maximum_missing_change)
    if before is None:
        yield not_compared(missing, now.rows, f"was not looked at in the load of {date}")
        return
    yield _missing(missing, now, before, date)
    kinds: dict[Look, tuple[Kind, float]] = {
        "words": ("shares_change", allowed.maximum_stability_index),
        "numbers": ("quantile_change", allowed.maximum_quantile_shift),
    }
    if look not in kinds:
        return
    expectation = _expectation(name, kinds[look][0], allowed, kinds[look][1])
    had_words, had_numbers = before.words is not None, bool(before.quartiles)
    if not now.values:
        may_be_empty = not before.values and source.columns[name].maximum_null_share >= 1.0
        usual = now.independent_rows * before.values / before.rows
        told = f"no value; {usual:.0f} would be usual" if usual else "neither load has a value"
        is_chance = 0 < usual < _FEWEST_VALUES
        yield _result(expectation, now.values, told, holds=may_be_empty or is_chance)
    elif not (had_words if look == "words" else had_numbers):
        yield not_compared(expectation, now.values, f"had no such value in the load of {date}")
    elif look == "words":
        yield _shares(expectation, now, before, date)
    else:
        yield _quartiles(expectation, now, before, ranks_before, date)


def not_compared(expectation: Expectation, rows: int, why: str) -> ExpectationResult:
    """Say that there is nothing to compare with: no failure that stops, and not held either."""
    told = f"nothing to compare with: {why}"
    warned = replace(expectation, severity="warning")
    return ExpectationResult(warned, False, rows, 0, 0.0, None, told, is_compared=False)


def severity_of(declared: ChangeSeverity) -> Severity:
    """Turn what was declared into the severity of a check that is made."""
    return "error" if declared == "error" else "warning"


def _expectation(name: str, kind: Kind, allowed: DistributionChange, maximum: float) -> Expectation:
    said = {
        "missing_change": "the share of missing values is as in the load before",
        "shares_change": "the categories have the shares that they had in the load before",
        "quantile_change": "the quartiles are where they were in the load before",
    }
    return Expectation(
        f"{name}__{kind}",
        kind,
        name,
        parameters={"maximum": maximum},
        severity=severity_of(allowed.of(name)),
        description=said[kind],
    )


def _result(expectation: Expectation, rows: int, message: str, *, holds: bool) -> ExpectationResult:
    return ExpectationResult(expectation, holds, rows, 0, float(not holds), None, message)


def _missing(
    expectation: Expectation, now: ColumnProfile, before: ColumnProfile, date: dt.date
) -> ExpectationResult:
    share, share_before = 1 - now.values / now.rows, 1 - before.values / before.rows
    pooled = 1 - (now.values + before.values) / (now.rows + before.rows)
    allowed = _allowed(
        expectation, _share_noise(pooled, now.independent_rows, before.independent_rows)
    )
    return _result(
        expectation,
        now.rows,
        f"{share:.1%} of {now.rows:,} rows have no value, {share_before:.1%} of {before.rows:,} in "
        f"the load of {date}; {allowed:.1%} more or less may",
        holds=abs(share - share_before) <= allowed,
    )


def _shares(
    expectation: Expectation, now: ColumnProfile, before: ColumnProfile, date: dt.date
) -> ExpectationResult:
    words = list(before.words or {})
    index = stability_index(before.counts(words), now.counts(words))
    if index is None:
        return not_compared(expectation, now.values, f"had no value in the load of {date}")
    # The floor is of independent values, of which there are fewer than rows.
    clumped = _noise(now.independent_values, before.independent_values)
    allowed = _allowed(expectation, index.floor * clumped / _noise(now.values, before.values))
    return _result(
        expectation,
        now.values,
        f"the shares of its categories differ from the load of {date} by a stability index of "
        f"{index.psi:.3f}; up to {allowed:.3f} may be",
        holds=index.psi <= allowed,
    )


def _quartiles(
    expectation: Expectation,
    now: ColumnProfile,
    before: ColumnProfile,
    ranks_now: tuple[float, ...],
    date: dt.date,
) -> ExpectationResult:
    shifts = [
        (
            abs(rank - was),
            _allowed(
                expectation,
                _share_noise(was, now.independent_values, before.independent_values),
            ),
        )
        for rank, was in zip(ranks_now, before.ranks, strict=True)
    ]
    shift, allowed = max(shifts, key=lambda one: one[0] - one[1])
    return _result(
        expectation,
        now.values,
        f"a quartile of the load of {date} moved by {shift:.1%} of the rows (what was its median "
        f"now has {ranks_now[1]:.1%} of the values below it, and had {before.ranks[1]:.1%}); up to "
        f"{allowed:.1%} may be",
        holds=shift <= allowed,
    )


def _share_noise(share: float, drawn: float, drawn_before: float) -> float:
    """Bound the difference of two samples' shares: 95 % of chance differences are below it."""
    return _NOISE_BOUND * math.sqrt(share * (1 - share) * _noise(drawn, drawn_before))


def _noise(drawn: float, drawn_before: float) -> float:
    return 1 / drawn + 1 / drawn_before


def _allowed(expectation: Expectation, noise: float) -> float:
    return max(float(expectation.parameters["maximum"]), _NOISE_FACTOR * noise)
