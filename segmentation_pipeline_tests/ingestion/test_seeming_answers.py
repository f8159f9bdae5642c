"""What `inspect` proposes for answers of a survey, and what it leaves alone."""

import datetime as dt

import pytest
import yaml

from segmentation_pipeline.ingestion import load_source, propose_customers, propose_segmentation
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Build

TODAY = dt.date(2026, 12, 31)

NOTES = [
    f"I would like to hear {word} often about your new products in {place}"
    for word in ("more", "less", "quite", "not so", "very", "most")
    for place in ("Bern", "Kiel", "Rom", "Wien", "Graz")
]


def propose(workshop, **columns):
    """The proposed columns for 30 rows; values repeat."""
    names = ["customer_id", *columns]
    rows = [
        "\t".join([f"C{n:03}", *(values[n % len(values)] for values in columns.values())])
        for n in range(30)
    ]
    path = workshop.write("\n".join(["\t".join(names), *rows]) + "\n", "asked.tsv")
    text = propose_customers(workshop.home, [path], TODAY)
    return text, yaml.safe_load(text)["sources"]["asked"]["columns"]


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (
            ["Strongly agree", "agree", "Neutral", "Disagree"],
            {
                "type": "integer",
                "words": {"strongly agree": 5, "agree": 4, "neutral": 3, "disagree": 2},
            },
        ),
        (["5 - strongly agree", "4 - agree", "1 - no"], {"type": "integer", "number": "first"}),
        (["4/5", "3/5", "5/5", "1/5"], {"type": "integer", "number": "first"}),
        (["about 30 minutes", "10 minutes", "1.5 h"], {"type": "number", "number": "first"}),
        (["10+", "3", "4", "9"], {"type": "integer", "number": "first"}),
        (
            ["5 - strongly agree", "agree", "neutral", "3", "disagree"],
            {
                "type": "integer",
                "words": {"neutral": 3, "agree": 4, "disagree": 2},
                "number": "first",
            },
        ),
        (
            ["email;phone", "email", "sms; email", "phone"],
            {"type": "choices", "separator": ";", "options": ["email", "phone", "sms"]},
        ),
        (
            ["E-Mail, Phone", "Phone", "e-mail", "Phone, SMS"],
            {"type": "choices", "separator": ", ", "options": ["Phone", "E-Mail", "SMS"]},
        ),
        (NOTES, {"type": "free_text"}),
    ],
    ids=["words", "labels", "fractions", "about", "plus", "mixed", "choices", "commas", "text"],
)
def test_answers_are_proposed_as_what_they_are(workshop, values, declared):
    text, columns = propose(workshop, q1=values)

    assert columns["q1"] == declared
    if declared["type"] != "free_text":
        (line,) = (one for one in text.splitlines() if one.strip().startswith("q1:"))
        assert "DECIDE" in line


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["Bern, Switzerland", "Kiel, Germany", "Rom, Italy"], "category"),
        (["red", "green", "blue"], "category"),
        (["SKU-1", "SKU-2", "SKU-30"], "category"),
        ([f"{n} Main Street {'abcdefghij'[n % 10] * (n + 1)}" for n in range(30)], "free_text"),
        (["1", "2", "3"], "integer"),
        (["agree", "maybe", "who knows"], "category"),
    ],
    ids=["places", "words", "codes", "addresses", "numbers", "unknown-words"],
)
def test_what_is_no_answer_is_left_alone(workshop, values, kind):
    _, columns = propose(workshop, q1=values)

    assert columns["q1"]["type"] == kind


def test_no_text_of_people_is_in_a_proposal(workshop):
    text, _ = propose(workshop, q1=NOTES)

    assert "Bern" not in text


def test_what_is_proposed_loads_and_makes_a_segmentation(workshop):
    way = ["email;phone", "email", "sms; email", "phone"]
    text, _ = propose(workshop, way=way, mood=["good", "fair", "poor"], note=NOTES)
    (workshop.home / "customers.yaml").write_text(text)
    (workshop.home / "segmentations").mkdir()
    (workshop.home / "segmentations" / "first.yaml").write_text(propose_segmentation(text))

    home = load_home(workshop.home)
    source = home.customers.sources["asked"]
    load_source(
        workshop.connection, workshop.home, "asked", source, Build(home.customers.nights.first, "r")
    )

    features = home.segmentations["first"].features
    assert {name: one.use for name, one in features.items()} == {
        "mood": "clustering",
        "way__email": "clustering",
        "way__phone": "clustering",
        "way__sms": "clustering",
        "way__count": "profile",
        "note__characters": "profile",
        "note__words": "profile",
        "note__digit_share": "profile",
        "note__blank_share": "profile",
    }
    assert workshop.query("SELECT DISTINCT mood FROM raw.raw_asked ORDER BY ALL") == [
        (2,), (3,), (4,),
    ]  # fmt: skip
