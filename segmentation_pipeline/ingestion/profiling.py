"""What the values of an undeclared column seem to be: type, format, categories, personal or not.

Judged by the first rows of a file, read as text by the reader that nights use.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from segmentation_pipeline.ingestion.seeming_answers import SeemingAnswer, seeming_answer
from segmentation_pipeline.ingestion.typing_sql import Marks, typed_text
from segmentation_pipeline.specification.columns import ColumnSpec, ColumnType
from segmentation_pipeline.warehouse import Connection, literal, quote

_ENOUGH = 0.95
_MOST_CATEGORIES = 40
_MOST_WORDS = 5
"""So many different words among numbers mean "no value"; more, and it is a code."""
_DATE_FORMATS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%m-%d-%Y",
)  # fmt: skip
_TIME_FORMATS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S",
)  # fmt: skip
_PERSONAL_WORD = re.compile(
    r"(^|_)(e_?mail|mail|street|address|addr|first_?name|last_?name|full_?name|sur_?name|"
    r"given_?name|family_?name|middle_?name|customer_?name|contact_?name|user_?name|vorname|"
    r"nachname|kunden_?name|strasse|anschrift|adresse|nom|prenom|nombre|apellidos?|direccion|"
    r"cognome|indirizzo|licen[cs]e_?plate)($|_)|^name$"
)
_PERSONAL_NUMBER = re.compile(
    r"(^|_)(phone|telephone|telefono?|telefonnummer|handy|handynummer|tel|mobile|cell|fax|iban|bic|ssn|passport|ip|ip_address)($|_)"
)
_EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
_PHONE = r"(\+|00?)[\d][\d ()/.\-]{6,18}\d"


@dataclass(frozen=True)
class Profile:
    """A column's seeming type and what goes with it; `remarks` are for the person who decides."""

    type: ColumnType
    rows: int
    missing: int
    different: int
    formats: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    is_personal: bool = False
    has_leading_zeros: bool = False
    latest: dt.date | None = None
    remarks: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a column that seems to hold answers of a survey."""

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value, and no two the same."""
        return self.missing == 0 and self.different == self.rows


def profile_column(
    connection: Connection, relation: str, column: str, name: str, marks: Marks, today: dt.date
) -> Profile:
    """Judge a column of texts: `column` is its quoted name in `relation`, `name` its proposed one.

    Blank and missing values count as missing. `marks` are those of the file's numbers; what they
    leave unreadable is proposed as a text. The latest date is none after `today`.
    """
    text = f"nullif(trim({column}), '')"
    plain = r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?"
    number = (
        f"(regexp_full_match(v, {literal(plain)})"
        r" OR regexp_full_match(v, '[+-]?\d{1,3}(\.\d{3})+(,\d+)?'))"
    )
    is_iso = "length(v) {} AND v[5] = '-' AND TRY_CAST(v AS {}) IS NOT NULL"
    conditions = {
        "present": "true",
        "whole": r"regexp_full_match(v, '[+-]?\d+')",
        "number": number,
        "zeros": r"regexp_full_match(v, '0\d+')",
        "boolean": "lower(v) IN ('true', 'false')",
        "date": is_iso.format("= 10", "DATE"),
        "time": is_iso.format("> 10", "TIMESTAMPTZ"),
        "email": f"regexp_full_match(v, {literal(_EMAIL)})",
        "phone": f"regexp_full_match(v, {literal(_PHONE)})",
    }
    # Each value is looked at once, however often it stands there.
    values = f"(SELECT {text} AS v, count(*) AS n FROM {relation} GROUP BY ALL)"
    wanted = {
        "rows": "sum(n)",
        "different": "count(v)",
        "words": f"count(v) FILTER (NOT {number})",
    } | {
        key: f"coalesce(sum(n) FILTER (v IS NOT NULL AND {condition}), 0)"
        for key, condition in conditions.items()
    }
    listed = ", ".join(f"{sql} AS {quote(key)}" for key, sql in wanted.items())
    (row,) = connection.execute(f"SELECT {listed} FROM {values}").fetchall()
    counts = dict(zip(wanted, (int(count) for count in row), strict=True))
    seeming = _judge(connection, values, name, counts, today)
    return _as_it_is_read(connection, values, seeming, counts, marks)


