"""Where customers truly are: by what they do, expected, and not by the date of a decision."""

import datetime as dt

import pandas as pd
import pytest

from segmentation_pipeline.demo import clear_moves, make_demo, planted, planted_moves
from segmentation_pipeline.demo.planted import ENGAGEMENT
from segmentation_pipeline.demo.population import Population
from segmentation_pipeline.demo.scenario import SCENARIOS
from segmentation_pipeline.demo.truth import TRUTH_NAME
from segmentation_pipeline.demo.truth_rows import _space

CUSTOMERS, DAYS = 1500, 15


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    made = {drift: tmp_path_factory.mktemp(drift) for drift in ("moves", "role_changes")}
    for drift, home in made.items():
        make_demo(home, CUSTOMERS, DAYS, 9, "parquet", drift=drift)
    return made


def truth(home):
    return pd.read_parquet(home / TRUTH_NAME)


def test_whoever_never_moves_is_expected_where_they_are_planted(homes):
    rows = truth(homes["moves"])
    rows = rows[rows.segmentation == "engagement"]
    moving = {move.customer_id for move in planted_moves(homes["moves"])}
    stayers = rows[~rows.customer_id.isin(moving)]

    assert (stayers.segment == stayers.expected_segment).mean() > 0.99
    # Of the others most lie on the border with it, by a contract that is larger or smaller.
    assert 0 < stayers.border_segment.notna().mean() < 0.02
    assert not (stayers.expected_segment == stayers.border_segment).any()


def test_where_everything_shows_on_its_date_the_truth_is_what_was_planted(homes):
    rows = truth(homes["moves"])
    rows = rows[rows.segmentation == "profession"]

    assert (rows.segment == rows.expected_segment).all()
    assert rows.border_segment.isna().all()
    planted_dates = {
        (move.customer_id, move.as_of, move.from_segment, move.to_segment)
        for move in planted_moves(homes["moves"])
        if move.segmentation == "profession"
    }
    found = [move for move in clear_moves(homes["moves"]) if move.segmentation == "profession"]
    assert {(m.customer_id, m.as_of, m.from_segment, m.to_segment) for m in found} == planted_dates
    assert {move.nights for move in found} == {1}


def engagement(home, list_moves):
    return {
        move.customer_id: move for move in list_moves(home) if move.segmentation == "engagement"
    }


def test_role_changes_show_on_their_date_and_visitors_come_and_go_by_and_by(homes):
    shares = {}
    for drift, home in homes.items():
        planted_ones, clear = engagement(home, planted_moves), engagement(home, clear_moves)
        both = planted_ones.keys() & clear.keys()
        on_date = [
            clear[name].as_of == planted_ones[name].as_of and clear[name].nights == 1
            for name in both
        ]
        shares[drift] = sum(on_date) / len(planted_ones)
        for name in both:
            assert clear[name].to_segment == planted_ones[name].to_segment
    assert shares["role_changes"] > 0.6
    assert shares["moves"] < 0.5

    among = set(ENGAGEMENT.segments[ENGAGEMENT.first_at_once :])
    changes = engagement(homes["role_changes"], planted_moves).values()
    assert len(changes) > 30
    assert {move.from_segment for move in changes} == among
    assert {move.to_segment for move in changes} == among


def test_on_the_eve_of_a_role_change_customers_clearly_are_where_they_were():
    space = _space(Population(100, 2, SCENARIOS["moves"]))
    centres = [space.centre(one) for one in range(space.segments)]
    counted = {
        (one, other): (step[:4] ** 2).sum() / (step**2).sum()
        for one in range(space.segments)
        for other in range(one)
        if (step := centres[one] - centres[other]).any()
    }
    first = ENGAGEMENT.first_at_once

    # On the eve of a move, so much of the way between two centres is behind the customer; below
    # t = -0.2, 0.4 of it, they clearly are in the old segment still.
    eve = {pair: share * planted.WEB_LEADS_DAYS / 90 for pair, share in counted.items()}
    assert max(way for (_, other), way in eve.items() if other >= first) < 0.4
    assert min(way for (_, other), way in eve.items() if other < first) > 0.4


def test_a_window_turns_day_by_day_from_one_centre_to_the_other():
    space = _space(Population(100, 2, SCENARIOS["moves"]))
    whole = planted.EVENT_RATES["landing_page_visit"].per_90_days

    for before, after in ((0, 3), (3, 0)):
        days = [space.window(before, after, day) for day in range(91)]
        assert days[0] == pytest.approx(space.centre(before)[:4])
        assert days[90] == pytest.approx(space.centre(after)[:4])
        visits = [day[0] for day in days]
        assert visits == sorted(visits, reverse=whole[before] > whole[after])


def test_the_first_night_is_as_any_other(homes):
    rows = truth(homes["moves"])
    nights = sorted(rows.as_of.unique())

    assert len(nights) == DAYS
    assert pd.Timestamp(nights[-1]).date() == planted.LAST_NIGHT
    assert not rows.expected_segment.isna().any()
    first = {move.as_of for move in clear_moves(homes["moves"])}
    assert min(first) > planted.LAST_NIGHT - dt.timedelta(days=DAYS - 1)
