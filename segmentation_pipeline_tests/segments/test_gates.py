"""Each gate, open and shut, at its threshold."""

import pytest

from segmentation_pipeline.segments.gates import (
    ChallengerFigures,
    SmallestSegment,
    judge_gates,
)
from segmentation_pipeline.segments.shadow import ShadowNight
from segmentation_pipeline.specification.refit import Refit

SMALLEST = SmallestSegment(10, 0.05)


def a_night(migration=0.1, smallest=100, customers=1_000):
    return ShadowNight(1, customers, 0.9, migration, 3, smallest, "[]", 0.0, None)


def figures(verdict="weak", champion="weak", segments=3, lowest=0.8, **options):
    return ChallengerFigures(verdict, champion, segments, lowest, **options)


def shut(found=None, nights=None, **rules):
    gates = judge_gates(found or figures(), nights or [a_night()], SMALLEST, Refit(**rules))
    assert [gate.name for gate in gates] == ["verdict", "stability", "sizes", "migration"]
    return [gate.name for gate in gates if not gate.is_open]


@pytest.mark.parametrize(
    ("verdict", "champion", "is_open"),
    [
        ("supported", "weak", True),
        ("weak", "weak", True),
        ("weak", "supported", False),
        ("continuum", "weak", False),
        ("continuum", "too few to tell", True),
        ("too few to tell", "continuum", True),
        ("no structure", "continuum", False),
        ("no structure", "no structure", True),
    ],
)
def test_the_verdict_must_not_be_worse(verdict, champion, is_open):
    assert shut(figures(verdict, champion)) == ([] if is_open else ["verdict"])


def test_a_yaml_that_keeps_its_model_on_a_continuum_keeps_it():
    assert shut(figures("continuum", "continuum", keeps_model=True)) == ["verdict"]
    assert shut(figures("weak", "continuum", keeps_model=True)) == []


@pytest.mark.parametrize(
    ("segments", "lowest", "is_open"),
    [(3, 0.75, True), (3, 0.749, False), (3, None, False), (1, None, True)],
)
def test_every_segment_is_stable(segments, lowest, is_open):
    assert shut(figures(segments=segments, lowest=lowest)) == ([] if is_open else ["stability"])


@pytest.mark.parametrize(
    ("smallest", "customers", "is_open"),
    [(50, 1_000, True), (49, 1_000, False), (10, 200, True), (9, 100, False), (0, 100, False)],
)
def test_every_segment_is_large_enough(smallest, customers, is_open):
    nights = [a_night(smallest=smallest, customers=customers)]
    assert shut(nights=nights) == ([] if is_open else ["sizes"])


def test_few_enough_customers_would_move():
    assert shut(nights=[a_night(0.2)]) == []
    assert shut(nights=[a_night(0.201)]) == ["migration"]
    assert shut(nights=[a_night(0.201)], largest_migration=0.3) == []


def test_the_worst_night_counts():
    nights = [a_night(), a_night(migration=0.5), a_night(smallest=1), a_night()]

    assert shut(nights=nights) == ["sizes", "migration"]


def test_a_gate_says_its_figures():
    gates = judge_gates(figures("weak", "supported", lowest=0.61), [a_night(0.314)], SMALLEST,
                        Refit())  # fmt: skip

    said = [gate.sentence for gate in gates]
    assert said[0].startswith("its verdict is weak, and supported that of the model in force")
    assert said[0].endswith("worse")
    assert said[1] == "its least stable segment has a Jaccard index of 0.61, below 0.75"
    assert said[2].startswith("its smallest segment has 100 customers (10.0%), enough")
    assert said[3] == "31.4% of the customers would be in another segment, more than 20%"
