"""Names are made once, of what is stable; no two segments share one."""

import datetime as dt

import pytest

from segmentation_pipeline.features.preparation import Preparation, ScalingRow
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.naming import apply_names, rename_segment
from segmentation_pipeline.segments.personas import headline
from segmentation_pipeline.segments.tables import with_uses, withheld_segments
from segmentation_pipeline.segments.trait_names import compose_name, name_segments, outdated_names
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

NIGHT = Build(dt.date(2025, 6, 30), "run")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        segment_ids(opened, "staff", 1, 3)
        yield opened


def specification():
    count = {"source": "web", "function": "count"}
    return SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"behaviour": "test"},
            "features": {
                "visits": {
                    "criterion": "behaviour",
                    "aggregate": count,
                    "words": {"high": "frequent visitors", "low": "rare visitors"},
                },
                "contract_value_eur": {"criterion": "behaviour", "unit": "EUR/month"},
                "role": {"criterion": "behaviour", "words": {"Nurse": "nurses"}},
                "age": {"use": "profile"},
            },
        }
    )


SPEC = specification()


def trait(segment_id, feature, value, overall, place=None, category=None, use="clustering"):
    return {
        "segment_id": segment_id,
        "feature": feature,
        "category": category,
        "use": use,
        "value": value,
        "overall_value": overall,
        "effect": value / overall if category else value - overall,
        "name_place": place,
    }


def named(connection, segments, traits, given=None):
    return name_segments(connection, "staff", SPEC, segments, traits, given or {})


BUSY = [trait("staff-1", "visits", 9, 5, 1), trait("staff-1", "contract_value_eur", 900, 500, 2)]
QUIET = [trait("staff-2", "visits", 1, 5, 1)]


def test_a_name_is_made_of_the_words_of_the_file_and_of_names_of_features():
    role = trait("staff-1", "role", 0.6, 0.3, category="Nurse")
    surgeons = trait("staff-1", "role", 0.6, 0.3, category="Surgeon")

    assert compose_name(SPEC, BUSY) == "Frequent visitors with high contract value"
    assert compose_name(SPEC, BUSY[::-1]) == "High contract value, frequent visitors"
    assert compose_name(SPEC, [*BUSY, role]) == (
        "Frequent visitors with high contract value, mostly nurses"
    )
    assert compose_name(SPEC, [surgeons]) == "Role mostly Surgeon"


def test_a_name_stays_whatever_later_traits_would_make(connection):
    first = named(connection, ["staff-1", "staff-2"], [*BUSY, *QUIET])
    later = named(connection, ["staff-1", "staff-2"], [trait("staff-1", "visits", 1, 5, 1), *QUIET])

    assert first == later
    assert first == {
        "staff-1": "Frequent visitors with high contract value",
        "staff-2": "Rare visitors",
    }


def test_two_that_would_be_called_alike_are_told_apart(connection):
    alike = [
        trait("staff-1", "visits", 6, 5, 1),
        trait("staff-1", "contract_value_eur", 400, 500),
        trait("staff-2", "visits", 9, 5, 1),
        trait("staff-3", "visits", 7, 5, 1),
    ]

    names = named(connection, ["staff-1", "staff-2", "staff-3"], alike)

    # The name goes to the one that is more so; one is told by another trait, one by its number.
    assert names == {
        "staff-1": "Frequent visitors with low contract value",
        "staff-2": "Frequent visitors",
        "staff-3": "Frequent visitors (group 3)",
    }


def test_a_segment_without_traits_is_called_so_and_a_single_one_is_everybody(connection):
    names = named(
        connection, ["staff-1", "staff-2"], [trait("staff-2", "age", 50, 40, use="profile")]
    )

    assert names == {
        "staff-1": "Group 1, like everybody",
        "staff-2": "Group 2, like everybody",
    }
    segment_ids(connection, "other", 1, 1)
    assert name_segments(connection, "other", SPEC, ["other-1"], [], {}) == {"other-1": "Everybody"}
    assert outdated_names(connection, "other", []) == set()
    assert outdated_names(connection, "other", [], segments=2) == {"other-1"}


