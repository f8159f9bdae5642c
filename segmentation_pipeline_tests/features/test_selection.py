"""What tells nothing, or nothing new, is left out, and says why; what differs stays."""

import numpy as np
import pytest

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.selection import select_features

CUSTOMERS = 400


def people(seed=0, **columns):
    """Customers with two unrelated numbers, and what is given besides."""
    generator = np.random.default_rng(seed)
    values = {"age": generator.normal(size=CUSTOMERS), "visits": generator.normal(size=CUSTOMERS)}
    values |= {
        name: column if column.dtype == object else column.astype(float)
        for name, column in columns.items()
    }
    ids = np.array([f"c{i}" for i in range(CUSTOMERS)], dtype=object)
    return FeatureSample(ids, values)


def categories(names):
    return np.array(names, dtype=object)


def selected(sample, spec):
    return select_features(fit_preparation(sample, spec), sample, spec)


def dropped(sample, spec):
    return {row.feature: row.reason for row in selected(sample, spec).selection if not row.is_kept}


def features(sample, **settings):
    return {name: settings.get(name, {}) for name in sample.values}


def test_nothing_is_dropped_where_features_differ(specify):
    cities = categories(["Rome", "Oslo", "Bonn", None] * (CUSTOMERS // 4))
    sample = people(city=cities, is_rare=np.arange(CUSTOMERS) < 5)
    spec = specify(features(sample))

    assert selected(sample, spec) == fit_preparation(sample, spec)


def test_a_copy_is_dropped_whatever_its_scale_and_sign(specify):
    sample = people()
    copies = people(copied=1000 - 7 * sample.values["age"])

    assert dropped(copies, specify(features(copies))) == {
        "copied": "it copies `age` but for scale and sign; that one stands first in the file"
    }
    only_copies = specify(features(copies), selection={"maximum_correlation": 1})
    assert list(dropped(copies, only_copies)) == ["copied"]


def test_categories_that_are_renamed_are_a_copy(specify):
    names = np.random.default_rng(1).choice(["it", "no", "de"], CUSTOMERS)
    renamed = [{"it": "Rome", "no": "Oslo", "de": "Bonn"}[name] for name in names]
    sample = people(country=categories(names), capital=categories(renamed))

    assert list(dropped(sample, specify(features(sample)))) == ["capital"]


def test_a_category_of_two_copies_its_own_indicator(specify):
    is_woman = np.random.default_rng(1).random(CUSTOMERS) < 0.4
    sample = people(gender=categories(np.where(is_woman, "F", "M")), is_woman=is_woman)

    assert list(dropped(sample, specify(features(sample)))) == ["is_woman"]


def test_the_ranks_correlate_whatever_the_shape(specify):
    # exp(5 x) has a correlation of about .1 with x, and the same order; noise breaks the copy.
    noise = np.random.default_rng(2).normal(size=CUSTOMERS)
    sample = people()
    curved = people(money=np.exp(5 * sample.values["age"] + 0.2 * noise))

    found = dropped(curved, specify(features(curved)))

    assert list(found) == ["money"]
    assert found["money"].startswith("its correlation with `age` is 0.99")
    assert found["money"].endswith(", more than 0.98; that one stands first in the file")
    looser = specify(features(curved), selection={"maximum_correlation": 0.9999})
    assert dropped(curved, looser) == {}


def test_one_extreme_customer_makes_no_correlation(specify):
    values = people().values
    sample = people(
        age=np.append(values["age"][1:], 1e6), visits=np.append(values["age"][:-1], 1e6)
    )

    assert np.corrcoef(sample.values["age"], sample.values["visits"])[0, 1] > 0.999
    assert dropped(sample, specify(features(sample))) == {}


def test_of_a_group_the_best_is_kept(specify):
    age = people().values["age"]
    full, lacking = age.copy(), age.copy()
    lacking[:2] = np.nan
    sample = FeatureSample(people().customer_ids, {"a": lacking, "b": full, "c": full})

    found = dropped(sample, specify(features(sample, c={"weight": 2})))

    assert found["b"].endswith("; that one weighs more")
    assert found["a"].endswith("; that one lacks fewer values")
    assert len(found) == 2


def test_a_chain_of_neighbours_keeps_its_ends(specify):
    one, two = people().values.values()
    # .95 apart are neighbours, .8 the ends.
    sample = FeatureSample(
        people().customer_ids, {"one": one, "middle": one + 0.33 * two, "two": one + 0.75 * two}
    )
    spec = specify(features(sample), selection={"maximum_correlation": 0.9})

    assert list(dropped(sample, spec)) == ["middle"]


def test_kept_features_that_share_half_of_their_variance_say_so(specify):
    one, two = people().values.values()
    sample = people(near=one + 0.75 * two, far=two + 3 * np.random.default_rng(3).normal(size=400))
    rows = {row.feature: row for row in selected(sample, specify(features(sample))).selection}

    assert all(row.is_kept for row in rows.values())
    assert rows["age"].reason.startswith("kept; its correlation with `near`, which is kept too, is")
    assert rows["near"].reason.startswith("kept; its correlation with `age`")
    assert rows["near"].reason.endswith("what they share counts twice in the distance")
    assert rows["visits"].reason is None
    assert rows["far"].reason is None


def test_a_note_does_not_replace_what_was_noticed_before(specify):
    # Two answers that 4 % gave, as indicators of who did: they correlate, and are mostly missing.
    answers = np.full((2, CUSTOMERS), np.nan)
    answers[0, :16] = answers[1, 2:18] = np.arange(16)
    sample = people(one=answers[0], two=answers[1])
    spec = specify(features(sample, one={"missing": "indicator"}, two={"missing": "indicator"}))
    before = {row.feature: row.reason for row in fit_preparation(sample, spec).selection}

    after = {row.feature: row.reason for row in selected(sample, spec).selection}

    assert before["two"] == "more than 95% of the customers have no value"
    assert after["two"].startswith(f"{before['two']}; kept; its correlation with `one`")


@pytest.mark.parametrize(("others", "is_kept"), [(4, True), (3, False)])
def test_a_feature_that_hardly_varies(others, is_kept, specify):
    sample = people(is_vip=np.arange(CUSTOMERS) < others)

    found = dropped(sample, specify(features(sample)))

    reason = "99.25 % of the customers do not differ in it, more than 99 %"
    assert found == ({} if is_kept else {"is_vip": reason})
    all_kept = specify(features(sample), selection={"maximum_same_share": 1})
    assert dropped(sample, all_kept) == {}


def test_rare_categories_are_no_reason_against_the_feature(specify):
    cities = ["Rome"] * 200 + ["Oslo"] * 197 + ["Bonn", "Graz", "Wien"]
    sample = people(city=categories(cities))

    prepared = selected(sample, specify(features(sample)))

    assert [row.is_kept for row in prepared.selection] == [True] * 7
    # A category that nearly everybody has is one.
    sample = people(city=categories(["Rome"] * 398 + ["Oslo", "Bonn"]))
    assert list(dropped(sample, specify(features(sample)))) == ["city"]


@pytest.mark.parametrize(
    ("missing", "is_kept"), [("centre", False), ("indicator", True), ({"constant": -5}, True)]
)
def test_a_feature_that_nearly_everybody_lacks(missing, is_kept, specify):
    answers = np.full(CUSTOMERS, np.nan)
    answers[:16] = np.arange(16)
    sample = people(answer=answers)

    found = dropped(sample, specify(features(sample, answer={"missing": missing})))

    reason = "96 % of the customers have no value, more than 95 %"
    assert found == ({} if is_kept else {"answer": reason})
    tolerant = specify(features(sample), selection={"maximum_missing_share": 1})
    assert dropped(sample, tolerant) == {}


def test_numbers_that_only_number_customers(specify):
    shuffled = np.random.default_rng(0).permutation(CUSTOMERS)
    sample = people(contract=10_000.0 + 3 * shuffled, cents=shuffled * 1e5, metres=shuffled + 0.5)

    spec = specify(features(sample), selection={"maximum_correlation": 1})

    # Copies of one another: the identifier goes first, then one copy of the other two.
    found = dropped(sample, spec)
    assert found["contract"] == (
        "no two customers have the same whole number: it looks like an identifier"
    )
    assert list(found) == ["contract", "metres"]


def test_dropped_features_leave_their_columns_and_categories(specify):
    names = categories(["it", "no"] * (CUSTOMERS // 2))
    sample = people(country=names, capital=names, empty=np.full(CUSTOMERS, np.nan))
    spec = specify(features(sample))
    fitted = fit_preparation(sample, spec)

    found = select_features(fitted, sample, spec)

    assert found.column_names == ["age", "visits", "country__it", "country__no"]
    assert found.scalings == fitted.scalings[:4]
    assert list(found.lookups) == ["country"]
    assert [row.column_name for row in found.selection] == [
        row.column_name for row in fitted.selection
    ]
    reasons = {row.column_name: row.reason for row in found.selection}
    assert reasons["capital__it"] == reasons["capital__no"]
    assert reasons["empty"] == "no customer has a value"


def test_few_customers_correlate_by_chance(specify):
    few = FeatureSample(
        np.array(["a", "b"], dtype=object),
        {"age": np.array([1.0, 2.0]), "visits": np.array([7.0, 3.0])},
    )

    assert dropped(few, specify(features(few))) == {}


def test_equal_samples_drop_equal_features(specify):
    sample = people(money=np.exp(people().values["age"]))
    spec = specify(features(sample))

    assert selected(sample, spec).digest == selected(sample, spec).digest


def test_something_must_be_left(specify):
    is_vip = np.arange(CUSTOMERS) < 1
    sample = FeatureSample(people().customer_ids, {"is_vip": is_vip.astype(float)})

    with pytest.raises(PreparationError, match=r"no feature is left .*`is_vip`: 99\.75 % of the"):
        selected(sample, specify(features(sample)))


def test_the_limits_are_shares(specify):
    for settings in ({"maximum_same_share": 0.4}, {"maximum_correlation": 0}, {"unknown": 1}):
        with pytest.raises(ValueError):
            specify({"age": {}}, selection=settings)


def test_a_large_sample_is_looked_at_in_part(specify):
    generator = np.random.default_rng(0)
    one = generator.normal(size=30_000)
    ids = np.arange(30_000).astype(str).astype(object)
    late = np.where(np.arange(30_000) < 20_000, one, generator.normal(size=30_000))
    sample = FeatureSample(ids, {"age": one, "copied": late})
    spec = specify(features(sample))

    found = selected(sample, spec)

    assert [row.is_kept for row in found.selection] == [True, False]
