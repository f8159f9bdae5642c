"""The report: verdict first, every text escaped, honest about what is missing, equal for equal."""

import datetime as dt
import html
import re
from pathlib import Path

import pytest

import segmentation_pipeline
from segmentation_pipeline.reports.edition import _TABLES, Edition
from segmentation_pipeline.reports.report import render_report
from segmentation_pipeline.specification.home import load_home

HOME = Path(segmentation_pipeline.__file__).parent / "demo" / "home"
NIGHT = dt.date(2025, 6, 30)
EVIL = "</svg><script>alert(1)</script><img src=x onerror=alert(2)>'\"&"


@pytest.fixture(scope="module")
def home():
    return load_home(HOME)


def segment(number, customers, **settings):
    return {
        "segmentation": "engagement",
        "segment_id": f"engagement-{number}",
        "label": f"Kind {number}",
        "customers": customers,
        "share": customers / 100,
        "is_noise": False,
        "verdict": "supported",
        "as_of": NIGHT,
        "model_version": 1,
        "is_stale": False,
    } | settings


def profile(number, feature, difference, **settings):
    return {
        "segmentation": "engagement",
        "segment_id": f"engagement-{number}",
        "feature": feature,
        "description": feature.capitalize(),
        "unit": "visits",
        "use": "clustering",
        "mean": 4.0,
        "overall_mean": 2.0,
        "standardised_difference": difference,
        "rank": 1,
    } | settings


def edition(verdict="supported", **tables):
    made = {
        "segments": [segment(1, 60), segment(2, 40)],
        "structure_verdict": [
            {"segmentation": "engagement", "verdict": verdict, "sentence": "The figures."}
        ],
        "segment_profiles": [profile(1, "visits", 0.9), profile(2, "visits", -0.9, mean=1.0)],
    }
    return Edition(NIGHT, {name: [] for name in _TABLES} | made | tables)


def of(number, **columns):
    return {"segmentation": "engagement", "segment_id": f"engagement-{number}", **columns}


def text_of(page):
    """What a reader reads: without tags, one space between words."""
    shown = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        ("supported", "These groups are really there."),
        ("weak", "There are signs of these groups, but no proof."),
        ("continuum", "There are no separate groups: customers lie on a scale."),
        ("too few to tell", "There are too few customers to say whether the groups are real."),
        ("no structure", "No groups were found."),
    ],
)
def test_the_verdict_comes_first_in_plain_words(home, verdict, headline):
    text = text_of(render_report(edition(verdict), home))

    assert text.index(headline) < text.index("Kind 1")
    assert text.index(headline) < text.index("Where the data come from")
    assert text.count(headline) == 2
    assert "The figures." in text


def test_every_text_is_escaped(home):
    evil = edition(
        segments=[segment(1, 60, label=EVIL), segment(2, 40)],
        segment_profiles=[profile(1, "visits", 0.9, description=EVIL, unit=EVIL)],
        segment_personas=[
            of(1, name=EVIL, headline=EVIL, typical_customer='{"role": "<script>x</script>"}',
               wants=EVIL, behaves=None, worth=EVIL, is_name_outdated=False)
        ],
        segment_rules=[
            of(1, rule=EVIL, sql_predicate=EVIL, precision=0.9, recall=0.8, is_approximate=True)
        ],
        segment_strategies=[
            of(1, strategy=EVIL, rank=1, priority=1, message=EVIL, channel=EVIL, offer=EVIL,
               goal_kpi=EVIL, evidence=EVIL)
        ],
        segment_category_shares=[
            of(1, feature=EVIL, category=EVIL, lift=2.0, customers=20, share=0.5, overall_share=0.2)
        ],
        segment_map=[
            of(1, point=1, x=0.0, y=0.0, x_meaning=EVIL, y_meaning=EVIL, shown_share=0.5)
        ],
        segment_migration=[
            {"segmentation": "engagement", "as_of": NIGHT, "from_segment_id": "engagement-1",
             "to_segment_id": "engagement-2", "reason": EVIL, "customers": 3}
        ],
        cleaning_report=[
            {"source": EVIL, "column_name": EVIL, "step": "alias", "description": EVIL, "rows": 1,
             "share": 0.1}
        ],
    )  # fmt: skip

    page = render_report(evil, home)

    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"<[^>]*\sonerror", page)
    assert page.count("</svg>") == page.count("<svg")
    assert EVIL in html.unescape(page)


