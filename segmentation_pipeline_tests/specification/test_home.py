"""A home is read as a whole; every fault names its file, its line and the nearest valid name."""

from pathlib import Path

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import digest, load_home

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
      role: {type: category}
      full_name: {type: text, personal: true}
      birth_date: {type: date}
      publications: {type: integer, minimum: 0}
  web:
    kind: web
    path: web/*.csv
    key: staff_id
    time: occurred_at
    columns:
      staff_id: {type: text}
      occurred_at: {type: timestamp}
      event: {type: category}
customers: {base: crm}
"""
SEGMENTATION = """\
title: Engagement
criteria: {behaviour: How they use the web.}
features:
  publications: {criterion: behaviour, transform: log1p}
  visits:
    criterion: behaviour
    aggregate: {source: web, function: count, where: "event = 'visit'", window_days: 90}
  age: {use: input, expression: "date_diff('year', birth_date, as_of)"}
  visits_per_year: {criterion: behaviour, expression: "visits / age"}
"""


@pytest.fixture
def make_home(write_home):
    def make(customers: str = CUSTOMERS, segmentation: str = SEGMENTATION) -> Path:
        return write_home(customers, engagement=segmentation)

    return make


def test_a_good_home_loads_with_all_its_names(make_home, tmp_path):
    home = load_home(make_home())

    assert list(home.segmentations) == ["engagement"]
    assert list(home.customers.customer_columns()) == [
        "gender", "role", "full_name", "birth_date", "publications",
    ]  # fmt: skip
    assert home.warehouse == tmp_path / "warehouse.duckdb"


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("kind: web", "kind: webb", 16, "did you mean `web`?"),
        ("nights: {first", "nights: {frist", 2, "nights.frist: unknown key; did you mean `first`?"),
        ("path: crm.csv", "paht: crm.csv", 6, "did you mean `path`?"),
        ("path: crm.csv", "path: ../crm.csv", 6, "below the home's folder"),
        ("path: crm.csv", "path: https://x/crm.csv", 6, "below the home's folder"),
        ("path: web/*.csv", "path: web/**.csv", 17, "`**` means any folders, and stands alone"),
        ("minimum: 0", "minimum: zero", 14, "sources.crm.columns.publications.minimum"),
        ("{type: date}", "{type: date, categories: [a]}", 13, "`categories` makes no sense"),
        ("{type: category, sensitive", "{aliases: {f: [x], m: [X ]}, type: category, sensitive", 10,
         "means both"),
        ("time: occurred_at", "time: occured_at", 15, "which `columns` doesn't list"),
        ("base: crm", "base: web", 1, "`customers.base`"),
        ("csv\n    key: staff_id", "csv\n    key: {expression: upper(staf_id)}", 7,
         "did you mean `staff_id`?"),
        ("      role: {type: category}\n", "      role: {type: text}\n" * 2, 12, "stands twice"),
        ("      role:", "      on:", 11, "`on` as a key is no text: put it in quotes"),
    ],
)  # fmt: skip
def test_a_fault_in_customers_yaml_is_placed(make_home, written, instead, line, message):
    assert written in CUSTOMERS
    home = make_home(customers=CUSTOMERS.replace(written, instead, 1))

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert f"customers.yaml:{line}:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        ("publications:", "publicatons:", 4, "did you mean `publications`?"),
        ("source: web", "source: wev", 7, "did you mean `web`?"),
        ("event = 'visit'", "evnt = 'visit'", 7, "did you mean `event`?"),
        ("event = 'visit'", "event IN (SELECT 1)", 7, "cannot hold a query"),
        ("event = 'visit'", "event =", 7, "not an SQL expression"),
        ("visits / age", "visits / now()", 9, "`now` differs from run to run"),
        ("visits / age", "visits / ages", 9, "did you mean `age`?"),
        ("birth_date, as_of", "gender, as_of", 8, "`gender` is sensitive"),
        ("birth_date, as_of", "full_name, as_of", 8, "`full_name` is personal"),
        ("birth_date, as_of", "birth_date, visits_per_year", 8, "in a circle"),
        ("transform: log1p", "transform: log", 4, "did you mean `log1p`?"),
        ("criterion: behaviour, transform", "criterion: needs, transform", 1, "doesn't describe"),
        ("function: count", "function: sum", 7, "needs `column`"),
        ("title: Engagement\n", "", 1, "`title` is missing"),
        ("title: Engagement", "title: Engagement\nwhere: has_crn", 2, "did you mean `has_crm`?"),
    ],
)
def test_a_fault_in_a_segmentation_is_placed(make_home, written, instead, line, message):
    assert written in SEGMENTATION
    home = make_home(segmentation=SEGMENTATION.replace(written, instead, 1))

    with pytest.raises(SpecificationError) as error:
        load_home(home)

    assert f"engagement.yaml:{line}:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("encoding", "impute", "is_sound"),
    [
        ("{kind: ordinal, order: [nurse, doctor]}", "", True),
        ("{kind: ordinal, order: [nurse, docter]}", "", False),
        ("{kind: ordinal, values: {docter: 1}}", "", False),
        ("{kind: given, components: [a], vectors: {docter: [1]}}", "", False),
        ("{kind: ordinal, order: [missing, nurse]}", "", False),
        ("{kind: ordinal, order: [missing, nurse]}", ", impute: {method: missing_category}", True),
    ],
)
def test_an_encoding_names_categories_that_there_are(make_home, encoding, impute, is_sound):
    listed = f"role: {{type: category, categories: [nurse, doctor]{impute}}}"
    home = make_home(
        CUSTOMERS.replace("role: {type: category}", listed),
        f"{SEGMENTATION}  role: {{criterion: behaviour, encoding: {encoding}}}\n",
    )
    if is_sound:
        load_home(home)
        return
    with pytest.raises(SpecificationError, match=r"yaml:10: .* is no category of its column; "):
        load_home(home)


def test_of_a_value_that_may_have_several_shapes_only_its_own_faults_are_told(make_home):
    home = make_home(CUSTOMERS.replace("key: staff_id", "key: Staff_ID", 1))

    with pytest.raises(SpecificationError) as raised:
        load_home(home)

    (line,) = str(raised.value).splitlines()
    assert "customers.yaml:7: sources.crm.key: a name is made of lower-case letters" in line


def test_a_folder_that_is_no_home_is_told_what_makes_one(tmp_path):
    with pytest.raises(SpecificationError, match=r"there is no such file: name a home by --home"):
        load_home(tmp_path)


def test_all_faults_of_a_file_are_told_at_once(make_home):
    broken = CUSTOMERS.replace("kind: web", "kind: webb").replace("minimum: 0", "minimun: 0")

    with pytest.raises(SpecificationError) as error:
        load_home(make_home(customers=broken))

    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["raw", "core", "Engagement", "a-b"])
def test_a_segmentation_cannot_take_a_name_of_the_pipeline(make_home, name):
    home = make_home()
    (home / "segmentations" / "engagement.yaml").rename(home / "segmentations" / f"{name}.yaml")

    with pytest.raises(SpecificationError, match=f"{name}.yaml"):
        load_home(home)


def test_a_home_without_segmentations_is_refused(make_home):
    home = make_home()
    (home / "segmentations" / "engagement.yaml").unlink()

    with pytest.raises(SpecificationError, match="one file per segmentation"):
        load_home(home)


def test_comments_and_order_do_not_change_the_digest(make_home, tmp_path):
    first = load_home(make_home()).segmentations["engagement"]
    file = tmp_path / "segmentations" / "engagement.yaml"
    file.write_text(
        "# a comment\n" + SEGMENTATION.replace("title: Engagement\n", "") + "title: Engagement\n"
    )
    second = load_home(tmp_path).segmentations["engagement"]
    file.write_text(SEGMENTATION.replace("log1p", "none"))
    third = load_home(tmp_path).segmentations["engagement"]

    assert digest(first) == digest(second) != digest(third)
