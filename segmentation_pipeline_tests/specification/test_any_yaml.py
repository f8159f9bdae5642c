"""Whatever stands in the two kinds of file, it is accepted or refused by file and line, never more.

Files that are right are changed somewhere: a value becomes another, a key goes, comes or is
misspelt, letters of the text are struck out or put in. hypothesis makes the same changes each time.
"""

import copy
import datetime as dt
import math
import string

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-24, cron: "0 3 * * *", time_zone: UTC}
sources:
  crm:
    kind: crm
    path: crm_*.csv
    snapshot_date: {file_name: crm_%Y-%m-%d.csv}
    null_words: ["", n/a]
    key: staff_id
    columns:
      staff_id: {type: text}
      role: {type: category, categories: [Nurse, Surgeon], aliases: {Nurse: [nurse]}}
      full_name: {type: text, personal: true}
      permission: {type: boolean}
      birth_date: {type: date, earliest: 1925-01-01, formats: ["%d.%m.%Y"]}
      publications: {type: integer, minimum: 0, maximum: 1000, impute: {method: median}}
    expectations:
      - {name: adult, predicate: "publications < 900", quarantine: row, maximum_share: 0.1}
  web:
    kind: web
    path: web/*.csv
    key: {expression: "upper(staff_id)"}
    time: occurred_at
    freshness: {warn_after_days: 2}
    columns:
      staff_id: {type: text}
      occurred_at: {type: timestamp}
      event: {type: category}
customers: {base: crm, precedence: [crm], minimum_customers: 50}
experiments: {key: clinic, permission: permission}
kpis:
  visits:
    {description: Visits, kind: mean, source: web, function: count, where: event = 'visit',
     window_days: 30}
  papers: {description: Papers, kind: heavy, expression: publications * 2, window_days: 30}
"""
SEGMENTATION = """\
title: Engagement
criteria: {behaviour: How they use the web.}
features:
  publications: {criterion: behaviour, transform: log1p, words: {high: authors}}
  role: {criterion: behaviour, encoding: {kind: ordinal, order: [Nurse, Surgeon]}}
  visits:
    criterion: behaviour
    aggregate: {source: web, function: count, where: "event = 'visit'", window_days: 90}
  age: {use: input, expression: "date_diff('year', birth_date, as_of)"}
  visits_per_year: {criterion: behaviour, expression: "visits / age"}
clustering: {algorithm: [k_means, hdbscan], minimum_segments: 2, maximum_segments: 8, seed: 7}
strategies:
  write:
    when: [{feature: publications, measure: mean, at_least: 3}]
    message: Read on.
    channel: email
    offer: A letter.
    goal_kpi: visits
    priority: 1
    experiment: {hold_out: 0.2, days: 30}
"""
FILES = {"customers.yaml": CUSTOMERS, "segmentations/engagement.yaml": SEGMENTATION}
examples = settings(
    max_examples=60, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.datetimes(),
    st.text(max_size=12), st.binary(max_size=4),
    st.sampled_from(["crm", "web", "visits", "a.b", "1e5", "' OR 1", "*", "..", 10**400, -1, 0,
                     math.inf, math.nan, dt.date.max, "\0", "%", "{}", "select", "[", "é"]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "segmentations").mkdir()
    return folder


def require_accepted_or_refused(home, changed, text):
    for name, given_text in FILES.items():
        written = text if name == changed else given_text
        (home / name).write_bytes(written.encode("utf-8", "surrogatepass"))
    told = ""
    try:
        load_home(home)
    except SpecificationError as refusal:
        told = str(refusal)
    assert not told or told.startswith((f"{home}/customers.yaml", f"{home}/segmentations"))


def places(node, here=()):
    yield here
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        if isinstance(child, dict | list):
            yield from places(child, (*here, key))
        else:
            yield (*here, key)


def replaced(tree, place, change):
    tree = copy.deepcopy(tree)
    parent = tree
    for part in place[:-1]:
        parent = parent[part]
    change(parent, place[-1])
    return tree


def test_the_files_are_right(home):
    require_accepted_or_refused(home, None, "")
    assert list(load_home(home).segmentations) == ["engagement"]


@examples
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_another_value_somewhere(home, data, name):
    tree = yaml.safe_load(FILES[name])
    place = data.draw(st.sampled_from(list(places(tree))[1:]))
    value = data.draw(values)

    def put(parent, key):
        parent[key] = value

    text = yaml.safe_dump(replaced(tree, place, put), allow_unicode=True)
    require_accepted_or_refused(home, name, text)


@examples
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_another_key_somewhere(home, data, name):
    tree = yaml.safe_load(FILES[name])
    inside = [place for place in places(tree) if place and isinstance(place[-1], str)]
    place = data.draw(st.sampled_from(inside))
    key = data.draw(st.none() | scalars)

    def rename(parent, old):
        value = parent.pop(old)
        if key is not None:
            parent[key] = value

    text = yaml.safe_dump(replaced(tree, place, rename), allow_unicode=True)
    require_accepted_or_refused(home, name, text)


@examples
@given(
    name=st.sampled_from(sorted(FILES)),
    at=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 12),
    inserted=st.text(st.sampled_from(string.punctuation + " \n\t\0\u00e9\ufeff1a"), max_size=4),
)
@example(name="customers.yaml", at=0, length=0, inserted="? [a]\n: b\n")
@example(name="customers.yaml", at=0, length=0, inserted="x: 2025-13-45\n")
@example(name="customers.yaml", at=0, length=0, inserted="&a x: *a\n")
@example(name="customers.yaml", at=0, length=0, inserted="x: !!int a\n")
@example(name="customers.yaml", at=0, length=0, inserted="x: !!binary \u00e9\n")
@example(name="customers.yaml", at=0, length=0, inserted="x: &a [*a]\n")
@example(name="customers.yaml", at=0, length=10**6, inserted="[" * 1500)
@example(name="customers.yaml", at=0, length=10**6, inserted="")
@example(name="customers.yaml", at=0, length=10**6, inserted="\ud800")
def test_other_letters_somewhere(home, name, at, length, inserted):
    text = FILES[name]
    start = int(at * len(text))
    text = text[:start] + inserted + text[start + length :]
    require_accepted_or_refused(home, name, text)
