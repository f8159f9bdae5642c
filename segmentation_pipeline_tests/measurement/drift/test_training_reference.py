"""The bins that a model keeps of the customers it was fitted on, in its files too."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.model import load_model, save_model
from segmentation_pipeline.measurement.training_reference import (
    KNOWN_CATEGORIES,
    count_features,
    learn_reference,
    reference_of,
)
from segmentation_pipeline.warehouse import Table, open_warehouse

FEATURES = Table("lens", "engineered_features")
HALVES = [number + 0.5 for number in range(100)]


def learned(lens, visits, channel, number=0):
    lens.write_customers(number, visits, channel)
    return reference_of(lens.fit(number))


def test_a_number_is_cut_at_its_deciles_each_included(lens):
    found = learned(lens, HALVES, ["web", "mail"] * 50)
    visits = found.features["visits"]

    assert visits.cuts == (9.5, 19.5, 29.5, 39.5, 49.5, 59.5, 69.5, 79.5, 89.5)
    assert visits.counts == (10,) * 10
    assert (found.as_of, found.customers) == (lens.date(0), 100)


def test_repeated_cuts_are_merged(lens):
    # Deciles 0, 0, 0, 0, 0, 0, 1, 1, 2: no bin could hold what lies between a value and itself.
    visits = [0] * 65 + [1] * 20 + [2] * 10 + [3] * 5
    found = learned(lens, visits, ["web", "mail"] * 50).features["visits"]

    assert found.cuts == (0, 1, 2)
    assert found.counts == (65, 20, 10, 5)


def test_the_last_bin_has_no_end_and_was_not_empty(lens):
    found = learned(lens, [0] * 50 + [1] * 50, ["web", "mail"] * 50)
    assert found.features["visits"].cuts == (0,)

    lens.write_customers(1, [-3, 0, 0.5, 1, 99], ["web"] * 5)
    _, counted = count_features(lens.connection, FEATURES, found.features)

    assert counted["visits"].counts == (2, 3)


def test_missing_values_are_counted_apart(lens):
    visits = [None] * 20 + HALVES[:80]
    found = learned(lens, visits, [None] * 10 + ["web"] * 60 + ["mail"] * 30)

    assert found.features["visits"].missing == 20
    assert sum(found.features["visits"].counts) == 80
    assert found.features["channel"].missing == 10
    assert found.features["channel"].counts == (60, 30, 0)


def test_the_nine_most_frequent_categories_are_bins_and_ties_go_by_name(lens):
    channel = [f"c{letter}" for letter in "abcdefghijkl"] * 10 + ["cl"] * 2
    visits = [number + 0.5 for number in range(122)]
    found = learned(lens, visits, channel).features["channel"]

    assert found.categories == ("cl", "ca", "cb", "cc", "cd", "ce", "cf", "cg", "ch")
    assert found.counts == (12, *(10,) * 8, 30)
    assert len(found.known) == 12
    assert found.rare == 0


def test_a_category_of_few_customers_is_not_kept(lens):
    channel = ["web"] * 81 + ["mail"] * 10 + ["post"] * 9
    found = learned(lens, HALVES, channel).features["channel"]

    assert found.known == ("web", "mail")
    assert found.counts == (81, 10, 9)
    assert found.rare == 9


def test_a_thousand_categories_are_known_and_the_others_are_rare(lens):
    several = KNOWN_CATEGORIES + 50
    channel = [f"c{number:05}" for number in range(several)] * 10 + ["web"] * 11
    visits = [number + 0.5 for number in range(len(channel))]
    found = learned(lens, visits, channel).features["channel"]

    assert len(found.known) == KNOWN_CATEGORIES
    assert found.known[:2] == ("web", "c00000")
    assert found.rare == 510


def test_counts_are_of_all_customers_and_neither_order_nor_threads_matter(lens, tmp_path):
    draws = np.random.default_rng(3)
    visits = draws.gamma(2.0, size=500).tolist()
    channel = draws.choice(["web", "mail", "phone"], 500).tolist()
    found = learned(lens, visits, channel)
    model = lens.fit(0)

    lens.write_customers(0, visits, channel, order=draws.permutation(500))
    lens.connection.execute("SET threads = 1")
    again = reference_of(learn_reference(lens.connection, lens.home, "lens", model, lens.night(0)))

    assert again == found
    assert sum(found.features["visits"].counts) == 500


def test_a_model_keeps_its_reference_in_its_files(lens, tmp_path):
    lens.write_customers(0, [None, *HALVES[:99]], ["web", "mail"] * 50)
    model = lens.fit(0)
    digest = save_model(model, tmp_path / "model")

    loaded = load_model(tmp_path / "model", digest)

    assert reference_of(loaded) == reference_of(model)
    assert reference_of(loaded).median_distance > 0


def test_a_model_of_an_earlier_release_has_none(lens):
    lens.write_customers(0, HALVES, ["web", "mail"] * 50)

    assert reference_of(lens.fit(0, has_reference=False)) is None


def test_the_median_distance_is_the_one_that_the_model_was_fitted_with(lens):
    lens.write_customers(0, HALVES, ["web", "mail"] * 50)
    model = lens.fit(0)

    assert reference_of(model).median_distance == pytest.approx(
        dict(model.arrays["distance_percentiles"].tolist())[50.0], rel=1e-6
    )


def test_no_customers_have_no_counts(lens):
    found = learned(lens, HALVES, ["web", "mail"] * 50)
    lens.write_customers(1, [], [])

    customers, counted = count_features(lens.connection, FEATURES, found.features)

    assert customers == 0
    assert counted["visits"].counts == (0,) * 10
    assert counted["channel"].counts == (0, 0, 0)


def test_a_hundred_thousand_customers_are_counted_at_once(tmp_path, lens):
    found = learned(lens, HALVES, ["web", "mail"] * 50)
    with open_warehouse(tmp_path / "many.duckdb", threads=1) as connection:
        connection.execute(
            "CREATE SCHEMA lens; CREATE TABLE lens.engineered_features AS"
            " SELECT range::VARCHAR AS customer_id, range % 100 + 0.5::DOUBLE AS visits,"
            " CASE WHEN range % 4 = 0 THEN 'mail' ELSE 'web' END AS channel FROM range(100_000)"
        )
        customers, counted = count_features(connection, FEATURES, found.features)

    assert customers == 100_000
    assert counted["visits"].counts == (10_000,) * 10
    assert counted["channel"].counts == (25_000, 75_000, 0)
