"""Retention is refused where it would cut what features, KPIs or experiments look back at."""

import datetime as dt
import re

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.retention import (
    Retention,
    cuttable_tables,
    kept_from,
    shortest_days,
)

CUSTOMERS = """\
name: Clinic staff
nights: {{first: 2025-06-24}}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns: {{staff_id: {{type: text}}, papers: {{type: integer}}}}
  web:
    kind: web
    path: web.csv
    key: staff_id
    time: seen_at
    columns: {{staff_id: {{type: text}}, seen_at: {{type: timestamp}}, euros: {{type: number}}}}
  survey:
    kind: survey
    path: survey.csv
    key: staff_id
    columns: {{staff_id: {{type: text}}, score: {{type: integer}}}}
  sent:
    kind: exposures
    path: sent.csv
    key: staff_id
    time: sent_at
    minimum_rows: 0
    columns:
      staff_id: {{type: text}}
      sent_at: {{type: timestamp}}
      strategy: {{type: category}}
      status: {{type: category, categories: [sent]}}
customers: {{base: crm}}
kpis:
  back: {{description: B, kind: binary, source: web, function: count, returning: true, window_days: 20}}
  papers: {{description: P, kind: mean, expression: papers, window_days: 45}}
experiments: {{key: word, permission: "TRUE"}}
retention: {retention}
"""  # noqa: E501
SEGMENTATION = """\
title: T
criteria: {{behaviour: B}}
features:
  papers: {{criterion: behaviour}}
  visits:
    criterion: behaviour
    missing: {{constant: 0}}
    aggregate: {{source: web, function: count{window}}}
{rest}"""
STRATEGY = """\
strategies:
  call:
    when: [{measure: share, at_least: 0.1}]
    message: We call you.
    channel: phone
    goal_kpi: back
    priority: 1
    experiment: {hold_out: 0.5, days: 20, enrolment_days: 40}
"""


@pytest.fixture
def load(write_home):
    def load(retention, window=", window_days: 60", rest=""):
        lens = SEGMENTATION.format(window=window, rest=rest)
        return load_home(write_home(CUSTOMERS.format(retention=retention), lens=lens))

    return load


@pytest.mark.parametrize(
    ("keep", "as_of", "first"),
    [
        ("1 day", "2025-03-01", "2025-02-28"),
        ("2 weeks", "2025-03-01", "2025-02-15"),
        ("1 month", "2025-03-31", "2025-02-28"),
        ("13 months", "2025-03-31", "2024-02-29"),
        ("1 year", "2024-02-29", "2023-02-28"),
        ("5 years", "2025-12-31", "2020-12-31"),
        ("9999 years", "2025-12-31", "0001-01-01"),
        ("9999 weeks", "0100-12-31", "0001-01-01"),
    ],
)
def test_durations_are_of_the_calendar(keep, as_of, first):
    assert kept_from(keep, dt.date.fromisoformat(as_of)) == dt.date.fromisoformat(first)


def test_a_duration_never_counts_more_days_than_it_has():
    for keep in ("3 days", "3 weeks", "3 months", "3 years"):
        for ago in range(1500):
            as_of = dt.date(2025, 6, 30) - dt.timedelta(days=ago)
            assert (as_of - kept_from(keep, as_of)).days >= shortest_days(keep)


def test_what_is_said_stands_beside_what_is_kept_by_default():
    said = Retention(tables={"segment_movements": "2 years"})

    assert said.durations == {"validation_results": "400 days", "segment_movements": "2 years"}
    assert Retention(tables={"validation_results": None}).durations == {}
    assert "segmentation_runs" not in set(cuttable_tables())
    assert {"segment_history", "segment_kpis", "feature_drift"} <= set(cuttable_tables())


def test_enough_is_kept(load):
    said = "{sources: {web: 100 days, crm: 5 years}, tables: {segment_kpis: 46 days}, runs: null}"

    home = load(said, rest=STRATEGY)

    assert home.customers.retention.sources == {"web": "100 days", "crm": "5 years"}


@pytest.mark.parametrize(
    ("retention", "parts", "told"),
    [
        ("{sources: {web: 0 days}}", {}, "customers.yaml:36: retention.sources.web"),
        ("{sources: {wbe: 90 days}}", {}, "no source `wbe`; did you mean `web`?"),
        ("{sources: {survey: 90 days}}", {}, "the answers are columns of the customers"),
        ("{sources: {sent: 9 years}}", {}, "says of everybody who ever was in an experiment"),
        ("{tables: {segment_movement: 1 year}}", {}, "did you mean `segment_movements`?"),
        ("{tables: {segmentation_runs: 1 year}}", {}, "is never cut"),
        ("{tables: {customer_segments: 1 year}}", {}, "doesn't grow by the night"),
        ("{runs: 1}", {}, "greater than or equal to 2"),
        (
            "{sources: {web: 59 days}}",
            {},
            "kpis.back: it looks at 60 days of `web`, and `retention.sources` of",
        ),
        (
            "{sources: {web: 3 months}}",
            {"window": ", window_days: 85"},
            "lens.yaml:8: features.visits.aggregate: it looks at 85 days of `web`",
        ),
        ("{sources: {web: 9 years}}", {"window": ""}, "it looks at all rows of `web`"),
        (
            "{sources: {web: 99 days}}",
            {"rest": STRATEGY},
            "strategies.call.experiment: it looks at 100 days of `web`",
        ),
        ("{tables: {segment_kpis: 45 days}}", {}, "compared with its value 45 days before"),
    ],
)
def test_what_would_be_missed_is_refused_with_the_reason(load, retention, parts, told):
    with pytest.raises(SpecificationError, match=re.escape(told)):
        load(retention, **parts)