def test_nobody_is_called_like_everybody_of_whom_figures_are_withheld(connection):
    profiles = [
        {"segment_id": "staff-1", "use": "clustering", "is_suppressed": True},
        {"segment_id": "staff-2", "use": "profile", "is_suppressed": True},
        {"segment_id": "staff-2", "use": "clustering", "is_suppressed": False},
    ]
    withheld = withheld_segments(profiles)
    names = name_segments(connection, "staff", SPEC, ["staff-1", "staff-2"], [], {}, withheld)
    assert names == {"staff-1": "Group 1", "staff-2": "Group 2, like everybody"}
    segment = {"customers": 598, "share": 0.498, "verdict": "supported"}
    assert "figures are withheld" in headline(segment, [], is_withheld=True)
    assert "nothing that was looked at" in headline(segment, [])


def test_a_feature_that_was_left_out_of_the_distance_only_describes():
    scaled = ScalingRow("visits", "visits", None, "none", 0, 1, None, None, 0, 1)
    told = with_uses(SPEC, Preparation((), (scaled,), ()))
    uses = {name: feature.use for name, feature in told.features.items()}
    assert uses.pop("visits") == "clustering"
    assert set(uses.values()) == {"profile"}
    assert with_uses(SPEC, Preparation((), (), ())) is SPEC


def test_a_new_segment_gets_none_of_the_names_of_the_past(connection):
    named(connection, ["staff-1", "staff-3"], BUSY)
    rename_segment(connection, "staff", "staff-1", "Stars", declared={})
    same = [trait("staff-2", *(BUSY[0][key] for key in ("feature", "value", "overall_value")), 1)]
    same += [trait("staff-2", "contract_value_eur", 900, 500, 2)]

    names = named(connection, ["staff-1", "staff-2"], same)

    assert names["staff-1"] == "Stars"
    assert names["staff-2"] == "Frequent visitors with high contract value (group 2)"


def test_names_of_business_rules_go_before_traits(connection):
    names = named(connection, ["staff-1", "staff-2"], BUSY, {"staff-1": "Regulars"})

    assert names == {"staff-1": "Regulars", "staff-2": "Group 2, like everybody"}
    assert outdated_names(connection, "staff", []) == set()


def test_a_name_is_outdated_once_a_trait_of_it_has_ceased_or_turned(connection):
    role = trait("staff-3", "role", 0.6, 0.3, 1, category="Nurse")
    named(connection, ["staff-1", "staff-2", "staff-3"], [*BUSY, *QUIET, role])

    def outdated(*traits):
        return outdated_names(connection, "staff", traits)

    assert outdated(*BUSY, *QUIET, role) == set()
    assert outdated(BUSY[0], *QUIET, role) == {"staff-1"}
    assert outdated(*BUSY, trait("staff-2", "visits", 8, 5), role) == {"staff-2"}
    assert outdated(*BUSY, *QUIET, role | {"value": 0.4}) == {"staff-3"}
    rename_segment(connection, "staff", "staff-2", "Sleepers", declared={})
    assert outdated(*BUSY, role) == set()


def test_nobody_can_give_a_name_that_another_segment_has(connection):
    named(connection, ["staff-1", "staff-2"], [*BUSY, *QUIET])

    with pytest.raises(Exception, match="staff-2 is called so already"):
        rename_segment(connection, "staff", "staff-1", "rare visitors", declared={})
    with pytest.raises(Exception, match="staff-2 is called so already"):
        apply_names(connection, "staff", {"staff-1": "Rare visitors"})
    # Two may change names with each other.
    apply_names(connection, "staff", {"staff-1": "Rare visitors", "staff-2": "Others"})
    assert named(connection, [], []) == {"staff-1": "Rare visitors", "staff-2": "Others"}
