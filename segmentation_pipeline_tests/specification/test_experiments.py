"""What a home may say of its experiments, and the messages where it can't."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      email: {type: text, personal: true}
      gender: {type: category, sensitive: true}
      papers: {type: integer}
  web:
    kind: web
    path: web.csv
    key: staff_id
    time: occurred_at
    columns: {staff_id: {type: text}, occurred_at: {type: timestamp}}
customers: {base: crm}
kpis:
  visits: {description: Visits, kind: mean, source: web, function: count, window_days: 30}
  papers: {description: Papers, kind: mean, expression: papers, window_days: 30}
experiments:
  key: clinic
  permission: email IS NOT NULL
  order: [lens]
"""
LENS = """\
title: Lens
criteria: {behaviour: What they do.}
features:
  papers: {criterion: behaviour}
strategies:
  write:
    when: [{measure: customers, at_least: 1}]
    message: Come and see.
    channel: email
    goal_kpi: visits
    priority: 1
    experiment: {hold_out: 0.5, days: 30}
"""


@pytest.fixture
def load(write_home):
    def load(customers=CUSTOMERS, **segmentations):
        return load_home(write_home(customers, **{"lens": LENS} | segmentations))

    return load


def test_an_experiment_and_what_all_share(load):
    home = load(other=LENS.replace("write:", "call:"))

    experiment = home.segmentations["lens"].strategies["write"].experiment
    assert (experiment.hold_out, experiment.days, experiment.enrolment_days) == (0.5, 30, 1)
    assert home.customers.experiments.global_hold_out == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("email IS", "e_mail IS", r"customers.yaml:\d+: .*no column `e_mail`; .*`email`"),
        ("email IS NOT NULL", "gender = 'f'", r"customers.yaml:\d+: .*`gender` is sensitive"),
        ("email IS NOT NULL", "random() < 0.5", "`random` differs from run to run"),
        ("[lens]", "[lenses]", r"customers.yaml:\d+: .*no segmentation `lenses`; .*`lens`"),
        ("key: clinic", "key: clinic\n  key_variable: KEY", "one of them"),
        ("  key: clinic\n", "", "one of them"),
        ("key: clinic", "key: a b", r"customers.yaml:\d+: "),
        (
            "order:",
            "frequency_caps: [{maximum_contacts: 1, days: 7}]\n  order:",
            "sources of kind exposures, and there is none",
        ),
    ],
)
def test_what_all_share_is_checked(load, old, new, message):
    assert old in CUSTOMERS
    with pytest.raises(SpecificationError, match=message):
        load(CUSTOMERS.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5", "0", r"lens.yaml:\d+: .*greater than 0"),
        ("0.5", "1", r"lens.yaml:\d+: .*less than 1"),
        ("days: 30", "days: 60", r"lens.yaml:\d+: .*`visits` looks at 30 days, .* at 60"),
        ("days: 30", "days: 30, look: nightly", "`enrolment_days` above 1"),
        ("days: 30", "day: 30", r"lens.yaml:\d+: .*`days`"),
    ],
)
def test_an_experiment_is_checked(load, old, new, message):
    assert old in LENS
    with pytest.raises(SpecificationError, match=message):
        load(lens=LENS.replace(old, new))


def test_a_goal_that_is_an_expression_fits_any_length(load):
    lens = LENS.replace("goal_kpi: visits", "goal_kpi: papers").replace("days: 30", "days: 60")

    assert load(lens=lens)


def test_an_experiment_needs_what_all_share(load):
    alone = CUSTOMERS[: CUSTOMERS.index("experiments:")]

    with pytest.raises(SpecificationError, match=r"lens.yaml:\d+: .*has no `experiments`"):
        load(alone)


def test_two_experiments_have_two_names(load):
    with pytest.raises(SpecificationError, match=r"other.yaml:\d+: .*`lens` has an experiment"):
        load(other=LENS)
