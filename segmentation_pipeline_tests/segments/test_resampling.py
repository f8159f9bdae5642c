"""Resampled differences are those of the customers, as certain as their number allows."""

import numpy as np
import pytest

from segmentation_pipeline.segments.resampling import SegmentSample, interval, resample


def planted(sizes, shifts, seed=0):
    """A sample of each segment: a column that differs by the shifts, and one that doesn't."""
    generator = np.random.default_rng(seed)
    return [
        SegmentSample(f"s-{at}", size, generator.normal([shift, 0], 1, (size, 2)))
        for at, (size, shift) in enumerate(zip(sizes, shifts, strict=True), start=1)
    ]


def cohen(inside, outside):
    pooled = (inside.size * inside.var() + outside.size * outside.var()) / (
        inside.size + outside.size
    )
    return (inside.mean() - outside.mean()) / np.sqrt(pooled)


def test_the_interval_is_around_the_difference_and_noise_includes_none():
    samples = planted([150, 250], [1.0, 0.0])
    first, second = (sample.values[:, 0] for sample in samples)

    found = {one.segment_id: one for one in resample(samples, seed=1)}

    lower, upper = interval(found["s-1"].differences)
    assert lower[0] < cohen(first, second) < upper[0]
    assert found["s-1"].differences[:, 0].mean() == pytest.approx(cohen(first, second), abs=0.03)
    # Hedges & Olkin 1985: the standard error of d is near sqrt(1/n + 1/m + d^2 / 2(n + m)).
    assert found["s-1"].differences[:, 0].std() == pytest.approx(0.109, rel=0.2)
    assert lower[1] < 0 < upper[1]
    assert found["s-2"].differences[:, 0] == pytest.approx(-found["s-1"].differences[:, 0])


def test_equal_seeds_draw_alike_and_others_do_not():
    samples = planted([40, 60], [1.0, 0.0])

    one, again, other = (next(resample(samples, seed=seed)).differences for seed in (1, 1, 2))

    assert (one == again).all()
    assert not np.allclose(one, other)


def test_a_segment_counts_as_large_as_it_is_however_few_are_looked_at():
    everybody = planted([50, 4000, 4000], [2.0, 0.0, 1.0])
    looked_at = [
        SegmentSample(one.segment_id, one.size, one.values[:n])
        for one, n in zip(everybody, (50, 400, 100), strict=True)
    ]

    full, part = (next(resample(samples, seed=0)).differences for samples in (everybody, looked_at))

    assert part[:, 0].mean() == pytest.approx(full[:, 0].mean(), abs=0.1)


def test_missing_constant_and_perfectly_separate_columns():
    nothing = np.full(10, np.nan)
    inside = np.column_stack([nothing, np.ones(10), np.ones(10), [1.0] * 5 + [np.nan] * 5])
    outside = np.column_stack([np.arange(10.0), np.ones(10), np.zeros(10), np.zeros(10)])
    samples = [SegmentSample("s-1", 10, inside), SegmentSample("s-2", 10, outside)]

    first, second = resample(samples, seed=0)

    assert (first.differences[:, :2] == 0).all()
    assert (first.differences[:, 2] == np.inf).all()
    assert (second.differences[:, 2] == -np.inf).all()
    # Whoever has no value counts on neither side; hardly ever is nobody drawn who has one.
    assert (first.differences[:, 3] == np.inf).mean() > 0.95
    assert first.lifts[:, 2] == pytest.approx(2.0)


def test_the_interval_is_made_of_values_that_occurred():
    values = np.arange(200.0)[:, np.newaxis]

    lower, upper = interval(values)

    assert (lower[0], upper[0]) == (5.0, 194.0)
