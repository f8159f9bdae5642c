"""From night to night changes what the scenario says, from its date on, and nothing else."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.demo import make_demo, mess, planted, planted_moves
from segmentation_pipeline.demo.scenario import SCENARIOS
from segmentation_pipeline.demo.truth import TRUTH_NAME
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import load_home

CUSTOMERS, DAYS, MIDDLE = 2000, 10, dt.date(2025, 6, 26)
NIGHTS = [planted.LAST_NIGHT - dt.timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Drift -> home and summary, all of the same seed."""
    made = {}
    for drift in SCENARIOS:
        home = tmp_path_factory.mktemp(drift)
        made[drift] = home, make_demo(home, CUSTOMERS, DAYS, 5, "parquet", drift=drift)
    return made


def source(homes, drift, name):
    return homes[drift][0] / "sources" / name


def crm(homes, drift, night):
    """The snapshot without repeats; numbers as numbers, blanks missing."""
    staff = pd.read_parquet(source(homes, drift, f"crm/crm_{night}.parquet")).drop_duplicates()
    staff["contract_value_eur"] = pd.to_numeric(staff.contract_value_eur, errors="coerce")
    return staff.set_index("staff_id")


def truth(homes, drift):
    return pd.read_parquet(homes[drift][0] / TRUTH_NAME)


def ratio_to_moves(homes, drift, night):
    """How many times the usual contract value, customer by customer (it is rounded to tens)."""
    ours, usual = (crm(homes, one, night).contract_value_eur for one in (drift, "moves"))
    large = usual.index[usual > 1000]
    return (ours[large] / usual[large]).dropna()


def test_without_drift_nobody_moves_and_every_number_stays(homes):
    home, _ = homes["none"]
    first, last = (crm(homes, "none", night) for night in (NIGHTS[0], NIGHTS[-1]))
    both = first.index.intersection(last.index)

    assert planted_moves(home) == []
    assert first.loc[both].equals(last.loc[both])
    assert len(both) < len(first)
    assert len(both) < len(last)


def test_moves_are_those_of_the_truth_and_show_on_their_date(homes):
    home, _ = homes["moves"]
    moves = planted_moves(home)
    pairs = truth(homes, "moves").set_index(["segmentation", "customer_id", "as_of"]).segment
    answered = pd.read_parquet(source(homes, "moves", "survey.parquet"))
    answers = set(zip(answered.staff_id, answered.answered_at.dt.date, strict=True))

    assert len(moves) == pytest.approx(2 * planted.MOVE_SHARE * CUSTOMERS * (DAYS - 1), rel=0.25)
    for move in moves:
        before = move.as_of - dt.timedelta(days=1)
        key = move.segmentation, move.customer_id
        assert move.from_segment == pairs[*key, before] != pairs[*key, move.as_of]
        assert move.to_segment == pairs[*key, move.as_of]
    shown = [(move.customer_id, move.as_of) in answers for move in moves]
    assert np.mean(shown) == pytest.approx(1 - mess.SILENT_SHARE, abs=0.05)


def test_gradual_drift_is_growth_of_every_number_by_a_constant_share_a_night(homes):
    assert ratio_to_moves(homes, "gradual", NIGHTS[0]).eq(1).all()
    for nights in (4, 9):
        ratios = ratio_to_moves(homes, "gradual", NIGHTS[nights])
        assert ratios.median() == pytest.approx(np.exp(0.002 * nights), abs=0.001)
        assert ratios.std() < 0.006
    assert truth(homes, "gradual").equals(truth(homes, "moves"))


def test_a_sudden_change_raises_contracts_from_its_night_on_and_touches_nothing_else(homes):
    _, made = homes["sudden"]
    assert made.changes_on == (MIDDLE.isoformat(),)
    for night in NIGHTS:
        name = f"crm/crm_{night}.parquet"
        is_same = (
            source(homes, "sudden", name).read_bytes() == source(homes, "moves", name).read_bytes()
        )
        assert is_same == (night < MIDDLE)
    ratios = ratio_to_moves(homes, "sudden", MIDDLE)
    assert ratios.median() == pytest.approx(np.exp(0.47), abs=0.002)
    assert ratios.std() < 0.006
    now, usual = (crm(homes, drift, MIDDLE) for drift in ("sudden", "moves"))
    rest = now.columns.drop("contract_value_eur")
    assert now[rest].equals(usual[rest])
    for name in ("survey.parquet", f"web/web_{MIDDLE}.parquet"):
        assert (
            source(homes, "sudden", name).read_bytes() == source(homes, "moves", name).read_bytes()
        )
    assert truth(homes, "sudden").equals(truth(homes, "moves"))


