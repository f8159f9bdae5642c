"""Answers of several options, and free texts -> the columns that they become, as SQL.

Raw tables hold an answer as it was given. Order, repeats, case and blanks of options don't count.
"""

from segmentation_pipeline.ingestion.scales_sql import folded_sql
from segmentation_pipeline.specification.answers import COUNT, OTHER, part_name
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import literal, quote

_NONE, _UNLISTED = -1, 0
"""What stands for "none of them", and for an option that is not listed; others count from 1."""
_PART = quote("a part")
_BLANKS = " \t\n\r\u00a0\u2002\u2003\u2007\u2009\u202f\u2028\u2029\u3000"
"""Ordinary, non-breaking, typographic and ideographic ones, tabs and line ends."""
_DIGITS = "0123456789"


def numbered_options_sql(name: str, column: ColumnSpec) -> str:
    """Write the list of the numbers of the options in an answer, each once; NULL of no answer.

    It is empty where the answer is blank.
    """
    numbers = _numbers(column)
    whens = {
        form: " ".join(f"WHEN {form(literal(one))} THEN {n}" for one, n in numbers.items())
        for form in (str, folded_sql)
    }
    # As it is written first: folding takes several times as long. (No list of ours holds NULL.)
    number = (
        f"CASE trim({_PART}) {whens[str]} ELSE CASE {folded_sql(_PART)} {whens[folded_sql]}"
        f" WHEN '' THEN NULL ELSE {_UNLISTED} END END"
    )
    parts = f"string_split({quote(name)}, {literal(column.separator)})"
    return f"list_distinct([{number} for {_PART} in {parts}])"


def has_unlisted_sql(numbered: str) -> str:
    """Write whether there is an option that is not listed; `numbered` is the list of numbers."""
    return f"list_contains({numbered}, {_UNLISTED})"


def choices_sql(column: ColumnSpec, numbered: str) -> dict[str, str]:
    """Write the columns that an answer becomes, by the names of its parts.

    All of them are NULL of a missing answer, and all no, with the count 0, where none was chosen.
    """
    conditions = [f"{numbered} IS NOT NULL"]
    if column.blank == "missing":
        conditions.append(f"len({numbered}) > 0")
    if column.unlisted == "missing":
        conditions.append(f"NOT {has_unlisted_sql(numbered)}")
    is_answered = " AND ".join(conditions)
    numbers = _numbers(column)
    found = {
        part_name(option): f"list_contains({numbered}, {numbers[option]})"
        for option in column.options or ()
    }
    count = f"len({numbered}) - list_contains({numbered}, {_NONE})::BIGINT"
    if column.unlisted == "other":
        own = found.get(OTHER)
        unlisted = has_unlisted_sql(numbered)
        found[OTHER] = unlisted if own is None else f"({own} OR {unlisted})"
        # Both are one column, and one option chosen.
        count += "" if own is None else f" - ({own} AND {unlisted})::BIGINT"
    found[COUNT] = count
    return {name: f"CASE WHEN {is_answered} THEN {sql} END" for name, sql in found.items()}


def text_counts_sql(name: str) -> dict[str, str]:
    """Write what is counted of a free text, by the names of `TEXT_PARTS`; NULL of a blank one.

    Characters are taken out of the text and missed in its length: twice as fast as to look for them
    by regular expressions, which only texts with several blanks in a row need for their words.
    """
    text = f"nullif({quote(name)}, '')"
    characters = f"length({text})"
    parted = f"translate({text}, {literal(_BLANKS)}, {literal(' ' * len(_BLANKS))})"
    blanks = f"({characters} - length(translate({text}, {literal(_BLANKS)}, '')))"
    digits = f"({characters} - length(translate({text}, {literal(_DIGITS)}, '')))"
    words = f"len(regexp_extract_all({parted}, '[^ ]+'))"
    return {
        "characters": characters,
        "words": f"CASE WHEN contains({parted}, '  ') THEN {words} ELSE {blanks} + 1 END",
        "digit_share": f"{digits} / {characters}",
        "blank_share": f"{blanks} / {characters}",
    }


def _numbers(column: ColumnSpec) -> dict[str, int]:
    """Number the spellings of each option, and those of none, as they are declared."""
    spellings = {
        spelling: number
        for number, option in enumerate(column.options or (), start=1)
        for spelling in (option, *column.aliases.get(option, ()))
    }
    return {**spellings, **dict.fromkeys(column.none_words, _NONE)}
