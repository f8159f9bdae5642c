"""Which rows of a source count on a night.

In this order: a CRM source has the rows of its snapshot in force; a row dated after `as_of` does
not exist yet; an answer or event without a (possible) date exists on no date, while a CRM row
without one stands, since its snapshot is dated; a row that breaks an expectation with
`quarantine: row` is left out. Predicates see values as they were loaded, as the checks of the raw
table do, so that both count the same rows. Then the rows in `core.left_out_rows` go (`repeats`),
and last those of no customer (`joining`).
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.preparation.answers import parts_sql, with_options_sql
from segmentation_pipeline.preparation.report import RowStep
from segmentation_pipeline.preparation.spans import begins_sql, ends_sql, with_customers_sql
from segmentation_pipeline.preparation.values import after_sql, cleaned_sql, possible_sql
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.expectations import RowExpectation
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Table, literal, quote

LEFT_OUT_ROWS = Table("core", "left_out_rows")
"""Rows that repeat another or were overtaken by one: source, load_id, source_row, step."""


@dataclass(frozen=True)
class SourceRows:
    """A source on a night; `snapshot` is the load in force of a source of kind crm."""

    name: str
    source: SourceSpec
    as_of: dt.date
    snapshot: int | None = None

    def __post_init__(self) -> None:
        if (self.source.kind == "crm") != (self.snapshot is not None):
            raise PreparationError(
                f"source `{self.name}` is of kind {self.source.kind}: a snapshot in force goes "
                "with kind crm, and only with it"
            )

    @property
    def raw(self) -> Table:
        """The table it was loaded into."""
        return raw_table(self.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """What makes a row: the customer and every declared column."""
        return ("customer_id", *self.source.columns)

    @property
    def dates_rows(self) -> bool:
        """Whether a row needs a date to exist."""
        return self.source.time is not None and self.source.kind != "crm"

    @property
    def value_columns(self) -> dict[str, ColumnSpec]:
        """The columns whose values are looked at one by one; a date that rows need is not.

        Nor is the date until when a row of an identity map holds, which may be far ahead.
        """
        until = None if self.source.visitors is None else self.source.visitors.until
        return {
            name: column
            for name, column in self.source.columns.items()
            if not (self.dates_rows and name == self.source.time) and name != until
        }


@dataclass(frozen=True)
class RowCheck:
    """A step, the SQL condition (over a loaded row) of the rows it takes out, and its words."""

    step: RowStep
    condition: str
    description: str


def events_sql(name: str, source: SourceSpec, as_of: dt.date, snapshot: int | None = None) -> str:
    """Write the query of a source's cleaned rows up to `as_of`, each exact copy once.

    Its columns are customer_id and the declared ones. Rows of unknown customers are among them.
    Of a survey it has every answer, overtaken ones too. It reads `core.left_out_rows`, which
    `make_customers` makes for the same `as_of`.
    """
    rows = SourceRows(name, source, as_of, snapshot)
    return cleaned_rows_sql(rows, source.columns, ["exact_duplicate"])


def cleaned_rows_sql(
    rows: SourceRows, columns: Iterable[str], left_out: Iterable[RowStep] | None = None
) -> str:
    """Write the query of customer_id and cleaned columns of the rows that count.

    An answer among the columns comes in its parts. `left_out` are the steps of
    `core.left_out_rows` to heed; all of them where nothing is said.
    """
    looked_at = rows.value_columns
    wanted, cleaned = list(columns), []
    for name in wanted:
        column = looked_at.get(name)
        if column is None:
            cleaned.append(quote(name))
        elif column.is_answer:
            cleaned += [f"{sql} AS {quote(part)}" for part, sql in parts_sql(name, column).items()]
        else:
            cleaned.append(f"{cleaned_sql(name, column, rows.as_of)} AS {quote(name)}")
    selected = ", ".join(["customer_id", *cleaned])
    counting = with_options_sql(counting_rows_sql(rows, left_out), looked_at, wanted)
    return f"SELECT {selected} FROM ({counting}) AS counting"


def counting_rows_sql(rows: SourceRows, left_out: Iterable[RowStep] | None = None) -> str:
    """Write the query of the loaded rows that count."""
    steps = ""
    if left_out is not None:
        steps = f" AND step IN ({', '.join(literal(step) for step in left_out)})"
    return (
        f"SELECT * FROM ({existing_rows_sql(rows)}) AS existing"
        f" ANTI JOIN (SELECT load_id, source_row FROM {LEFT_OUT_ROWS.sql}"
        f" WHERE source = {literal(rows.name)}{steps}) AS left_out USING (load_id, source_row)"
    )


def existing_rows_sql(rows: SourceRows) -> str:
    """Write the query of the loaded rows that exist on the night, repeated ones included."""
    existing = [f"({check.condition}) IS NOT TRUE" for check in row_checks(rows)]
    where = f" WHERE {' AND '.join(existing)}" if existing else ""
    return f"SELECT * FROM ({loaded_rows_sql(rows)}) AS loaded{where}"


def loaded_rows_sql(rows: SourceRows) -> str:
    """Write the query of the loaded rows, with `as_of` for the predicates."""
    snapshot = "" if rows.snapshot is None else f" WHERE load_id = {literal(rows.snapshot)}"
    loaded = f"{rows.raw.sql}{snapshot}"
    if rows.source.identity is not None:
        loaded = f"({with_customers_sql(rows.source, rows.raw.sql)}) AS attributed"
    return f"SELECT *, {literal(rows.as_of)} AS as_of FROM {loaded}"


def row_checks(rows: SourceRows) -> list[RowCheck]:
    """List what takes a row out by itself; the first condition that is true counts."""
    checks = []
    time = rows.source.time
    if time is not None:
        checks.append(
            RowCheck("later_row", after_sql(time, rows.as_of), "dated after the night: not yet")
        )
    if time is not None and rows.dates_rows:
        dated = possible_sql(time, rows.source.columns[time], rows.as_of)
        checks.append(
            RowCheck("undated_row", f"NOT ({dated})", "without a possible date: left out")
        )
    begins, ends = begins_sql(rows.source), ends_sql(rows.source)
    if begins is not None and ends is not None:
        backwards = f"{ends} <= {begins}"
        checks.append(RowCheck("quarantined_row", backwards, "ends before it begins: left out"))
    return checks + quarantine_checks(rows.source.expectations)


def quarantine_checks(expectations: Iterable[RowExpectation]) -> list[RowCheck]:
    """List the expectations that leave out what breaks them; NULL holds, as in an SQL CHECK."""
    return [
        # The line break ends a comment at the end of the predicate.
        RowCheck(
            "quarantined_row",
            f"NOT ({expectation.predicate}\n)",
            f"breaks {expectation.name}: left out",
        )
        for expectation in expectations
        if expectation.quarantine == "row"
    ]
