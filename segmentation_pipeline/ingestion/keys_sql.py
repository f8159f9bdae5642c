"""Ids as SQL: as one column has them, in one form, by an expression, or of several columns.

Text as it is, trimmed, in normal form C; never a number's value.
"""

from dataclasses import dataclass

from segmentation_pipeline.ingestion.typing_sql import is_odd_sql, trimmed_sql
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.keys import (
    KeyExpression,
    KeyForm,
    RowNumberKey,
    SourceKey,
)
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import literal, quote

VISITOR = quote("visitor key")
"""Column: the visitor that a row of an identity map names."""

_NO_ID = "no {who} id"
_STRANGE_ID = "a control or invisible character in the {who} id"
_BAR_IN_ID = "a bar within a part of the {who} id"
_OTHER_FORM = "a {who} id that is not of the declared form"
_STRANGE_CHARACTERS = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"


def key_parts(key: SourceKey) -> set[str]:
    """Name the columns that an id is made of, those of an expression included."""
    match key:
        case str() as name:
            return {name}
        case list() as names:
            return set(names)
        case KeyForm():
            return {key.column}
        case KeyExpression():
            return set(referenced_columns(key.expression))
        case RowNumberKey():
            return set()


def row_ids(source: SourceSpec) -> list["RowId"]:
    """List the ids of a row: the customer's or the visitor's, and both in an identity map."""
    if isinstance(source.key, RowNumberKey):
        return []
    who = "customer" if source.identity is None else "visitor"
    ids = [RowId(source.key, "customer_id", quote("key text"), who)]
    if source.visitors is not None:
        ids.append(RowId(source.visitors.key, VISITOR, quote("visitor text"), "visitor"))
    return ids


@dataclass(frozen=True)
class RowId:
    """An id to read into `column`; `text` is the column of what is evaluated for it before."""

    key: SourceKey
    column: str
    text: str
    who: str

    def text_sql(self) -> list[str]:
        """Evaluate a form or an expression, for `sql` to look at twice.

        A row that an expression cannot bear has no id, and does not stop the night. The line break
        ends a comment at the end of the expression.
        """
        match self.key:
            case KeyExpression():
                return [f"TRY(CAST(({self.key.expression}\n) AS VARCHAR)) AS {self.text}"]
            case KeyForm():
                return [f"{_form_sql(self.key)} AS {self.text}"]
            case _:
                return []

    def sql(self, *, is_number: bool, is_odd: str | None) -> str:
        """Write the id over a row's trimmed texts, as a column of a SELECT.

        `is_odd` says of a single column whether it holds anything but visible ASCII.
        """
        return f"{self._value_sql(is_number=is_number, is_odd=is_odd)} AS {self.column}"

    def failures(self, *, is_number: bool, is_odd: str | None) -> list[tuple[str, str]]:
        """List when a row has no sound id, and the reason to note.

        `is_odd` says of a single column whether it holds anything but visible ASCII.
        """
        cases = []
        if isinstance(self.key, KeyForm):
            is_given = f"{quote(self.key.column)} IS NOT NULL"
            cases.append((f"{self.column} IS NULL AND {is_given}", _OTHER_FORM))
        cases.append((f"{self.column} IS NULL", _NO_ID))
        if not is_number:
            strange = f"regexp_matches({self.column}, {literal(_STRANGE_CHARACTERS)})"
            odd = is_odd or is_odd_sql(self.column)
            cases.append((f"CASE WHEN {odd} THEN {strange} ELSE false END", _STRANGE_ID))
        if isinstance(self.key, list) and len(self.key) > 1:
            barred = " OR ".join(f"contains({quote(name)}, '|')" for name in self.key)
            cases.append((barred, _BAR_IN_ID))
        return [(condition, reason.format(who=self.who)) for condition, reason in cases]

    def _value_sql(self, *, is_number: bool, is_odd: str | None) -> str:
        match self.key:
            case str() as name if is_number:
                return quote(name)
            case str() as name:
                text = quote(name)
                normal = f"CASE WHEN {is_odd} THEN nfc_normalize({text}) ELSE {text} END"
                return f"nullif({normal}, '')"
            case KeyExpression() | KeyForm():
                return f"nullif(nfc_normalize({trimmed_sql(self.text, is_odd_sql(self.text))}), '')"
            case list() as names:
                return f"nfc_normalize({_joined_sql([quote(name) for name in names])})"
            case RowNumberKey():
                raise ValueError("a row number is no expression over the row")


def _form_sql(key: KeyForm) -> str:
    """Write the steps of a form, in the order that the declaration promises."""
    text = f"nfc_normalize({quote(key.column)})"
    if key.pattern is not None:
        text = f"nullif(regexp_extract({text}, {literal(f'(?i)^(?:{key.pattern})$')}, 1), '')"
    if key.zeros == "strip":
        # One sign stays: zeros alone are the id 0.
        text = f"regexp_replace({text}, '^0+(.)', '\\1')"
    if key.width is not None:
        filled = f"lpad({text}, {key.width}, '0')"
        text = f"CASE WHEN length({text}) < {key.width} THEN {filled} ELSE {text} END"
    if key.case != "keep":
        text = f"{key.case}({text})"
    return f"{literal(key.prefix)} || {text}" if key.prefix else text


def _joined_sql(parts: list[str]) -> str:
    """Join with bars; NULL where a part is missing."""
    return " || '|' || ".join(f"nullif({part}, '')" for part in parts)
