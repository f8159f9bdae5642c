import math

import numpy as np
import pytest

from segmentation_pipeline.demo.observation import Category, Measure, Rate, Response
from segmentation_pipeline.demo.randomness import Draws, create_macros, step_sql
from segmentation_pipeline.warehouse import open_in_memory


@pytest.fixture(scope="module")
def connection():
    with open_in_memory(threads=2) as connection:
        create_macros(connection)
        connection.execute("CREATE TABLE numbers AS SELECT range AS number FROM range(100000)")
        yield connection


def column(connection, expression, source="numbers"):
    rows = connection.execute(f"SELECT {expression} FROM {source} ORDER BY number").fetchall()
    return np.array([row[0] for row in rows])


def test_splitmix64_gives_the_published_sequence(connection):
    # The first outputs of the reference implementation for the state 1234567.
    found = connection.execute(
        "SELECT splitmix64(1234567, number) FROM range(1, 4) AS steps(number)"
    ).fetchall()
    assert [value for (value,) in found] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_uniform_numbers_are_uniform_and_differ_by_seed_and_purpose(connection):
    a = column(connection, Draws(1).uniform_sql("a"))
    b = column(connection, Draws(1).uniform_sql("b"))
    other_seed = column(connection, Draws(2).uniform_sql("a"))
    counts = np.histogram(a, bins=20, range=(0, 1))[0]
    chi_square = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_square < 43.8  # the 99.9th percentile of chi-square with 19 degrees of freedom
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert abs(np.corrcoef(a, other_seed)[0, 1]) < 0.01
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.01


def test_gaussian_turns_into_another_gaussian_correlated_as_promised(connection):
    draws = Draws(3)
    now = column(connection, draws.gaussian_sql("latent"))
    later = column(connection, draws.gaussian_sql("latent", turn="0.1::DOUBLE"))
    for latent in (now, later):
        assert abs(latent.mean()) < 0.015
        assert abs(latent.std() - 1) < 0.01
        assert abs((np.abs(latent) > 1.959964).mean() - 0.05) < 0.003
    assert np.corrcoef(now, later)[0, 1] == pytest.approx(math.cos(0.2 * math.pi), abs=0.01)


def test_step_counts_the_cumulated_shares_that_are_reached(connection):
    step = step_sql("u", [0.25, 0.5, 0.25])
    found = connection.execute(
        f"SELECT {step} FROM (VALUES (0.0), (0.2499), (0.25), (0.7499), (0.75), (0.9999)) AS t(u)"
    ).fetchall()
    assert [index for (index,) in found] == [0, 0, 1, 1, 2, 2]


def drawn_in_segment(connection, expression, segment):
    source = f"(SELECT *, {segment} AS segment, {Draws(5).uniform_sql('u')} AS u FROM numbers)"
    return column(connection, expression, source)


@pytest.mark.parametrize(
    "measure", [Measure("count", (0.5, 2.0), 0.6), Measure("whole", (2.0, 15.0), 2.5)]
)
@pytest.mark.parametrize("segment", [0, 1])
def test_measure_is_drawn_as_its_density_says(connection, measure, segment):
    gaussian = Draws(5).gaussian_sql("z")
    values = drawn_in_segment(connection, measure.value_sql(gaussian, "segment"), segment)
    candidates = np.arange(0.0 if measure.form == "count" else 1.0, 200.0)
    density = np.exp(measure.log_likelihoods(candidates))[:, segment]
    assert density.sum() == pytest.approx(1, abs=1e-6)
    for value, probability in zip(candidates[:25], density[:25], strict=True):
        assert (values == value).mean() == pytest.approx(probability, abs=0.006)


def test_amount_is_lognormal_in_tens(connection):
    measure = Measure("amount", (6.0, 8.0), 0.4)
    sql = measure.value_sql(Draws(5).gaussian_sql("z"), "segment")
    values = drawn_in_segment(connection, sql, 1)
    assert (values % 10 == 0).all()
    assert np.log(values).mean() == pytest.approx(8.0, abs=0.01)
    assert np.log(values).std() == pytest.approx(0.4, abs=0.01)
    logs = measure.log_likelihoods(np.array([math.exp(8.0), math.nan]))
    assert logs[0] == pytest.approx([-0.5 * (2.0 / 0.4) ** 2, 0.0])
    assert logs[1].tolist() == [0.0, 0.0]


def test_category_and_counts_are_drawn_as_their_probabilities_say(connection):
    category = Category(("a", "b", "c"), ((10, 20, 70), (50, 30, 20)))
    words = drawn_in_segment(connection, category.value_sql("u", "segment"), 1)
    assert [(words == word).mean() for word in "abc"] == pytest.approx([0.5, 0.3, 0.2], abs=0.006)
    assert category.log_likelihoods(["c", None])[0] == pytest.approx(np.log([0.7, 0.2]))
    assert category.log_likelihoods(["c", None])[1].tolist() == [0.0, 0.0]

    rate = Rate((0.5, 3.0))
    counts = drawn_in_segment(connection, rate.count_sql("u", "segment", days=120), 1)
    assert counts.mean() == pytest.approx(4.0, abs=0.03)
    assert counts.var() == pytest.approx(4.0, abs=0.08)

    response = Response((0.5, 0.9))
    opened = drawn_in_segment(connection, response.chance_sql("u", "segment"), 1)
    assert opened.mean() == pytest.approx(0.9, abs=0.005)
    expected = [2 * math.log(0.5) + math.log(0.5), 2 * math.log(0.9) + math.log(0.1)]
    assert response.log_likelihoods(np.array([2.0]), np.array([3.0]))[0] == pytest.approx(expected)
