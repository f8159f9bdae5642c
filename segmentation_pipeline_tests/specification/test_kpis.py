"""A KPI is refused where it can't be made, or would publish what may not be: with line and name."""

import re
from pathlib import Path

import pytest
import yaml

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import fitting_digest, load_home
from segmentation_pipeline.specification.kpis import Kpi

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-24}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      gender: {type: category, sensitive: true}
      full_name: {type: text, personal: true}
      papers: {type: integer}
  web:
    kind: web
    path: web.csv
    key: staff_id
    time: seen_at
    columns:
      staff_id: {type: text}
      seen_at: {type: timestamp}
      event: {type: category}
      euros: {type: number}
      address: {type: text, personal: true}
  notes:
    kind: survey
    path: notes.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      score: {type: integer}
customers: {base: crm}
kpis:
  engagement:
    {description: Active, kind: binary, source: web, function: count, window_days: 30}
  revenue:
    {description: Euros, unit: EUR, kind: heavy, source: web, function: sum, column: euros, window_days: 30}
  papers:
    {description: Papers, kind: mean, expression: papers, window_days: 30}
  euros_per_event:
    description: Euros per event
    kind: ratio
    numerator: {source: web, function: sum, column: euros}
    denominator: {source: web, function: count, where: event = 'visit'}
    window_days: 7
"""  # noqa: E501
SEGMENTATION = "title: T\ncriteria: {needs: N}\nfeatures: {papers: {criterion: needs}}\n"


@pytest.fixture
def make_home(write_home):
    def make(customers: str = CUSTOMERS, segmentation: str = SEGMENTATION, **to: Path) -> Path:
        return write_home(customers, lens=segmentation, **to)

    return make


def test_good_kpis_load_and_say_what_is_aggregated(make_home):
    kpis = load_home(make_home()).customers.kpis

    assert list(kpis) == ["engagement", "revenue", "papers", "euros_per_event"]
    assert [list(kpi.aggregates) for kpi in kpis.values()] == [
        ["numerator"], ["numerator"], [], ["numerator", "denominator"],
    ]  # fmt: skip
    assert {one.window_days for one in kpis["euros_per_event"].aggregates.values()} == {7}
    assert kpis["engagement"].higher_is_better


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("source: web, function: count, w", "source: wbe, function: count, w", 34,
         "no source `wbe`; did you mean `web`?"),
        ("column: euros, w", "column: euro, w", 36, "no column `euro`; did you mean `euros`?"),
        ("column: euros, w", "column: event, w", 36, "`sum` needs a number"),
        ("column: euros, w", "w", 35, "`function: sum` needs `column`"),
        ("function: sum, column: euros, w", "function: distinct, column: address, w", 36,
         "`address` is personal: it can be no part of a KPI, which is published"),
        ("expression: papers", "expression: paper", 38, "did you mean `papers`?"),
        ("expression: papers", "expression: gender = 'f'", 38, "`gender` is sensitive"),
        ("expression: papers", "expression: full_name", 38, "`full_name` is personal"),
        ("expression: papers", "expression: now() - papers", 38, "differs from run to run"),
        ("expression: papers", "expression: papers, where: papers > 1", 37, "needs `source`"),
        ("expression: papers", "source: crm, function: count", 38, "use an `expression`"),
        ("expression: papers", "source: notes, function: count", 38, "have no `time`"),
        ("expression: papers", "expression: papers, source: web", 37, "either `source`"),
        ("expression: papers", "returning: true, expression: papers", 37, "`kind: binary` with a"),
        ("expression: papers, ", "", 37, "either `source`"),
        ("where: event = 'visit'", "where: events = 'visit'", 43, "did you mean `event`?"),
        ("where: event = 'visit'", "where: address = 'x'", 43, "`address` is personal"),
        ("kind: ratio", "kind: mean", 39, "are for `kind: ratio`"),
        ("kind: ratio", "kind: ratio\n    source: web", 39, "stands in its `numerator`"),
        ("kind: heavy, source: web, function: sum, column: euros", "kind: ratio", 35,
         "needs `numerator` and `denominator`"),
        ("kind: binary, source: web, function: count", "kind: binary, source: web, function: rate",
         33, "is one of count, sum, distinct"),
        ("kind: binary", "kind: bolean", 34, "`bolean` is not one of"),
        ("function: sum, column: euros}", "function: mean, column: euros}", 42, "is not one of"),
        (", window_days: 30}\n  revenue", "}\n  revenue", 33, "`window_days` is missing"),
        ("window_days: 7", "window_days: 0", 44, "greater than or equal to 1"),
        ("  engagement:\n", "  customer_id:\n", 33, "the pipeline uses that name"),
        ("  engagement:\n", "  Engagement:\n", 33, "lower-case letters"),
        ("  engagement:\n", "  papers:\n", 37, "stands twice"),
        ("description: Active, ", "", 33, "`description` is missing"),
    ],
)  # fmt: skip
def test_a_fault_in_a_kpi_is_placed(make_home, written, instead, line, message):
    assert written in CUSTOMERS
    home = make_home(CUSTOMERS.replace(written, instead, 1))

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert message in str(error.value)
    assert f"customers.yaml:{line}: " in str(error.value)


def test_a_goal_asks_for_kpis_where_there_are_none(make_home):
    strategy = (
        "strategies: {write: {when: [{measure: share, at_least: 0}], message: M, channel: email,"
        " goal_kpi: sales, priority: 1}}\n"
    )
    customers = CUSTOMERS[: CUSTOMERS.index("kpis:")]

    with pytest.raises(SpecificationError, match="has no `sales`; declare it there"):
        load_home(make_home(customers, SEGMENTATION + strategy))


def test_the_kpis_that_the_guide_shows_are_those_of_the_example():
    repository = Path(__file__).parents[2]
    guide = (repository / "docs" / "kpis.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    example = load_home(repository / "segmentation_pipeline" / "demo" / "home").customers.kpis

    for name, kpi in yaml.safe_load(block)["kpis"].items():
        assert example[name] == Kpi.model_validate(kpi)


def test_kpis_change_no_model(make_home, tmp_path):
    spec = load_home(make_home()).segmentations["lens"]
    customers = CUSTOMERS[: CUSTOMERS.index("kpis:")]
    other = load_home(make_home(customers, folder=tmp_path / "without")).segmentations["lens"]

    assert fitting_digest(spec) == fitting_digest(other)
