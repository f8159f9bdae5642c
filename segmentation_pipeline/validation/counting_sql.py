"""The SQL of the expectations that Great Expectations has nothing for inside DuckDB, or is slow at.

Each function writes one aggregate over the validated relation, so that all of them, and GX's own,
are columns of one SELECT. GX has no regular expressions for DuckDB. Its compound uniqueness joins
whole rows and drops keys with a NULL part; its single one is a window over the table, which took
twice as long on 10 million ids as this GROUP BY. Its missing values, the better part of a contract,
are a query and a dozen metrics for each column: a contract took 27 ms, and takes 13 as it is here.
"""

from segmentation_pipeline.ingestion.scales_sql import folded_sql
from segmentation_pipeline.validation.expectations import Expectation
from segmentation_pipeline.warehouse import literal, quote


def evaluated_rows_sql(expectation: Expectation) -> str:
    """Count the rows that the expectation applies to, as an aggregate."""
    match expectation.kind:
        case "row_predicate":
            return f"count(*) FILTER (WHERE {_chosen_sql(expectation)})"
        case "freshness":
            return f"count(*) FILTER (WHERE {_dated_sql(expectation)})"
        case "not_null":
            return "count(*)"
        case _:
            return f"count(*) FILTER (WHERE {_keyed_sql(expectation)})"


def unexpected_rows_sql(expectation: Expectation, relation: str) -> str:
    """Count those of them that do not hold, as an aggregate.

    `relation` is the validated relation, quoted: keys are counted by a subquery of their own.
    A predicate that is NULL is not false, hence holds, as in an SQL CHECK.
    """
    parameters = expectation.parameters
    columns = [quote(name) for name in expectation.named_columns]
    match expectation.kind:
        case "in_spellings":
            exact = ", ".join(literal(value) for value in parameters["values"])
            folded = ", ".join(folded_sql(literal(value)) for value in parameters["values"])
            # CASE leaves the slow comparison to the few values that are spelled in another way.
            is_other = f"{folded_sql(columns[0])} NOT IN ({folded})"
            return (
                f"count(*) FILTER (WHERE CASE WHEN {columns[0]} IN ({exact}) THEN FALSE"
                f" ELSE {is_other} END)"
            )
        case "matches":
            pattern = literal(parameters["pattern"])
            return f"count(*) FILTER (WHERE NOT regexp_full_match({columns[0]}, {pattern}))"
        case "row_predicate":
            # The line break ends a comment at the end of the predicate.
            holds = f"({parameters['predicate']}\n)"
            return f"count(*) FILTER (WHERE {_chosen_sql(expectation)} AND NOT {holds})"
        case "not_null":
            return f"count(*) FILTER (WHERE {columns[0]} IS NULL)"
        case "unique":
            return (
                f"(SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {relation}"
                f" WHERE {_keyed_sql(expectation)} GROUP BY {', '.join(columns)}"
                " HAVING count(*) > 1))"
            )
        case "referential":
            others = [quote(name) for name in parameters["other_columns"]]
            keys = " AND ".join(
                f"checked.{column} = other.{other}"
                for column, other in zip(columns, others, strict=True)
            )
            return (
                f"(SELECT count(*) FROM (SELECT {', '.join(columns)} FROM {relation}"
                f" WHERE {_keyed_sql(expectation)}) AS checked"
                f" ANTI JOIN {parameters['table'].sql} AS other ON {keys})"
            )
        case _:
            raise NotImplementedError(expectation.kind)


def age_days_sql(expectation: Expectation) -> str:
    """Count the days from the newest date up to `as_of` to it, as an aggregate; NULL without one.

    Dates after `as_of` do not exist for it, and must not make a stale source look fresh.
    """
    day = _day_sql(expectation)
    as_of = literal(expectation.parameters["as_of"])
    return f"date_diff('day', max({day}) FILTER (WHERE {_dated_sql(expectation)}), {as_of})"


def _day_sql(expectation: Expectation) -> str:
    (column,) = expectation.named_columns
    return f"CAST({quote(column)} AS DATE)"


def _dated_sql(expectation: Expectation) -> str:
    return f"{_day_sql(expectation)} <= {literal(expectation.parameters['as_of'])}"


def _chosen_sql(expectation: Expectation) -> str:
    where = expectation.parameters.get("where")
    return "TRUE" if where is None else f"({where}\n)"


def _keyed_sql(expectation: Expectation) -> str:
    return " AND ".join(f"{quote(name)} IS NOT NULL" for name in expectation.named_columns)