def test_a_new_group_joins_on_one_night_in_a_segment_of_its_own(homes):
    _, made = homes["new_group"]
    planted_truth = truth(homes, "new_group")
    group = planted_truth[planted_truth.segment == "key_accounts"]
    members = set(group.customer_id)

    assert made.changes_on == (MIDDLE.isoformat(),)
    assert len(members) == 0.15 * CUSTOMERS
    assert group.as_of.min() == MIDDLE
    assert made.segments["engagement"]["key_accounts"] == len(members)
    before, after = (
        crm(homes, "new_group", night) for night in (MIDDLE - dt.timedelta(days=1), MIDDLE)
    )
    assert not members & set(before.index)
    assert members <= set(after.index)
    value = after.contract_value_eur
    assert value[list(members)].median() > 2 * value.median()
    events = pd.concat(
        pd.read_parquet(path) for path in source(homes, "new_group", "web").iterdir()
    )
    theirs = events[events.staff_id.isin(members)]
    assert len(theirs)
    assert theirs.occurred_at.min() >= pd.Timestamp(MIDDLE)
    # Everybody else is who they are without the group.
    others = planted_truth[~planted_truth.customer_id.isin(members)]
    key = ["as_of", "segmentation", "customer_id"]
    assert others.set_index(key).segment.to_dict() == (
        truth(homes, "moves").set_index(key).segment.to_dict()
    )


def test_together_everything_happens_on_its_own_night(homes):
    _, made = homes["together"]
    joined, raised = (planted.LAST_NIGHT - dt.timedelta(days=back) for back in (6, 3))
    members = set(truth(homes, "together").query("segment == 'key_accounts'").customer_id)

    assert made.changes_on == (joined.isoformat(), raised.isoformat())
    assert len(members) == 0.1 * CUSTOMERS
    for night in NIGHTS:
        there = members & set(crm(homes, "together", night).index)
        assert len(there) == (len(members) if night >= joined else 0)
        # Growth all the time, and the raise from its night on.
        grown = 0.002 * NIGHTS.index(night) + (0.47 if night >= raised else 0)
        ratios = ratio_to_moves(homes, "together", night)
        assert ratios.median() == pytest.approx(np.exp(grown), abs=0.002)
    usual, ours = (
        pd.concat(pd.read_parquet(path) for path in source(homes, drift, "web").iterdir())
        for drift in ("moves", "together")
    )
    # Who is never a customer has another number where there are newcomers, and so other events.
    others = truth(homes, "moves").customer_id
    more = ours[~ours.event_id.isin(usual.event_id) & ours.staff_id.isin(others)]
    assert len(more) > 0
    assert set(more.event) == {planted.LIFTED_EVENT}
    assert more.occurred_at.dt.date.min() > NIGHTS[0]


@pytest.mark.parametrize("drift", SCENARIOS)
def test_the_best_possible_agreement_stays_and_the_sources_never_tell(homes, drift):
    home, made = homes[drift]
    assert min(made.best_possible_ari.values()) > 0.95
    assert made.drift == (None if drift == "moves" else drift)
    names = [
        name for one in planted.SEGMENTATIONS for name in (*one.segments, one.newcomers) if name
    ]
    for path in (home / "sources").rglob("*.parquet"):
        text = pd.read_parquet(path).astype(str)
        assert not text.isin(names).any().any()


def test_a_home_of_many_nights_allows_those_who_left_or_are_still_to_join(tmp_path):
    make_demo(tmp_path / "month", 300, 30, 1, "csv")
    make_demo(tmp_path / "week", 300, 7, 1, "csv")
    for name, allowed, known in (("week", 0.05, 0.95), ("month", 0.2, 0.8)):
        sources = load_home(tmp_path / name).customers.sources
        (reference,) = sources["web"].referenced
        assert reference.at_least == known
        assert sources["web"].maximum_orphan_share == allowed
        assert sources["survey"].maximum_orphan_share == allowed


def test_a_drift_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="no drift `storm`; there are none, moves, role_ch"):
        make_demo(tmp_path / "home", 100, 2, 1, "csv", drift="storm")
    assert not (tmp_path / "home").exists()
