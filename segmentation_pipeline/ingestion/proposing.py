"""What seems to be, written as YAML with remarks for the person who corrects it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from segmentation_pipeline.ingestion.profiling import Profile
from segmentation_pipeline.ingestion.sniffing import Sniffed
from segmentation_pipeline.warehouse import quote

_MOST_LISTED = 30


@dataclass
class Inspected:
    """A file as it seems to be; `key` is None where no column identifies the customer."""

    path: str
    sniffed: Sniffed
    names: dict[str, str]
    """Proposed name of a column -> its header (or place), as the file has it."""
    profiles: dict[str, Profile]
    remarks: list[str] = field(default_factory=list)
    key: str | None = None
    time: str | None = None
    kind: str = "crm"
    is_sampled: bool = False
    """Whether the file has more rows than were looked at."""
    date_format: str | None = None
    """Where the date stands in the names of several files."""
    latest_file: dt.date | None = None
    """The latest date in their names."""

    def rename(self, new_names: Mapping[str, str]) -> None:
        """Propose other names for columns."""
        self.names = {new_names.get(name, name): header for name, header in self.names.items()}
        self.profiles = {new_names.get(name, name): one for name, one in self.profiles.items()}

    @property
    def latest(self) -> dt.date | None:
        """The latest date that it tells a night: of its files, or of its events."""
        if self.kind == "crm":
            return self.latest_file
        return None if self.time is None else self.profiles[self.time].latest


def written(inspected: Mapping[str, Inspected]) -> str:
    """Write the customers.yaml of inspected files, by the names of their sources."""
    latest = [one.latest for one in inspected.values() if one.latest is not None]
    first = max(latest, default="2025-01-01")
    lines = [
        "# Proposed from files; correct it, then run `segmentation check`. A line that says DECIDE",
        "# needs you. Spellings that mean the same category go to `aliases` of the column; columns",
        "# that nobody needs can go. docs/sources.md says how each kind of file is declared.",
        "name: My customers",
        "nights:",
        f"  first: {first} # the first night that can be run"
        + ("" if latest else "; DECIDE: no file says its date"),
        "sources:",
    ]
    base = next((name for name, one in inspected.items() if one.kind == "crm"), None)
    for name, one in inspected.items():
        lines += _source_lines(name, one)
    if base is None:
        name, one = next(iter(inspected.items()))
        base = f"{name}_customers"
        lines += _seen_lines(base, one)
    lines += ["customers:", f"  base: {on_one_line(base)} # whose keys are the customers"]
    return "\n".join(lines) + "\n"


def _source_lines(name: str, one: Inspected) -> list[str]:
    lines = [f"  {on_one_line(name)}:", *(f"    # {remark}" for remark in one.remarks)]
    if one.is_sampled:
        lines.append("    # Judged by its first rows only: lists of categories are left to you.")
    lines += [f"    kind: {one.kind}{_kind_remark(one)}"]
    lines += _place_lines(one)
    if one.kind == "crm" and one.date_format is not None:
        lines.append(f"    snapshot_date: {{file_name: {on_one_line(one.date_format)}}}")
    lines += _key_lines(one)
    if one.kind != "crm":
        lines.append(f"    time: {on_one_line(one.time)}")
        lines.append("    duplicates: remove # rows that repeat another in every column count once")
    lines.append("    columns:")
    for column, place in zip(one.profiles, one.sniffed.columns, strict=True):
        lines += _column_lines(column, place, one)
    return lines


def _seen_lines(base: str, one: Inspected) -> list[str]:
    """Declare the file once more as a survey: those who appear in its events are the customers."""
    key, time = str(one.key), str(one.time)
    places = dict(zip(one.profiles, one.sniffed.columns, strict=True))
    lines = [
        f"  {on_one_line(base)}:",
        "    # No file has a row per customer: the customers are those who appear in this one.",
        "    kind: survey",
        *_place_lines(one),
        *_key_lines(one),
        f"    time: {on_one_line(time)}",
        "    columns:",
    ]
    return [*lines, *_column_lines(key, places[key], one), *_column_lines(time, places[time], one)]


def _place_lines(one: Inspected) -> list[str]:
    settings = {"path": one.path, **one.sniffed.settings}
    return [f"    {key}: {on_one_line(value)}" for key, value in settings.items()]


def _kind_remark(one: Inspected) -> str:
    if one.kind != "crm":
        return " # events with a time; kind web is the same without amounts"
    if one.key is not None and not one.profiles[one.key].is_unique:
        return " # DECIDE: some customers have several rows, and one of them counts"
    return " # a row per customer"


def _key_lines(one: Inspected) -> list[str]:
    if one.key is None:
        return [
            "    # DECIDE: no column seems to identify a customer. The row's number does it only",
            "    # as long as no row is added or taken away.",
            "    key: {row_number: true}",
        ]
    profile = one.profiles[one.key]
    lines = [f"    key: {on_one_line(one.key)}"]
    if profile.type == "number":
        expression = f"CAST(TRY_CAST({quote(one.key)} AS DOUBLE) AS BIGINT)"
        lines = [f"    key: {{expression: {on_one_line(expression)}}} # 17850.0 and 17850 are one"]
    if profile.missing:
        share = min(1.0, 1.2 * profile.missing / profile.rows + 0.001)
        lines += [
            f"    # DECIDE: {profile.missing} of {profile.rows} rows say no customer: left out.",
            f"    maximum_rejected_share: {share:.3f}",
        ]
    return lines


def _column_lines(name: str, place: Mapping[str, Any], one: Inspected) -> list[str]:
    profile = one.profiles[name]
    is_key = name == one.key
    kind = "text" if is_key and profile.type != "number" else profile.type
    declared: dict[str, Any] = {"type": kind}
    declared |= {key: value for key, value in place.items() if key != "header" or value != name}
    if profile.formats and not is_key:
        declared["formats"] = list(profile.formats)
    if kind == "category" and len(profile.categories) <= _MOST_LISTED and not one.is_sampled:
        declared["categories"] = list(profile.categories)
    if not is_key:
        declared |= profile.answer
    if profile.is_personal and not is_key:
        declared["personal"] = True
    if profile.missing > profile.rows / 2:
        declared["maximum_null_share"] = 1
    remarks = [] if is_key else list(profile.remarks)
    remarks.append(f"{profile.different} different" + (
        f", {profile.missing} of {profile.rows} missing" if profile.missing else ""))  # fmt: skip
    written = on_one_line(declared)
    if len(written) <= 80:
        return [f"      {on_one_line(name)}: {written} # {'; '.join(remarks)}"]
    lines = [f"      {on_one_line(name)}: # {'; '.join(remarks)}"]
    return [*lines, *(f"        {key}: {on_one_line(value)}" for key, value in declared.items())]


def on_one_line(value: Any) -> str:
    """Write a value on one line of YAML; a name such as `no` in quotes, or it would be false."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6
    )
    return text.removesuffix("...\n").strip()
