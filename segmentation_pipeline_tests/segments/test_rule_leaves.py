"""A rule says exactly whom the tree puts into a segment, in words and in SQL."""

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.segments.conditions import (
    AskedFeature,
    CategoryCondition,
    NumberCondition,
)
from segmentation_pipeline.segments.found_rules import find_rules
from segmentation_pipeline.segments.leaves import leaves_sql, leaves_words
from segmentation_pipeline.segments.rule_tree import Asked, read_leaves
from segmentation_pipeline.segments.short_rule import grow_tree
from segmentation_pipeline.warehouse import open_in_memory, quote

RNG = np.random.default_rng(4)
N = 2000
AGE = RNG.uniform(20, 70, N).round(2)
PAPERS = RNG.poisson(8, N).astype(float)
DEGREE = RNG.choice(np.array(["Bachelor", "Doctorate", "Master", None], dtype=object), N)
IS_MEMBER = RNG.random(N) < 0.5


def number(name, values, kind="continuous"):
    return Asked(RawFeature(name, values, kind))


def category(name, values):
    return Asked(RawFeature(name, values, "categorical"), values)


def truth(name, values):
    objects = np.array(values.tolist(), dtype=object)
    texts = np.array([str(value) for value in values], dtype=object)
    return Asked(RawFeature(name, objects, "categorical"), texts)


ASKED = [
    number("age", AGE),
    number("papers", PAPERS, "integer"),
    category("degree", DEGREE),
    truth("is_member", IS_MEMBER),
]
UNITS = {"age": "years", "papers": "papers"}


def named(asked):
    return {
        one.feature.name: AskedFeature(
            one.feature.name.replace("_", " "),
            quote(one.feature.name),
            UNITS.get(one.feature.name, ""),
            is_boolean=one.feature.name.startswith("is_"),
        )
        for one in asked
    }


def positions(asked, leaves):
    """Find the positions of whom the SQL of some leaves finds."""
    columns = {"position": np.arange(N)}
    for one in asked:
        values = one.feature.values
        if one.categories is None:
            columns[one.feature.name] = pa.array(
                [None if v != v else v for v in values.tolist()], pa.float64()
            )
        elif set(one.categories) <= {"True", "False"}:
            columns[one.feature.name] = pa.array(values.tolist(), pa.bool_())
        else:
            columns[one.feature.name] = pa.array(one.categories.tolist(), pa.string())
    with open_in_memory() as connection:
        connection.register("customers", pa.table(columns))
        predicate = leaves_sql(leaves, named(asked))
        rows = connection.execute(
            f"SELECT position FROM customers WHERE {predicate} ORDER BY position"
        ).fetchall()
    return [row[0] for row in rows]


def words_and_customers(labels, asked=None, smallest_group=10):
    """Label -> (words, positions of whom the SQL finds), and the rules found."""
    asked = asked or ASKED
    found = find_rules(asked, labels, seed=7, smallest_group=smallest_group)
    told = {
        label: (leaves_words(rule.leaves, named(asked)), positions(asked, rule.leaves))
        for label, rule in found.rules.items()
    }
    return told, found


def test_a_planted_rule_is_found_word_by_word():
    labels = np.where((DEGREE == "Doctorate") & (PAPERS >= 9), 1, 0)

    told, found = words_and_customers(labels)

    assert found.fidelity == 1.0
    assert told[1] == (
        "papers >= 9 papers and degree is Doctorate",
        np.flatnonzero(labels).tolist(),
    )
    # What is left is said without the condition that the other alternative makes needless.
    assert told[0][0] == "either degree is not Doctorate, or papers < 9 papers"
    assert told[0][1] == np.flatnonzero(labels == 0).tolist()
    assert (found.rules[1].precision, found.rules[1].recall) == (1.0, 1.0)


def test_missing_values_are_asked_for_and_worded():
    income = np.where(AGE > 50, np.nan, AGE * 10)
    labels = np.where(np.isnan(income), 1, 0)

    told, _ = words_and_customers(labels, [number("income", income)])

    assert told[1] == ("income is missing", np.flatnonzero(labels).tolist())
    assert told[0][0] == "income is known"

    unknown = np.array([value is None for value in DEGREE])
    told, _ = words_and_customers(
        np.where(unknown | (DEGREE == "Master"), 1, 0), [category("degree", DEGREE)]
    )
    assert told[1][0] == "degree is Master or missing"
    assert told[0][0] == "degree is Bachelor or Doctorate"


def test_a_missing_number_goes_with_the_side_that_it_was_found_on():
    papers = np.where(RNG.random(N) < 0.2, np.nan, PAPERS)
    labels = np.where(np.isnan(papers) | (papers >= 9), 1, 0)

    told, _ = words_and_customers(labels, [number("papers", papers, "integer")])

    assert told[1] == ("papers >= 9 papers (or missing)", np.flatnonzero(labels).tolist())
    assert told[0] == ("papers < 9 papers", np.flatnonzero(labels == 0).tolist())


