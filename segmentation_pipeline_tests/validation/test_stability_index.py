"""PSI and its floor against values worked out by hand."""

import numpy as np
import pytest

from segmentation_pipeline.validation.stability_index import stability_index


def test_two_bins_by_hand():
    found = stability_index([50, 50], [70, 30])

    # (.7 - .5) ln(.7 / .5) + (.3 - .5) ln(.3 / .5) = .2 x .3364722 + .2 x .5108256
    assert found.psi == pytest.approx(0.1694596, abs=1e-7)
    # (1/100 + 1/100) x 3.8414588, the 95th percentile of chi-square with one degree of freedom
    assert found.floor == pytest.approx(0.0768292, abs=1e-7)


def test_three_bins_of_unequal_numbers_by_hand():
    found = stability_index([100, 200, 100], [30, 40, 30])

    # (.3 - .25) ln 1.2 + (.4 - .5) ln .8 + (.3 - .25) ln 1.2 = .0182322 + .0223144
    assert found.psi == pytest.approx(0.0405465, abs=1e-7)
    assert found.floor == pytest.approx((1 / 400 + 1 / 100) * 5.9914645, abs=1e-7)


def test_an_empty_bin_counts_as_half_a_customer():
    found = stability_index([100, 0], [90, 10])

    # (.9 - 1) ln .9 + (.1 - .005) ln(.1 / .005) = .0105361 + .0950000 x 2.9957323
    assert found.psi == pytest.approx(0.0105361 + 0.2845946, abs=1e-6)


def test_a_bin_that_is_empty_on_both_sides_is_none():
    assert stability_index([50, 0, 50], [70, 0, 30]) == stability_index([50, 50], [70, 30])


def test_the_same_customers_have_no_drift():
    assert stability_index([10, 20, 30], [10, 20, 30]).psi == 0
    assert stability_index([10, 20, 30], [100, 200, 300]).psi == pytest.approx(0, abs=1e-15)


def test_one_bin_never_drifts():
    found = stability_index([60], [20])

    assert (found.psi, found.floor) == (0, 0)


@pytest.mark.parametrize(("before", "now"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])])
def test_there_is_nothing_to_compare_without_values(before, now):
    assert stability_index(before, now) is None


def test_chance_exceeds_the_floor_one_time_in_twenty():
    draws = np.random.default_rng(7)
    shares = np.full(10, 0.1)
    exceeded = 0
    for _ in range(2000):
        before, now = draws.multinomial(400, shares), draws.multinomial(300, shares)
        found = stability_index(before.tolist(), now.tolist())
        exceeded += found.psi > found.floor

    assert 0.04 <= exceeded / 2000 <= 0.065