def test_it_forbids_itself_the_network_and_scripts(home):
    page = render_report(edition(), home)

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_equal_editions_make_equal_pages(home):
    assert render_report(edition(), home) == render_report(edition(), home)


def test_ids_of_a_page_are_unique_and_what_is_pointed_at_is_there(home):
    page = render_report(edition(), home)

    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    pointed = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    for labels in re.findall(r'aria-labelledby="([^"]+)"', page):
        pointed += labels.split()
    assert {*pointed} <= {*ids}


def test_every_picture_says_what_it_shows_and_has_its_numbers_below(home):
    page = render_report(edition(), home)

    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == 2
    for figure in figures:
        assert figure.count('role="img"') == 2
        assert len(re.findall(r"<title [^>]*>\S", figure)) == 2
        assert len(re.findall(r"<desc [^>]*>\S", figure)) == 2
        assert "<details><summary>The numbers as a table</summary>" in figure
        assert '<th scope="row">' in figure
        # Its size is that of its column.
        assert not re.search(r"<svg[^>]* (?:width|height)=", figure)


def test_without_personas_a_card_tells_what_differs_most(home):
    text = text_of(render_report(edition(), home))

    assert "Visits: 4 visits on average; everybody 2 visits." in text


def test_a_card_tells_persona_traits_rule_and_strategies(home):
    page = text_of(
        render_report(
            edition(
                segment_traits=[
                    of(1, rank=2, kind="category", feature="role", category="Nurse",
                       sentence="Twice as many nurses."),
                    of(1, rank=1, kind="number", feature="visits", category=None,
                       sentence="They come twice as often."),
                ],
                segment_personas=[
                    of(1, name="Regulars", headline="They come often.",
                       typical_customer='{"role": "Nurse", "age": 41}', wants="Advice.",
                       behaves="Every week.", worth="Much.", is_name_outdated=True)
                ],
                segment_rules=[
                    of(1, rule="approximately: visits >= 3", sql_predicate="visits >= 3",
                       precision=0.8, recall=0.75, is_approximate=True),
                    of(2, rule="none: there is one segment", sql_predicate=None, precision=None,
                       recall=None, is_approximate=True),
                ],
                segment_strategies=[
                    of(1, strategy="invite_them", rank=1, priority=1, message="Come in",
                       channel="mail", offer=None, goal_kpi="visits", evidence="visits 4 >= 3"),
                    of(2, strategy="none", rank=1, priority=None, message=None, channel=None,
                       offer=None, goal_kpi=None, evidence=None),
                ],
            ),
            home,
        )
    )  # fmt: skip

    for told in (
        "Regulars",
        "They come often.",
        "What they want Advice. How they behave Every week. What they are worth Much.",
        "no longer fits its traits",
        "Visits \u2265 3",
        "This is an approximation. Of the customers it picks, 80% are in this segment;",
        "it finds 75% of the segment.",
        "Invite them \u201cCome in\u201d Through mail Watch visits Why this visits 4 >= 3",
        "role Nurse",
        "age 41",
        "The playbook has nothing for this segment.",
        "No short rule finds them. There is one segment",
        "Nothing sets them apart clearly from everybody else.",
    ):
        assert told in page, told
    assert page.index("They come twice as often.") < page.index("Twice as many nurses.")


def test_distributions_are_drawn_and_said(home):
    page = render_report(
        edition(
            feature_distributions=[
                of(1, feature="visits", bin=1, lower=None, upper=5.0, share=0.2, overall_share=0.4),
                of(1, feature="visits", bin=2, lower=5.0, upper=None, share=0.8, overall_share=0.6),
            ]
        ),
        home,
    )

    told = "Visits. under 5: 20%, everybody 40%; 5 or more: 80%, everybody 60%."
    assert f'role="img" aria-label="{told}"' in page
    assert 'height="38.0" fill="#0072B2"' in page


def test_withheld_figures_are_dashes(home):
    page = render_report(
        edition(
            segment_profiles=[
                profile(1, "visits", None, mean=None),
                profile(2, "visits", -0.5),
            ]
        ),
        home,
    )

    assert "<td>\u2013</td>" in page
    assert "\u22120.5" in page