def test_a_truth_is_told_as_one():
    told, _ = words_and_customers(IS_MEMBER.astype(np.intp), [truth("is_member", IS_MEMBER)])

    assert told[1] == ("is member is true", np.flatnonzero(IS_MEMBER).tolist())


def test_a_band_is_one_condition():
    labels = np.where((AGE >= 30) & (AGE < 40), 1, 0)

    told, _ = words_and_customers(labels, [number("age", AGE)])

    assert told[1][0] == "age >= 30 and < 40 years"
    assert told[0][0] in {
        "either age >= 40 years, or age < 30 years",
        "either age < 30 years, or age >= 40 years",
    }


def test_one_whole_number_is_said_as_such():
    condition = NumberCondition(3, 4, is_whole=True)

    assert condition.words(AskedFeature("visits", '"visits"')) == "visits = 3"
    assert condition.predicate_sql(AskedFeature("visits", '"visits"')) == (
        '"visits" >= 3 AND "visits" < 4'
    )


def test_categories_are_said_by_the_fewer_and_quoted():
    known = frozenset({"a", "b", "c", "d'e", None})
    asked = AskedFeature("role", '"role"')

    few = CategoryCondition(frozenset({"d'e"}), known)
    assert (few.words(asked), few.predicate_sql(asked)) == ("role is d'e", "\"role\" = 'd''e'")
    most = CategoryCondition(known - {"a", "b"}, known)
    assert most.words(asked) == "role is neither a nor b"
    assert most.predicate_sql(asked) == "(\"role\" NOT IN ('a', 'b') OR \"role\" IS NULL)"
    present = CategoryCondition(known - {None}, known)
    assert (present.words(asked), present.predicate_sql(asked)) == (
        "role is known",
        '"role" IS NOT NULL',
    )


def test_a_rate_is_told_in_percent_and_a_large_number_in_thousands():
    rate = AskedFeature("open rate", '"open_rate"', is_rate=True)
    assert NumberCondition(0.35).words(rate) == "open rate >= 35%"
    value = AskedFeature("contract value", '"contract_value_eur"', "EUR per month")
    assert NumberCondition(upper=1200).words(value) == "contract value < 1,200 EUR per month"


@pytest.mark.parametrize("seed", range(5))
def test_the_sql_finds_whom_the_tree_finds_whatever_the_segments(seed):
    """Rounded thresholds and joined leaves change nobody's side."""
    generator = np.random.default_rng(seed)
    papers = np.where(generator.random(N) < 0.1, np.nan, PAPERS)
    asked = [ASKED[0], number("papers", papers, "integer"), *ASKED[2:]]
    score = AGE / 10 + np.nan_to_num(papers, nan=12) + 4 * (DEGREE == "Master") + 3 * IS_MEMBER
    noise = generator.normal(scale=1, size=N)
    labels = np.digitize(score + noise, np.quantile(score, [0.3, 0.6, 0.8])).astype(np.intp)
    questions = np.column_stack([one.questions for one in asked])
    tree = grow_tree(questions, labels, seed=seed, smallest_leaf=10)

    leaves = read_leaves(tree, asked, labels)

    predicted = tree.predict(questions)
    assert set(leaves) == set(predicted)
    for label, found in leaves.items():
        assert positions(asked, found) == np.flatnonzero(predicted == label).tolist()


def test_precision_and_recall_are_those_of_customers_held_out():
    labels = np.where(AGE + RNG.normal(scale=5, size=N) >= 45, 1, 0)

    told, found = words_and_customers(labels)

    inside = labels[told[1][1]].sum()
    assert found.rules[1].precision == pytest.approx(inside / len(told[1][1]), abs=0.02)
    assert found.rules[1].recall == pytest.approx(inside / labels.sum(), abs=0.02)
    assert 0.85 < found.fidelity < 0.95


def test_the_shortest_of_equally_good_trees_is_taken():
    _, found = words_and_customers((AGE >= 45).astype(np.intp))

    assert [len(rule.leaves) for rule in found.rules.values()] == [1, 1]


def test_chance_has_no_rule_that_is_not_approximate():
    labels = RNG.integers(0, 3, N)

    _, found = words_and_customers(labels)

    assert found.fidelity < 0.5
    assert all(rule.is_approximate(found.fidelity) for rule in found.rules.values())


def test_a_ninth_segment_has_a_tree_of_its_own():
    labels = np.minimum((AGE - 20) // 4, 11).astype(np.intp)

    told, found = words_and_customers(labels)

    assert set(told) == set(range(12))
    # A tree of eight leaves can't tell twelve.
    assert found.fidelity < 0.8
    assert found.rules[5].precision >= 0.9


def test_no_leaf_is_smaller_than_the_floor():
    labels = np.zeros(N, dtype=np.intp)
    labels[:6] = 1
    rare = np.where(labels == 1, 100.0, AGE)

    told, _ = words_and_customers(labels, [number("age", rare)])

    # Six of the segment, with the four who are most like them.
    assert len(told[1][1]) == 10


def test_one_segment_is_everybody():
    told, found = words_and_customers(np.zeros(N, dtype=np.intp))

    assert told[0] == ("everybody", list(range(N)))
    assert found.fidelity == 1.0
