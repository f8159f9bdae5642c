"""The mess of `mess.py` as SQL: blanks, spellings, padding, rows that stand twice."""

from segmentation_pipeline.demo import mess
from segmentation_pipeline.demo.randomness import Draws, step_sql
from segmentation_pipeline.warehouse import literal


def blank_sql(draws: Draws, column: str, number: str = "number") -> str:
    """Draw what becomes of a cell: an index of `_BLANKS`, or the one after them (it is kept)."""
    shares = [mess.EMPTY_SHARE, *mess.NULL_WORDS.values(), 1 - mess.BLANK_SHARE]
    return step_sql(draws.uniform_sql(f"blank {column}", number), shares)


_BLANKS = (None, *mess.NULL_WORDS)


def blanked_sql(blank: str, value: str) -> str:
    """Write a cell as text, or leave it empty, or write a word that means nothing."""
    branches = " ".join(f"WHEN {index} THEN {literal(word)}" for index, word in enumerate(_BLANKS))
    return f"CASE {blank} {branches} ELSE ({value})::VARCHAR END"


def spelled_sql(draws: Draws, column: str, value: str, number: str = "number") -> str:
    """Spell some cells of a category otherwise, and pad some with blanks."""
    uniform = draws.uniform_sql(f"spelling {column}", number)
    branches = " ".join(
        f"WHEN {literal(name)} THEN [{', '.join(literal(spelling) for spelling in spellings)}]"
        f"[1 + floor({uniform} * {len(spellings)})::BIGINT]"
        for name, spellings in mess.SPELLINGS[column].items()
    )
    choice = f"CASE {value} {branches} END"
    canonical = draws.chance_sql(f"canonical {column}", mess.CANONICAL_SHARE, number)
    padded = draws.chance_sql(f"padded {column}", mess.PADDED_SHARE, number)
    spelled = f"CASE WHEN {canonical} THEN {value} ELSE {choice} END"
    return f"CASE WHEN {padded} THEN ' ' || ({spelled}) || '  ' ELSE {spelled} END"


def copies_sql(draws: Draws, source: str, number: str = "number") -> str:
    """How often a row stands in its file: once or twice."""
    twice = draws.chance_sql(f"duplicate {source}", mess.DUPLICATE_SHARE[source], number)
    return f"1 + {twice}::BIGINT"
