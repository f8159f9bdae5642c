"""A draw is a keyed HMAC that anybody with the key can check, and its shares are exact."""

import hashlib
import hmac

import pytest
from scipy import stats

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.measurement.arms import (
    arm_sql,
    draw_sql,
    experiment_key,
    key_parameters,
)
from segmentation_pipeline.specification.experiments import Experiments
from segmentation_pipeline.warehouse import open_in_memory

IDS = ["4711", "Zoë", "=1+1", "ST-000001", ""]
CUSTOMERS = 40_000


def python_draw(key, salt, customer_id):
    code = hmac.new(key, f"{salt}\n{customer_id}".encode(), hashlib.sha256).hexdigest()
    return int(code[:13], 16) / 16**13


def arms(hold_out, global_hold_out, salt="'lens.write'", key=b"clinic"):
    with open_in_memory() as connection:
        return connection.execute(
            f"SELECT {arm_sql(salt, str(hold_out), global_hold_out)} AS arm FROM"
            f" (SELECT 'c' || range AS customer_id FROM range({CUSTOMERS})) ORDER BY customer_id",
            key_parameters(key),
        ).fetchall()


@pytest.mark.parametrize("key", [b"clinic", b"k" * 64, b"longer than a block " * 8])
def test_a_draw_is_an_hmac_of_salt_and_id(key):
    draw = draw_sql("'lens.write'")
    with open_in_memory() as connection:
        connection.execute("CREATE TABLE people AS SELECT unnest(?) AS customer_id", [IDS])
        drawn = connection.execute(
            f"SELECT customer_id, {draw} FROM people", key_parameters(key)
        ).fetchall()

    assert dict(drawn) == {one: python_draw(key, "lens.write", one) for one in IDS}


def test_arms_have_the_declared_shares():
    found = [arm for (arm,) in arms(0.3, 0.1)]

    counts = [found.count(arm) for arm in ("global_hold_out", "hold_out", "treated")]
    expected = [CUSTOMERS * share for share in (0.1, 0.9 * 0.3, 0.9 * 0.7)]
    assert stats.chisquare(counts, expected).pvalue > 0.01


def test_another_strategy_draws_independently_and_the_global_hold_out_is_the_same():
    one = [arm for (arm,) in arms(0.5, 0.1)]
    other = [arm for (arm,) in arms(0.5, 0.1, salt="'lens.call'")]

    pairs = [*zip(one, other, strict=True)]
    assert {a == "global_hold_out" for a, b in pairs if b == "global_hold_out"} == {True}
    drawn = [(a, b) for a, b in pairs if a != "global_hold_out"]
    table = [
        [drawn.count((a, b)) for b in ("treated", "hold_out")] for a in ("treated", "hold_out")
    ]
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_another_key_draws_independently():
    same = sum(a == b for a, b in zip(arms(0.5, 0.0), arms(0.5, 0.0, key=b"another"), strict=True))

    assert stats.binomtest(same, CUSTOMERS).pvalue > 0.01


def test_nobody_or_everybody_is_held_out_at_the_ends():
    assert {arm for (arm,) in arms(0.0, 0.0)} == {"treated"}
    assert {arm for (arm,) in arms(1.0, 0.0)} == {"hold_out"}


def test_a_key_stands_in_the_file_or_in_the_environment():
    named = Experiments(key_variable="EXPERIMENT_KEY", permission="TRUE")

    assert experiment_key(Experiments(key="word", permission="TRUE"), {}) == b"word"
    assert experiment_key(named, {"EXPERIMENT_KEY": "secret"}) == b"secret"
    with pytest.raises(SpecificationError, match="the environment has no EXPERIMENT_KEY"):
        experiment_key(named, {})
