"""A playbook is refused where no profile could answer it: with line, reason and nearest name."""

from pathlib import Path

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.home import fitting_digest, load_home
from segmentation_pipeline.specification.segmentation import SegmentationSpec

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
      channel: {type: category, categories: [email, phone]}
      driver: {type: category}
      papers: {type: integer}
  survey:
    kind: survey
    path: survey.csv
    key: staff_id
    time: answered_at
    columns:
      staff_id: {type: text}
      answered_at: {type: timestamp}
      papers: {type: integer, sensitive: false}
customers: {base: crm}
kpis:
  many_papers: {kind: binary, description: Authors, expression: papers > 9, window_days: 30}
"""
SEGMENTATION = """\
title: Engagement
criteria: {behaviour: What they do.}
features:
  papers: {criterion: behaviour}
  channel: {use: profile}
  driver: {use: profile}
  many_papers: {use: input, expression: papers > 9}
  ratio: {use: profile, expression: papers / 3}
strategies:
  write_to_them:
    when:
      - {feature: papers, measure: mean, at_least: 5}
      - {feature: channel, category: email, measure: share, at_least: 0.3}
      - {feature: driver, category: Price, measure: lift, at_least: 1.2, at_most: 3}
      - {feature: ratio, measure: median, at_most: 9}
      - {measure: customers, at_least: 10}
      - {kpi: many_papers, measure: change, at_most: -0.05}
    message: Read this.
    channel: email
    goal_kpi: many_papers
    priority: 1
"""


@pytest.fixture
def make_home(write_home):
    def make(segmentation: str = SEGMENTATION, customers: str = CUSTOMERS) -> Path:
        return write_home(customers, engagement=segmentation)

    return make


def test_a_good_playbook_loads(make_home):
    (strategy,) = load_home(make_home()).segmentations["engagement"].strategies.values()

    assert [condition.measure for condition in strategy.when] == [
        "mean", "share", "lift", "median", "customers", "change",
    ]  # fmt: skip
    assert strategy.offer is None


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("feature: papers, measure", "feature: paper, measure", 12, "did you mean `papers`?"),
        ("feature: papers, measure", "feature: gender, measure", 12,
         "`gender` is sensitive: it can be neither a feature nor a condition"),
        ("feature: papers, measure", "feature: full_name, measure", 12, "`full_name` is personal"),
        ("feature: papers, measure", "feature: many_papers, measure", 12, "only an input"),
        ("feature: papers, measure", "feature: driver, measure", 12, "name its `category`"),
        ("category: email", "category: e-mail", 13, "did you mean `email`?"),
        ("feature: channel", "feature: papers", 13, "it has no categories"),
        ("category: email, measure: share", "category: email, measure: mean", 13,
         "no measure of a category, which has share, lift, trait_rank"),
        ("feature: driver, category: Price, measure: lift", "feature: driver, measure: lift", 14,
         "say of which `category`"),
        ("measure: customers, at_least: 10", "measure: mean, at_least: 10", 16, "which `feature`"),
        ("measure: customers, at_least: 10", "category: x, measure: share, at_least: 1", 16,
         "needs `feature`"),
        ("at_least: 0.3", "at_least: 30", 13, "write 0.4 for 40 %"),
        ("at_least: 1.2, at_most: 3", "at_least: 3, at_most: 1.2", 14, "no segment can fulfil"),
        ("at_least: 1.2, at_most: 3", "at_least: -1", 14, "never below 0"),
        ("measure: mean, at_least: 5", "measure: mean", 12, "`at_least`, `at_most` or both"),
        ("measure: mean", "measure: average", 12, "`average` is not one of"),
        ("measure: mean, at_least: 5", "measure: trait_rank, at_most: 0", 12, "has rank 1"),
        ("at_least: 5", "atleast: 5", 12, "did you mean `at_least`?"),
        ("kpi: many_papers, measure", "kpi: many_paper, measure", 17,
         "`kpis` of customers.yaml has no `many_paper`; did you mean `many_papers`?"),
        ("kpi: many_papers, measure: change", "kpi: many_papers, measure: mean", 17,
         "`measure: mean` is no measure of a KPI, which has value, change"),
        ("at_most: -0.05", "at_most: -5", 17, "is between -1 and 1: write 0.4 for 40 %"),
        ("measure: change, at_most: -0.05", "measure: value, at_least: -0.05", 17,
         "whose value is between 0 and 1"),
        ("kpi: many_papers, measure", "measure", 17, "say of which `kpi`"),
        ("kpi: many_papers", "kpi: many_papers, feature: papers", 17, "write two"),
        ("    priority: 1\n", "    prority: 1\n", 21, "did you mean `priority`?"),
        ("    goal_kpi: many_papers\n", "", 10, "`goal_kpi` is missing"),
        ("goal_kpi: many_papers", "goal_kpi: papers", 20,
         "`kpis` of customers.yaml has no `papers`; did you mean `many_papers`?"),
        ("write_to_them", "none", 10, "a strategy can't be called `none`"),
        ("write_to_them", "Write to them", 10, "lower-case letters"),
    ],
)  # fmt: skip
def test_a_fault_in_a_playbook_is_placed(make_home, written, instead, line, message):
    assert written in SEGMENTATION
    home = make_home(SEGMENTATION.replace(written, instead, 1))

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert message in str(error.value)
    assert f"engagement.yaml:{line}: " in str(error.value)


def test_a_missing_value_is_a_category_that_can_be_asked_for(make_home):
    load_home(make_home(SEGMENTATION.replace("category: email", "category: missing")))


def test_a_column_that_any_source_calls_sensitive_is_so(make_home):
    """The CRM is believed first, and says nothing; the survey's word counts all the same."""
    customers = CUSTOMERS.replace("sensitive: false", "sensitive: true")

    with pytest.raises(SpecificationError, match="`papers` is sensitive"):
        load_home(make_home(customers=customers))


def test_a_position_names_no_column_that_could_be_checked():
    with pytest.raises(ValueError, match="cannot hold a position"):
        referenced_columns("#2 = 'female'")


def test_a_playbook_changes_no_model(make_home):
    spec = load_home(make_home()).segmentations["engagement"]
    without = SegmentationSpec.model_validate({**spec.model_dump(), "strategies": {}})

    assert fitting_digest(spec) == fitting_digest(without)
