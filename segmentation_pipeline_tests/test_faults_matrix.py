"""Every fault of the matrix that `make faults` runs names tests that there are."""

import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MATRIX = TESTS.parent / "benchmarks" / "faults" / "matrix.toml"
FAULTS = tomllib.loads(MATRIX.read_text(encoding="utf-8"))["fault"]


@pytest.mark.parametrize("name", sorted({name for one in FAULTS for name in one.get("tests", ())}))
def test_a_named_test_is_there(name):
    file, _, function = name.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")

    assert f"\ndef {function or 'test_'}" in text
    assert not function or f"\ndef {function}(" in text


def test_every_fault_is_tried_in_one_way_or_says_why_not():
    for one in FAULTS:
        ways = [way for way in ("tests", "command", "not_run") if one.get(way)]
        assert len(ways) == 1, one["fault"]
