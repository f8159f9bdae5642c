"""The mess of `mess.py` as SQL: blanks, spellings, padding, rows that stand twice."""

from segmentation_pipeline.demo import mess
from segmentation_pipeline.demo.randomness import Draws
from segmentation_pipeline.warehouse import literal


def blanked_sql(draws: Draws, column: str, value: str, number: str = "number") -> str:
    """Leave some cells of a column empty, or write a word that means nothing."""
    uniform = draws.uniform_sql(f"blank {column}", number)
    branches = [f"WHEN {uniform} < {literal(mess.EMPTY_SHARE)} THEN NULL"]
    reached = mess.EMPTY_SHARE
    for word, share in mess.NULL_WORDS.items():
        reached += share
        branches.append(f"WHEN {uniform} < {literal(reached)} THEN {literal(word)}")
    return f"CASE {' '.join(branches)} ELSE ({value})::VARCHAR END"


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
