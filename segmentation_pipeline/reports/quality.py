"""What a report says of the data: where they come from, what was wrong, what was done about it."""

import datetime as dt
from collections.abc import Sequence

from segmentation_pipeline.reports.edition import Edition, Row
from segmentation_pipeline.reports.views import Grid, Quality
from segmentation_pipeline.reports.wording import counted, number, percent, words

_MOST_ROWS = 25
_SILENT_STEPS = {"loaded", "kept"}


def make_quality(edition: Edition) -> Quality:
    """Tell of validation, sources, rejects and cleaning, the largest numbers first."""
    results = edition.tables["validation_results"]
    uncompared = [row for row in results if _is_not_compared(row)]
    failed = [row for row in results if not row["success"] and not _is_not_compared(row)]
    stopping = [row for row in failed if row["severity"] == "error"]
    noticed = sorted(
        (
            row
            for row in results
            if row in failed or (row["unexpected_rows"] > 0 and not _is_about_gaps(row))
        ),
        key=lambda row: (row["success"], -row["unexpected_share"], row["table_name"]),
    )
    loads = edition.tables["source_loads"]
    unread = sum(row["rejected_rows"] + row["rejected_values"] for row in loads)
    summary, tone = _summary(len(results), len(failed), len(stopping))
    return Quality(
        summary=summary,
        tone=tone,
        checks=(
            f"{counted(len(results), 'check')} ran on tonight's tables, from the files that came "
            f"in to what is published: {len(results) - len(failed) - len(uncompared):,} held, "
            f"{len(failed):,} did not{_uncompared(len(uncompared))}. {_readable(unread)}"
        ),
        noticed=_noticed_grid(noticed),
        gaps=_gaps_grid(results),
        sources=_sources_grid(loads, edition),
        cleaning=_cleaning_grid(edition.tables["cleaning_report"]),
    )


def _summary(checks: int, failed: int, stopping: int) -> tuple[str, str]:
    if not checks:
        return "Nothing was checked.", "bad"
    if stopping:
        return f"{counted(stopping, 'check')} failed: see below.", "bad"
    if failed:
        return f"The data are in order, with {counted(failed, 'warning')}.", "good"
    return "The data are in order.", "good"


def _uncompared(count: int) -> str:
    if not count:
        return ""
    return f", and {count:,} had no earlier load to compare with"


def _is_not_compared(row: Row) -> bool:
    # A version that an earlier release published has no such column.
    return row.get("outcome") == "not_compared"


def _readable(unread: int) -> str:
    if not unread:
        return "Everything in the files could be read."
    told = counted(unread, "row or value", "rows and values")
    return f"{told} could not be read and {'was' if unread == 1 else 'were'} set aside."


def _noticed_grid(rows: Sequence[Row]) -> Grid:
    return Grid(
        ("Table", "What was expected", "Result"),
        [
            (_place(row), words(row["expectation"]).replace("  ", ": "), row["message"])
            for row in rows[:_MOST_ROWS]
        ],
        _more(len(rows), "validation_results"),
    )


def _is_about_gaps(row: Row) -> bool:
    return str(row["expectation"]).endswith("__not_null")


def _place(row: Row) -> str:
    """Say which table it is: what came in, what was made of it, or what is published."""
    schema, _, table = str(row["table_name"]).partition(".")
    if schema == "raw":
        return f"{table.removeprefix('raw_')}, as it came in"
    return table if schema == "core" else f"{table} of {schema}"


def _gaps_grid(results: Sequence[Row]) -> Grid:
    gaps = sorted(
        (
            row
            for row in results
            if row["table_name"] == "core.customers"
            and _is_about_gaps(row)
            and row["unexpected_rows"] > 0
        ),
        key=lambda row: (-row["unexpected_share"], row["expectation"]),
    )
    return Grid(
        ("Column", "Without a value", "Share"),
        [
            (
                words(str(row["expectation"]).removesuffix("__not_null")),
                f"{row['unexpected_rows']:,} of {row['evaluated_rows']:,}",
                percent(row["unexpected_share"]),
            )
            for row in gaps[:_MOST_ROWS]
        ],
        _more(len(gaps), "validation_results"),
    )


def _sources_grid(loads: Sequence[Row], edition: Edition) -> Grid:
    by_source: dict[str, list[Row]] = {}
    for row in loads:
        by_source.setdefault(str(row["source"]), []).append(row)
    fresh = {
        str(row["table_name"]).removeprefix("raw.raw_"): str(row["message"])
        for row in edition.tables["validation_results"]
        if row["kind"] == "freshness" and row["severity"] == "error"
    }
    return Grid(
        ("Source", "Kind", "Files", "Rows", "Rows set aside", "Values set aside", "How fresh"),
        [
            (
                source,
                str(rows[0]["kind"]),
                f"{len({row['file'] for row in rows}):,}",
                f"{sum(row['rows'] for row in rows):,}",
                f"{sum(row['rejected_rows'] for row in rows):,}",
                f"{sum(row['rejected_values'] for row in rows):,}",
                _freshness(rows, edition.as_of, fresh.get(source)),
            )
            for source, rows in by_source.items()
        ],
    )


def _freshness(rows: Sequence[Row], as_of: dt.date, told: str | None) -> str:
    dates = [row["snapshot_date"] for row in rows if row["snapshot_date"] is not None]
    if dates:
        # Files of later nights may have been loaded already; this night did not look at them,
        # unless there are no others and the oldest stands in.
        in_force = max((date for date in dates if date <= as_of), default=min(dates))
        return f"snapshot of {in_force}"
    return told or f"loaded on {max(row['as_of'] for row in rows)}"


def _cleaning_grid(report: Sequence[Row]) -> Grid:
    rows = sorted(
        (row for row in report if row["rows"] > 0 and row["step"] not in _SILENT_STEPS),
        key=lambda row: (-row["share"], row["source"], row["column_name"] or "", row["step"]),
    )
    return Grid(
        ("Source", "Column", "What was done", "Rows", "Share"),
        [
            (
                str(row["source"]),
                words(row["column_name"]) if row["column_name"] else "whole rows",
                str(row["description"]),
                number(row["rows"]),
                percent(row["share"]),
            )
            for row in rows[:_MOST_ROWS]
        ],
        _more(len(rows), "cleaning_report"),
    )


def _more(count: int, table: str) -> str:
    if count <= _MOST_ROWS:
        return ""
    return f"{count - _MOST_ROWS:,} more are in the table {table}."
