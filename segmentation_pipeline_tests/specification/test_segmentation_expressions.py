"""SQL of segmentations and KPIs is tried on empty rows: what no night can evaluate has a line."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import open_in_memory

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
      role: {type: category}
      born_on: {type: date}
      papers: {type: integer}
  web:
    kind: web
    path: web.csv
    key: staff_id
    time: at
    columns: {staff_id: {type: text}, at: {type: timestamp}, event: {type: category}}
customers: {base: crm}
kpis:
  output: {description: Papers, kind: mean, expression: papers / 2, window_days: 30}
  visits: {description: V, kind: mean, source: web, function: count, where: event = 'a',
           window_days: 30}
experiments: {key: word, permission: role IS NOT NULL}
"""
SEGMENTATION = """\
title: Output
criteria: {behaviour: What they publish.}
where: has_crm
eligible: papers IS NOT NULL
features:
  papers: {criterion: behaviour}
  age: {use: profile, expression: "date_diff('day', born_on, as_of) / 365.25"}
  twice: {use: profile, expression: papers * 2}
  title: {use: profile, expression: upper(role)}
  born: {use: input, expression: born_on}
  visits: {use: profile, aggregate: {source: web, function: count, where: "event = 'visit'"}}
clustering:
  algorithm: rules
  rules:
    - {name: Writers, where: papers > 1}
"""


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("papers * 2", "paper_count(papers)", 8, "twice.expression: it can't be evaluated: Scalar"),
        ("papers * 2", "papers + role", 8, "twice.expression: it can't be evaluated"),
        ("papers * 2", "sum(papers)", 8, "a row cannot contain aggregates"),
        ("papers * 2", "twice * 2", 8, "there is no column `twice`"),
        ("papers * 2", '"papers, age"', 8, "not one SQL expression"),
        ("papers * 2", '""', 8, "not one SQL expression"),
        ("papers * 2", "papers + $1", 8, "it can't be evaluated"),
        ("papers * 2", "born", 8, "features.twice: it is of type DATE"),
        ("papers * 2", "papers * 2, encoding: {kind: one_hot}", 8, "it is no category"),
        ("upper(role)", "upper(role), transform: log1p", 9, "it is a category"),
        ("upper(role)", "epoch(age(born_on))", 9, "write `age(as_of, ...)`"),
        ("where: has_crm", "where: role", 3, "where: it gives a VARCHAR"),
        ("where: has_crm", "where: papers > born_on", 3, "where: it can't be evaluated"),
        ("papers IS NOT NULL", "papers", 4, "eligible: it gives a BIGINT"),
        ("event = 'visit'", "lenght(event) > 1", 11, "visits.aggregate.where: it can't be"),
        ("event = 'visit'", "event", 11, "visits.aggregate.where: it gives a VARCHAR"),
        ("function: count", "function: count, window_days: 99999999999", 11, "less than or equal"),
        ("papers > 1", "twice", 15, "clustering.rules.0.where: it gives a DOUBLE"),
    ],
)
def test_what_a_segmentation_cannot_evaluate_is_placed(write_home, written, instead, line, message):
    assert written in SEGMENTATION
    home = write_home(CUSTOMERS, output=SEGMENTATION.replace(written, instead, 1))

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert f"output.yaml:{line}:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("papers / 2", "half(papers)", 21, "kpis.output.expression: it can't be evaluated"),
        ("papers / 2", "born_on", 21, "kpis.output.expression: it is of type DATE"),
        ("event = 'a'", "event + 1", 22, "kpis.visits.where: it can't be evaluated"),
        ("role IS NOT NULL", "role", 24, "experiments.permission: it gives a VARCHAR"),
    ],
)
def test_what_kpis_and_experiments_cannot_evaluate_is_placed(
    write_home, written, instead, line, message
):
    assert written in CUSTOMERS
    home = write_home(CUSTOMERS.replace(written, instead, 1), output=SEGMENTATION)

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert f"customers.yaml:{line}:" in str(error.value)
    assert message in str(error.value)


def test_a_feature_over_the_column_of_its_own_name_reads_the_column(write_home):
    spec = SEGMENTATION.replace("{criterion: behaviour}", "{criterion: behaviour, expression: X}")
    spec = spec.replace("expression: X", "expression: papers::VARCHAR").replace(
        "papers > 1", "age > 1"
    )

    with pytest.raises(SpecificationError, match=r"twice\.expression: it can't be evaluated"):
        # For all others the name is the feature, which is text now.
        load_home(write_home(CUSTOMERS, output=spec))
    load_home(write_home(CUSTOMERS, output=spec.replace("papers * 2", "papers || '!'")))


def test_no_function_gets_through_that_differs_from_run_to_run():
    # `error` stops or gives no value, the same on every run.
    with open_in_memory() as connection:
        found = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions()"
            " WHERE function_type = 'scalar' AND stability <> 'CONSISTENT'"
            " AND function_name <> 'error'"
        ).fetchall()
    assert len(found) > 20

    for (name,) in found:
        with pytest.raises(ValueError, match="differs from run to run"):
            referenced_columns(f"{name}()")