def night(**counts):
    return {"segmentation": "engagement", "as_of": NIGHT, "churn_share": 0.0} | dict.fromkeys(
        ("entered_count", "left_count", "erased_count", "moved_count", "model_count", "held_count"),
        0,
    ) | counts  # fmt: skip


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (night(churn_share=None), "This is the first night"),
        (night(), "Nobody changed segment tonight; 0 customers came and 0 left."),
        (
            night(moved_count=2, churn_share=0.02, entered_count=1, left_count=1, erased_count=1),
            "2 customers changed segment tonight (2.0%); 1 customer came and 2 left.",
        ),
        (night(held_count=3), "3 customers came near a border and were kept where they were"),
        (night(model_count=5, churn_share=0.05), "A new model came into force tonight."),
    ],
)
def test_what_changed_is_said(home, one, told):
    assert told in text_of(render_report(edition(segment_nights=[one]), home))


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        ("keep", "0 customers came and 0 left. The model was kept."),
        ("refit", "0 left. Another model is due: the figures."),
        ("alert", "0 left. Something is off that no new model mends: the figures."),
        ("first", "0 customers came and 0 left. "),
    ],
)
def test_what_became_of_the_model_is_said(home, decision, told):
    row = {"segmentation": "engagement", "as_of": NIGHT, "decision": decision}
    row["reasons"] = "the figures"
    made = edition(segment_nights=[night()], refit_decision=[row])

    assert told in text_of(render_report(made, home))


def test_a_challenger_is_told_of(home):
    row = {"segmentation": "engagement", "as_of": NIGHT, "sentence": "challenger 2 waits"}

    text = text_of(render_report(edition(challenger_nights=[row]), home))

    assert "Meanwhile, challenger 2 waits." in text


def test_an_older_part_says_so(home):
    old = dt.date(2025, 6, 28)
    text = text_of(
        render_report(edition(segments=[segment(1, 60, as_of=old, is_stale=True)]), home)
    )

    assert "This part is of 2025-06-28: the nights since have failed for it." in text


def test_of_very_many_segments_the_largest_are_told(home):
    text = text_of(
        render_report(
            edition(segments=[segment(n, 100 - n) for n in range(1, 41)], segment_profiles=[]), home
        )
    )

    assert "10 smaller segments are in the table segments." in text
    assert "Kind 30" in text
    assert "Kind 31" not in text


def test_a_segment_keeps_its_colour_when_another_overtakes_it(home):
    first = render_report(edition(segments=[segment(1, 60), segment(2, 40)]), home)
    later = render_report(edition(segments=[segment(1, 40), segment(2, 60)]), home)

    badge = '<span class="badge on-dark" style="background:#0072B2">1</span>'
    assert badge in first
    assert badge in later


def result(success=True, unexpected=0, severity="error", expectation="age__between"):
    return {
        "as_of": NIGHT, "table_name": "core.customers", "expectation": expectation,
        "kind": "between", "severity": severity, "success": success, "evaluated_rows": 300,
        "unexpected_rows": unexpected, "unexpected_share": unexpected / 300,
        "message": f"{unexpected} of 300 rows do not hold",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([], "Nothing was checked."),
        ([result()], "The data are in order."),
        ([result(success=False, unexpected=3, severity="warning")],
         "The data are in order, with 1 warning."),
        ([result(success=False, unexpected=3)], "1 check failed: see below."),
        ([result(), result(success=False) | {"outcome": "not_compared"}], "The data are in order."),
    ],
)  # fmt: skip
def test_data_quality_is_said_in_a_sentence(home, results, told):
    text = text_of(render_report(edition(validation_results=results), home))

    assert text.count(told) == 2
    if any(row["unexpected_rows"] for row in results):
        assert "customers age: between 3 of 300 rows do not hold" in text


def test_a_first_load_is_counted_apart(home):
    first = result(success=False, severity="warning") | {"outcome": "not_compared"}
    text = text_of(render_report(edition(validation_results=[result(), first]), home))

    assert "1 held, 0 did not, and 1 had no earlier load to compare with." in text


def test_gaps_are_told_apart_from_what_is_wrong(home):
    gap = result(unexpected=12, expectation="age__not_null")
    text = text_of(render_report(edition(validation_results=[gap]), home))

    assert "age 12 of 300 4%" in text
    assert "age: not null" not in text
