"""What changes for readers from one set of contracts to another, and the version that this takes.

The set has one version, which stands in the manifest and in `data_dictionary`: major where a query
that worked may fail or mean something else, minor where tables or columns came along. What a table
or column is said to be may be said better in any release.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segmentation_pipeline.contracts import CONTRACTS, CONTRACTS_VERSION, Contract


@dataclass(frozen=True)
class ColumnShape:
    """What a query relies on of a column."""

    type: str
    is_key: bool
    is_nullable: bool


Shapes = Mapping[str, Mapping[str, ColumnShape]]
"""Table -> column -> what a query relies on."""


@dataclass(frozen=True)
class Change:
    """A difference between two sets of contracts; no column where it is about the whole table."""

    table: str
    column: str | None
    what: str
    is_breaking: bool

    def __str__(self) -> str:
        place = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{place} {self.what}"


def shapes_of(contracts: Mapping[str, Contract] = CONTRACTS) -> Shapes:
    """Reduce contracts to what queries rely on."""
    return {
        name: {
            column.name: ColumnShape(column.type, column.name in contract.key, column.is_nullable)
            for column in contract.columns
        }
        for name, contract in contracts.items()
    }


def changes(before: Shapes, after: Shapes) -> list[Change]:
    """List what differs for readers who know `before`, breaking changes first."""
    found = [
        *(Change(name, None, "is no longer published", True) for name in before.keys() - after),
        *(Change(name, None, "is new", False) for name in after.keys() - before),
    ]
    for name in before.keys() & after.keys():
        found += _column_changes(name, before[name], after[name])
    return sorted(found, key=lambda one: (not one.is_breaking, one.table, one.column or ""))


def least_version(released: str, found: list[Change]) -> str:
    """Find the smallest version that changes since a released one take.

    >>> least_version("1.2.3", [])
    '1.2.3'
    >>> least_version("1.2.3", [Change("segments", "colour", "is new", False)])
    '1.3.0'
    >>> least_version("1.2.3", [Change("segments", "label", "is no longer there", True)])
    '2.0.0'
    """
    major, minor, _ = (int(part) for part in released.split("."))
    if any(one.is_breaking for one in found):
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if found else released


def contracts_json() -> str:
    """Write the contracts as readers rely on them, with their version, as a release keeps them."""
    tables = {
        table: {name: vars(shape) for name, shape in columns.items()}
        for table, columns in shapes_of().items()
    }
    return json.dumps({"version": CONTRACTS_VERSION, "tables": tables}, indent=1) + "\n"


def read_contracts(text: str) -> tuple[str, Shapes]:
    """Read what `contracts_json` wrote: the version, and the contracts."""
    content = json.loads(text)
    return content["version"], {
        table: {name: ColumnShape(**shape) for name, shape in columns.items()}
        for table, columns in content["tables"].items()
    }


def _column_changes(
    table: str, before: Mapping[str, ColumnShape], after: Mapping[str, ColumnShape]
) -> Iterator[Change]:
    keys = [tuple(name for name, one in side.items() if one.is_key) for side in (before, after)]
    if keys[0] != keys[1]:
        was, is_now = (", ".join(key) for key in keys)
        yield Change(table, None, f"has the key ({is_now}) instead of ({was})", True)
    for name in before.keys() - after.keys():
        yield Change(table, name, "is no longer there, or is called otherwise", True)
    for name in after.keys() - before.keys():
        yield Change(table, name, "is new", False)
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if old.type != new.type:
            yield Change(table, name, f"is {new.type} instead of {old.type}", True)
        if new.is_nullable and not old.is_nullable:
            yield Change(table, name, "may lack a value", True)
