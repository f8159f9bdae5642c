"""Readers are told by the version of the contracts whether what they know still holds."""

from dataclasses import replace
from pathlib import Path

import pytest

from segmentation_pipeline.contracts import CONTRACTS, CONTRACTS_VERSION, ContractColumn
from segmentation_pipeline.contracts.changes import (
    changes,
    contracts_json,
    least_version,
    read_contracts,
    shapes_of,
)

RELEASED = Path(__file__).with_name("released_contracts.json")
CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
SEGMENTS = CONTRACTS["segments"]
LABEL = next(column for column in SEGMENTS.columns if column.name == "label")


def as_numbers(version):
    return [int(part) for part in version.split(".")]


def test_what_changed_since_the_last_release_has_its_version_and_its_line_in_the_changelog():
    version, released = read_contracts(RELEASED.read_text(encoding="utf-8"))
    found = changes(released, shapes_of())
    least = least_version(version, found)

    told = "\n".join(map(str, found))
    assert as_numbers(CONTRACTS_VERSION) >= as_numbers(least), (
        f"contracts {version} were released, and since then:\n{told}\n"
        f"CONTRACTS_VERSION must be {least} at least, with a line in CHANGELOG.md"
    )
    assert found or version == CONTRACTS_VERSION, "a new version, and nothing has changed"
    assert f"contracts {CONTRACTS_VERSION}" in CHANGELOG.read_text(encoding="utf-8").lower()


def test_what_a_release_keeps_can_be_read_again():
    assert read_contracts(contracts_json()) == (CONTRACTS_VERSION, shapes_of())


@pytest.mark.parametrize(
    ("table", "told", "is_breaking"),
    [
        (None, "segments is no longer published", True),
        (
            replace(SEGMENTS, columns=tuple(c for c in SEGMENTS.columns if c is not LABEL)),
            "segments.label is no longer there, or is called otherwise",
            True,
        ),
        (
            replace(
                SEGMENTS,
                columns=tuple(
                    replace(c, type="INTEGER") if c is LABEL else c for c in SEGMENTS.columns
                ),
            ),
            "segments.label is INTEGER instead of VARCHAR",
            True,
        ),
        (
            replace(SEGMENTS, key=("segment_id",)),
            "segments has the key (segment_id) instead of (segmentation, segment_id)",
            True,
        ),
        (
            replace(
                SEGMENTS,
                columns=tuple(
                    replace(c, is_nullable=True) if c.name == "customers" else c
                    for c in SEGMENTS.columns
                ),
            ),
            "segments.customers may lack a value",
            True,
        ),
        (
            replace(
                SEGMENTS,
                columns=(*SEGMENTS.columns, ContractColumn("colour", "VARCHAR", "Its colour.")),
            ),
            "segments.colour is new",
            False,
        ),
        (replace(SEGMENTS, description="Said better."), None, False),
    ],
)
def test_a_change_is_told_by_table_and_column_and_whether_it_breaks_queries(
    table, told, is_breaking
):
    after = {name: one for name, one in CONTRACTS.items() if name != "segments"}
    if table is not None:
        after["segments"] = table

    found = changes(shapes_of(), shapes_of(after))

    assert [str(one) for one in found] == ([] if told is None else [told])
    assert any(one.is_breaking for one in found) == is_breaking
    wanted = "2.0.0" if is_breaking else "1.0.0" if told is None else "1.1.0"
    assert least_version("1.0.0", found) == wanted


def test_breaking_changes_are_told_first():
    after = dict(CONTRACTS)
    after["zebras"] = replace(SEGMENTS, name="zebras")
    after["a_new_one"] = replace(SEGMENTS, name="a_new_one")
    del after["segments"]

    found = changes(shapes_of(), shapes_of(after))

    assert [(one.table, one.is_breaking) for one in found] == [
        ("segments", True),
        ("a_new_one", False),
        ("zebras", False),
    ]
