"""Answers on a scale -> numbers, as SQL: a declared word, or the number among other words.

A number is taken with all that stands to it, so that `1,500 euros` is never read as 1: the digits
and marks that belong together are one token, which is then read as strictly as a value of its own.
"""

from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import literal

MORE_THAN_ONE_NUMBER = "more than one number"
NO_NUMBER = "neither a number nor a declared word"

_SIGNS = "+\\-\u2212\u2013"
_MINUSES = "\u2212\u2013"
_BEFORE = r"[\s\p{Z}(\[:=~<>\x{2248}]"
"""What may stand right before a sign or a leading decimal mark; after a digit, `-` is no sign."""


def is_scale(column: ColumnSpec) -> bool:
    """Whether answers in words, or with words around the number, are read."""
    return bool(column.words) or column.number != "alone"


def words_sql(column: ColumnSpec, text: str) -> str:
    """Write what an answer in words is worth, NULL where it is no declared word."""
    if not column.words:
        return "NULL"
    whens = " ".join(
        f"WHEN {folded_sql(literal(word))} THEN {literal(float(worth))}"
        for word, worth in column.words.items()
    )
    return f"CASE {folded_sql(text)} {whens} END"


def number_text_sql(column: ColumnSpec, text: str, thousands_mark: str) -> str:
    """Write the text of the answer's number, NULL where there is none or no single one."""
    tokens = f"regexp_extract_all({text}, {literal(_token(thousands_mark))})"
    match column.number:
        case "first":
            found = f"{tokens}[1]"
        case "last":
            found = f"{tokens}[-1]"
        case "only":
            found = f"CASE WHEN len({tokens}) = 1 THEN {tokens}[1] END"
        case "alone":
            return "NULL"
    bare = f"regexp_replace({found}, {literal('^' + _BEFORE)}, '')"
    return f"translate({bare}, {literal(_MINUSES)}, {literal('-' * len(_MINUSES))})"


def scale_reasons(
    column: ColumnSpec, text: str, thousands_mark: str, otherwise: str
) -> tuple[tuple[str, str], ...]:
    """Say why an answer has no value: a reason and the condition that tells it from the others."""
    has_number = rf"regexp_matches({text}, '\d')"
    reasons = [(NO_NUMBER, f"NOT {has_number}")]
    if column.number == "only":
        tokens = f"regexp_extract_all({text}, {literal(_token(thousands_mark))})"
        reasons.append((MORE_THAN_ONE_NUMBER, f"len({tokens}) > 1"))
        has_number = f"len({tokens}) = 1"
    return (*reasons, (otherwise, has_number))


def folded_sql(text: str) -> str:
    """Write a spelling without what doesn't count: case, outer blanks, kinds of inner ones."""
    return rf"lower(trim(regexp_replace({text}, '[\s\p{{Z}}]+', ' ', 'g')))"


def _token(thousands_mark: str) -> str:
    blanks = r" \x{00A0}\x{202F}" if thousands_mark == " " else ""
    marks = rf"[\d_.,'\x{{2019}}{blanks}]"
    return (
        rf"(?:(?:^|{_BEFORE})[{_SIGNS}]?[.,]?)?"  # a sign, and a mark before the first digit
        rf"\d(?:{marks}*\d)?(?:[eE][+-]?\d+)?"
    )
