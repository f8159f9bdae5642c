"""The columns of a file against the declared ones: compared by name, never by position."""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.sources import SourceSpec

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


@dataclass(frozen=True)
class MatchedHeader:
    """Where each declared column stands in the file (from 0), and what nobody declared."""

    positions: dict[str, int]
    ignored: tuple[str, ...]


def match_header(file_name: str, found: Sequence[str], source: SourceSpec) -> MatchedHeader:
    """Find the declared columns in a file's header; order is free, names are exact.

    Raises SourceError where a declared column is missing or stands twice. A first line that has
    none of the declared names may be a customer's row, so the message does not show it.
    """
    declared = {name: column.header or name for name, column in source.columns.items()}
    headers = set(declared.values())
    if headers.isdisjoint(found):
        raise SourceError(_describe_strangeness(file_name, found, source, headers))
    for header in sorted(headers):
        places = [str(place) for place, name in enumerate(found, start=1) if name == header]
        if len(places) > 1:
            raise SourceError(
                f"{file_name}: the header names `{header}` more than once "
                f"(columns {', '.join(places)}); one of them needs another name"
            )
    undeclared = [name for name in found if name not in headers]
    missing = [name for name, header in declared.items() if header not in found]
    if missing:
        hints = [_describe_missing(name, declared[name], undeclared) for name in missing]
        raise SourceError(f"{file_name}: the header lacks {'; '.join(hints)}")
    ignored = tuple(name or f"(column {found.index(name) + 1})" for name in undeclared)
    return MatchedHeader({name: found.index(declared[name]) for name in declared}, ignored)


def match_columns(
    file_name: str, header: Sequence[str], columns: int, source: SourceSpec
) -> MatchedHeader:
    """Find the declared columns by the header, or by position where there is none.

    Raises SourceError as `match_header` does, and where a file without header has another number of
    columns than declared: nothing else tells that one was added or removed.
    """
    if source.has_header:
        return match_header(file_name, header, source)
    places = {name: column.position or 0 for name, column in source.columns.items()}
    expected = source.column_count or max(places.values())
    if columns != expected:
        raise SourceError(
            f"{file_name}: its first row has {columns} columns, and {expected} are declared; "
            "correct each `position`, and say `column_count` where some are not read"
        )
    return MatchedHeader({name: place - 1 for name, place in places.items()}, ())


def _describe_missing(name: str, header: str, undeclared: Sequence[str]) -> str:
    hint = f"`{header}`" + (f" (column `{name}`)" if name != header else "")
    if not undeclared:
        return f"{hint}, and has no undeclared column that it could be"
    return f"{hint}; of its undeclared columns, {nearest(header, undeclared)}"


def _describe_strangeness(
    file_name: str, found: Sequence[str], source: SourceSpec, headers: set[str]
) -> str:
    problem = f"{file_name}: line 1 has none of the {len(headers)} declared columns"
    joined = source.delimiter.join(found)
    for delimiter, words in _DELIMITERS.items():
        if not headers.isdisjoint(part.strip() for part in joined.split(delimiter)):
            return (
                f"{problem}, unless {words} parts them: declare "
                f"`delimiter: {delimiter!r}` instead of {source.delimiter!r}"
            )
    return (
        f"{problem} (expected {', '.join(sorted(headers))}); a header line must come first, and "
        "delimiter and encoding must be as declared"
    )
