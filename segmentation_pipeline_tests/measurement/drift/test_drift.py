"""`feature_drift` of hand-made nights, against values worked out by hand."""

import pytest

from segmentation_pipeline.clustering.model_events import SYSTEM
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.measurement.drift import read_model_drift
from segmentation_pipeline.warehouse import Table, column_types

VISITS = [0.0, 1.0] * 50
CHANNEL = ["web"] * 60 + ["mail"] * 40


@pytest.fixture
def fitted(lens):
    """A model on night 0: visits 0 and 1 by halves, channel web 60 %, mail 40 %."""
    lens.write_customers(0, VISITS, CHANNEL)
    lens.register(0)
    return lens


def test_the_same_customers_have_not_drifted(fitted):
    fitted.write_customers(1, VISITS, CHANNEL)

    for row in fitted.drift(1).values():
        assert (row["psi"], row["level"], row["reason"]) == (0, "ok", None)
        assert (row["customers"], row["reference_customers"]) == (100, 100)
        assert (row["reference_date"], row["reference_model_version"]) == (fitted.date(0), 1)
    assert read_model_drift(fitted.connection, "lens").median_distance_ratio == 1


def test_shares_that_moved_have_the_psi_of_the_formula(fitted):
    fitted.write_customers(1, [0.0] * 70 + [1.0] * 30, CHANNEL)

    visits = fitted.drift(1)["visits"]

    assert visits["psi"] == 0.16946  # as by hand in test_stability_index
    assert visits["psi_floor"] == 0.076829
    assert visits["level"] == "warn"
    assert visits["reason"] == "`visits` has another distribution (PSI 0.17, by chance 0.08)"


def test_thresholds_are_those_of_the_file(fitted):
    fitted.write_customers(1, [0.0] * 70 + [1.0] * 30, CHANNEL)

    fitted.declare(refit={"psi_alarm": 0.15, "floor_alarm": 2.0})

    assert fitted.drift(1)["visits"]["level"] == "alarm"


def test_new_categories_are_told_from_rare_ones(fitted):
    fitted.write_customers(1, VISITS, ["web"] * 54 + ["mail"] * 36 + ["chat"] * 10)

    channel = fitted.drift(1)["channel"]

    assert channel["new_category_share"] == 0.1
    assert channel["level"] == "alarm"
    assert channel["reason"].startswith("10.0% of the values of `channel` are in categories that")
    # (.54 - .6) ln .9 + (.36 - .4) ln .9 + (.1 - .005) ln 20
    assert channel["psi"] == pytest.approx(0.1 * 0.1053605 + 0.095 * 2.9957323, abs=1e-6)


def test_a_number_has_no_new_categories(fitted):
    fitted.write_customers(1, [9.0] * 100, CHANNEL)

    assert fitted.drift(1)["visits"]["new_category_share"] is None


def test_missing_values_are_no_part_of_the_psi(fitted):
    fitted.write_customers(1, [*VISITS[:70], *[None] * 30], CHANNEL)

    visits = fitted.drift(1)["visits"]

    assert visits["psi"] == 0
    assert visits["psi_floor"] == pytest.approx((1 / 100 + 1 / 70) * 3.8414588, abs=1e-6)
    assert (visits["missing_share"], visits["reference_missing_share"]) == (0.3, 0)
    assert visits["level"] == "alarm"


def test_a_feature_without_any_value_has_no_psi(fitted):
    fitted.write_customers(1, [None] * 100, CHANNEL)

    visits = fitted.drift(1)["visits"]

    assert (visits["psi"], visits["psi_floor"], visits["level"]) == (None, None, "alarm")
    assert visits["reason"].startswith("100% of the customers lack `visits`, 0% when")


def test_a_first_night_has_nothing_to_compare_with(lens):
    lens.write_customers(0, VISITS, CHANNEL)

    assert lens.drift(0) == {}
    assert read_model_drift(lens.connection, "lens") is None


def test_a_date_that_is_run_again_is_compared_with_the_model_before_it(fitted):
    fitted.write_customers(0, VISITS, CHANNEL)

    assert fitted.drift(0) == {}

    fitted.write_customers(3, [0.0] * 70 + [1.0] * 30, CHANNEL)
    first = fitted.drift(3)
    fitted.register(3)

    assert fitted.drift(3) == first
    assert {row["reference_model_version"] for row in fitted.drift(4).values()} == {2}


@pytest.mark.parametrize("who", [SYSTEM, "ann"])
def test_the_first_night_of_a_promoted_model_is_compared_with_its_customers(fitted, who):
    fitted.write_customers(2, [0.0] * 70 + [1.0] * 30, CHANNEL)
    fitted.challenge(2)
    decided = fitted.night(3)
    fitted.promote(2, fitted.date(4), decided, who)

    assert fitted.drift(3)["visits"]["level"] == "warn"
    visits = fitted.drift(4)["visits"]

    assert (visits["psi"], visits["reference_model_version"]) == (0, 2)
    assert fitted.decide(4).model_version == 2


def test_a_model_that_a_person_puts_in_force_for_a_date_is_found_by_it(fitted):
    fitted.write_customers(2, [0.0] * 70 + [1.0] * 30, CHANNEL)
    fitted.challenge(2)
    fitted.promote(2, fitted.date(3), fitted.night(3), "ann")

    assert fitted.drift(3)["visits"]["reference_model_version"] == 2


def test_under_a_changed_specification_nothing_is_compared(fitted):
    fitted.write_customers(1, [5.0] * 100, CHANNEL)
    fitted.declare(clustering={"seed": 99})

    assert fitted.drift(1) == {}
    found = read_model_drift(fitted.connection, "lens")
    assert found.is_specification_changed
    assert found.median_distance_ratio is None


def test_a_model_of_an_earlier_release_has_nothing_to_compare_with(lens):
    lens.write_customers(0, VISITS, CHANNEL)
    lens.register(0, has_reference=False)

    assert lens.drift(1) == {}
    found = read_model_drift(lens.connection, "lens")
    assert (found.has_reference, found.fitted, found.model_version) == (False, lens.date(0), 1)


def test_a_feature_that_is_of_another_kind_now_is_refused(fitted):
    fitted.connection.execute(
        "CREATE OR REPLACE TABLE lens.engineered_features AS"
        " SELECT 'c1' AS customer_id, 'many' AS visits, 'web' AS channel"
    )

    with pytest.raises(PreparationError, match="feature `visits`"):
        fitted.drift(1)


def test_customers_further_from_their_segments_raise_the_median_distance(lens):
    offsets = [float(number % 7) - 3 for number in range(49)]
    channel = ["web"] * 98
    lens.write_customers(0, [*offsets, *(100 + one for one in offsets)], channel)
    lens.register(0)
    wider = [3 * one for one in offsets]
    lens.write_customers(1, [*wider, *(100 + one for one in wider)], channel)

    lens.drift(1)

    found = read_model_drift(lens.connection, "lens")
    assert found.median_distance_ratio == pytest.approx(3, abs=1e-5)


def test_the_tables_are_as_their_contracts_say(fitted):
    fitted.decide(1)
    for name in ("feature_drift", "refit_decision"):
        found = column_types(fitted.connection, Table("lens", name))
        assert found == {column.name: column.type for column in CONTRACTS[name].work_columns}
