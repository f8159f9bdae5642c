"""The database's own error messages quote the values they failed on; ours never do."""

from collections.abc import Iterator
from contextlib import contextmanager

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.warehouse import DatabaseError

_ADVICE = {
    "OutOfMemoryException": "raise `limits: memory`, or free space for what spills to disk",
    "ConversionException": "an SQL expression casts a value that is none: use TRY_CAST there",
    "InvalidInputException": "an SQL expression fails for some row: use TRY(...) or nullif there",
    "OutOfRangeException": "an SQL expression overflows for some row: use TRY(...) there",
    "BinderException": "an SQL expression does not fit the types of its columns: see its source",
}


@contextmanager
def without_values(what: str) -> Iterator[None]:
    """Turn an error of the database into a PreparationError that names `what`, and no value.

    Its context is suppressed: tracebacks, and Dagster's event log, would show it.
    """
    try:
        yield
    except DatabaseError as error:
        kind = type(error).__name__
        advice = _ADVICE.get(
            kind, "look at free space with `segmentation doctor`, and run it again"
        )
        raise PreparationError(f"{what}: DuckDB stopped with {kind}; {advice}") from None
