"""One strategy works, for those drawn to get it, from the day after the first night on."""

import hashlib
import hmac

import pandas as pd
import pytest

from segmentation_pipeline.demo import make_demo, planted
from segmentation_pipeline.demo.truth import TRUTH_NAME
from segmentation_pipeline.specification.home import load_home

CUSTOMERS, DAYS = 6000, 10


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """The same people without and with an effect."""
    made = {drift: tmp_path_factory.mktemp(drift) for drift in ("moves", "effect")}
    for drift, home in made.items():
        make_demo(home, CUSTOMERS, DAYS, 5, "parquet", drift=drift)
    return made


def events(home):
    files = sorted((home / "sources" / "web").iterdir())
    return pd.concat([pd.read_parquet(file) for file in files]).drop_duplicates()


def python_draw(key, salt, customer_id):
    code = hmac.new(key.encode(), f"{salt}\n{customer_id}".encode(), hashlib.sha256).hexdigest()
    return int(code[:13], 16) / 16**13


def test_the_effect_is_more_of_one_event_and_nothing_else(homes):
    usual, lifted = events(homes["moves"]), events(homes["effect"])
    more = lifted[~lifted.event_id.isin(usual.event_id)]
    first_night = planted.LAST_NIGHT - pd.Timedelta(days=DAYS - 1)

    assert len(lifted) == len(usual) + len(more)
    assert set(more.event) == {planted.LIFTED_EVENT}
    assert more.occurred_at.dt.date.min() > first_night
    truth = pd.read_parquet(homes["moves"] / TRUTH_NAME)
    segment = planted.ENGAGEMENT.segments[planted.LIFTED_SEGMENT]
    theirs = truth[truth.segment == segment].customer_id
    assert more.staff_id.isin(theirs).mean() > 0.95  # the web leads, and strangers visit too
    # So many are to be expected of those who are treated; five standard deviations are allowed.
    home = load_home(homes["effect"])
    hold_out = home.segmentations["engagement"].strategies[planted.LIFTED_STRATEGY].experiment
    treated = theirs.nunique() * (1 - home.customers.experiments.global_hold_out)
    treated *= 1 - hold_out.hold_out
    rate = planted.EVENT_RATES[planted.LIFTED_EVENT].per_90_days[planted.LIFTED_SEGMENT]
    expected = 0.08 * rate / 90 * (DAYS - 1) * treated
    assert abs(len(more) - expected) < 5 * expected**0.5


def test_only_those_who_will_be_drawn_to_get_it_do_more(homes):
    usual, lifted = events(homes["moves"]), events(homes["effect"])
    people = set(lifted[~lifted.event_id.isin(usual.event_id)].staff_id)
    home = load_home(homes["effect"])
    shared = home.customers.experiments
    experiment = home.segmentations["engagement"].strategies[planted.LIFTED_STRATEGY].experiment
    salt = f"engagement.{planted.LIFTED_STRATEGY}"

    draws = {one: python_draw(shared.key, salt, one) for one in people}
    everywhere = {one: python_draw(shared.key, "global hold-out", one) for one in people}

    assert len(people) > 15
    assert min(draws.values()) >= experiment.hold_out
    assert min(everywhere.values()) >= shared.global_hold_out