def _judge(
    connection: Connection, source: str, name: str, counts: dict[str, int], today: dt.date
) -> Profile:
    present = counts["present"]
    missing = counts["rows"] - present
    kind: ColumnType = "text"
    formats: tuple[str, ...] = ()
    remarks: list[str] = []
    latest: dt.date | None = None
    answer: Mapping[str, Any] = {}
    enough = present * _ENOUGH
    is_number = counts["number"] >= enough and present > 0
    is_personal = False
    if present == 0:
        remarks.append("no value in this file: leave it out, or correct where it stands")
    elif max(counts["date"], counts["time"]) >= enough:
        kind = "date" if counts["date"] >= counts["time"] else "timestamp"
        cast = "DATE" if kind == "date" else "TIMESTAMPTZ"
        latest = _latest(connection, source, f"TRY_CAST(v AS {cast})", today)
    elif found := _date_formats(connection, source, counts):
        formats, remarks = found[:1], _ambiguity(found)
        kind = "timestamp" if "%H" in formats[0] else "date"
        latest = _latest(connection, source, f"try_strptime(v, {literal(formats[0])})", today)
    elif is_personal := _seems_personal(name, counts, is_number=is_number):
        remarks.append("looks personal: never published, logged or reported")
    elif counts["boolean"] == present:
        kind = "boolean"
    elif is_number and not _is_code(counts):
        kind = "integer" if counts["whole"] == counts["number"] else "number"
        remarks += _unread(present - counts["number"])
    elif (seeming := _answer(connection, source, counts)) is not None:
        kind, answer = seeming.type, seeming.settings
        remarks.append(seeming.remark)
    if present > 0 and counts["different"] == 1:
        remarks.append("always the same value: it tells nothing")
    categories: tuple[str, ...] = ()
    if kind == "text" and not is_personal and _seems_category(counts):
        kind = "category"
        categories = _categories(connection, source)
    return Profile(
        kind, counts["rows"], missing, counts["different"], formats, categories, is_personal,
        counts["zeros"] > 0, latest, tuple(remarks), answer,
    )  # fmt: skip


def _as_it_is_read(
    connection: Connection, source: str, seeming: Profile, counts: dict[str, int], marks: Marks
) -> Profile:
    """Take a type back by which a night could not read nearly all values.

    A column may be written otherwise than the file's others (814,33 beside 34.27), and have numbers
    that are too large for an integer.
    """
    kind = seeming.type
    for tried in ("integer", "number") if kind == "integer" else (kind,):
        settings = {"type": tried, "formats": seeming.formats, **seeming.answer}
        read = typed_text(ColumnSpec.model_validate(settings), "v", marks).sql
        ((found,),) = connection.execute(
            f"SELECT coalesce(sum(n) FILTER (v IS NOT NULL AND ({read}) IS NOT NULL), 0)"
            f" FROM {source}"
        ).fetchall()
        if found >= counts["present"] * _ENOUGH:
            return replace(seeming, type=tried)
    is_category = _seems_category(counts)
    return replace(
        seeming,
        type="category" if is_category else "text",
        formats=(),
        categories=_categories(connection, source) if is_category else (),
        latest=None,
        remarks=(f"DECIDE: seems to be a {kind}, but is not written as the file's others are",),
        answer={},
    )


def _seems_personal(name: str, counts: dict[str, int], *, is_number: bool) -> bool:
    if _PERSONAL_NUMBER.search(name) or (_PERSONAL_WORD.search(name) and not is_number):
        return True
    half = counts["present"] / 2
    return not is_number and 0 < half <= max(counts["email"], counts["phone"])


def _seems_category(counts: dict[str, int]) -> bool:
    return 0 < counts["different"] <= min(_MOST_CATEGORIES, counts["present"] / 3)


def _is_code(counts: dict[str, int]) -> bool:
    """Digits with zeros before them are no number, nor are those with many words among them."""
    has_zeros = counts["zeros"] > 0 and counts["whole"] == counts["number"]
    return has_zeros or counts["words"] > _MOST_WORDS


def _answer(connection: Connection, source: str, counts: dict[str, int]) -> SeemingAnswer | None:
    """Judge texts; ids with zeros before them, which are digits alone, are no answers."""
    if counts["whole"] == counts["present"]:
        return None
    return seeming_answer(connection, source, counts["present"])


def _unread(count: int) -> list[str]:
    if count == 0:
        return []
    return [f"DECIDE: {count} values are no number: list them as `null_words`, or lose them"]


def _date_formats(connection: Connection, source: str, counts: dict[str, int]) -> tuple[str, ...]:
    """List the formats by which nearly all values are dates between 1850 and 2150."""
    tried = (*_DATE_FORMATS, *_TIME_FORMATS)
    listed = ", ".join(
        f"coalesce(sum(n) FILTER (year(try_strptime(v, {literal(one)})) BETWEEN 1850 AND 2150"
        f" AND length(v) BETWEEN {len(one) - 2} AND {len(one) + 6}), 0)"
        for one in tried
    )
    (row,) = connection.execute(f"SELECT {listed} FROM {source}").fetchall()
    enough = max(counts["present"] * _ENOUGH, 1)
    return tuple(one for one, read in zip(tried, row, strict=True) if read >= enough)


def _ambiguity(formats: Sequence[str]) -> list[str]:
    if len(formats) < 2:
        return []
    others = ", ".join(formats[1:])
    return [f"DECIDE: all values are also dates by {others}"]


def _latest(connection: Connection, source: str, time: str, today: dt.date) -> dt.date | None:
    date = f"CAST({time} AS DATE)"
    ((latest,),) = connection.execute(
        f"SELECT max({date}) FILTER (WHERE {date} <= {literal(today)}) FROM {source}"
    ).fetchall()
    return None if latest is None else dt.date.fromisoformat(str(latest))


def _categories(connection: Connection, source: str) -> tuple[str, ...]:
    """List the words, the most frequent spelling of each; case doesn't tell two apart."""
    found = connection.execute(
        f"SELECT arg_max(v, n) FROM {source} WHERE v IS NOT NULL GROUP BY lower(v)"
        " ORDER BY sum(n) DESC, lower(min(v))"
    ).fetchall()
    return tuple(str(row[0]) for row in found)
