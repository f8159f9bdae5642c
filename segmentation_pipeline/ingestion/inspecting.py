"""`segmentation inspect`: files that nobody declared -> a first customers.yaml to be corrected.

What is guessed says so beside it. No value of a column that looks personal is read out.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import digest_file, file_date
from segmentation_pipeline.ingestion.incoming import value_column
from segmentation_pipeline.ingestion.profiling import profile_column
from segmentation_pipeline.ingestion.proposing import Inspected, written
from segmentation_pipeline.ingestion.reading import explained, open_file
from segmentation_pipeline.ingestion.sniffing import sniff
from segmentation_pipeline.ingestion.typing_sql import Marks
from segmentation_pipeline.specification.answers import without_accents
from segmentation_pipeline.specification.columns import ColumnType
from segmentation_pipeline.specification.sources import RESERVED_COLUMNS, SourceSpec
from segmentation_pipeline.warehouse import Connection, open_in_memory

JUDGED_ROWS = 100_000
"""So many first rows of a file tell what its columns are."""

_CUSTOMER = re.compile(
    r"^(customer|client|user|member|person|staff|employee|visitor|account|patient|subscriber|"
    r"kunde|kunden|mitarbeiter)_?(id|no|nr|number|key|code|nummer)$"
)
BIRTH_WORD = re.compile(r"birth|geburt|naissance|nacimiento|nascita|(^|_)dob($|_)")
_DIGITS = re.compile(r"[\d-]*\d")
_IDENTIFIER = re.compile(r"(^|_)(id|key|code|uuid|number|no|nr)$")


def propose_customers(home_path: Path, paths: Sequence[Path], today: dt.date) -> str:
    """Propose a customers.yaml for the files of a home, as YAML text with remarks.

    The files lie below `home_path`. The text loads as a specification, and what it proposes can be
    loaded by a night, the first one of the latest date in the files, `today` at the most; lines
    that say DECIDE need a person. Raises SourceError where a file lies elsewhere, is empty,
    damaged, or in no format that is known.
    """
    if not paths:
        raise SourceError("no file to inspect; name one or more")
    home = home_path.resolve()
    with TemporaryDirectory() as folder, open_in_memory(spill=Path(folder)) as connection:
        inspected = {
            name: _inspect(connection, home, group, number, today)
            for number, (name, group) in enumerate(_grouped(home, paths).items())
        }
    for one in inspected.values():
        one.key = _key(one, inspected.values())
        one.time = _time(one)
        one.kind = _kind(one)
    _tell_types_apart(inspected)
    return written(inspected)


def _tell_types_apart(inspected: Mapping[str, Inspected]) -> None:
    """Rename what another file has as another type: `customers` has one column of a name."""
    types: dict[str, ColumnType] = {}
    for source, one in inspected.items():
        if one.kind != "crm":
            continue
        new_names = {}
        for name, profile in one.profiles.items():
            if name != one.key and types.setdefault(name, profile.type) != profile.type:
                (new_names[name],) = _unique_names([f"{source}_{name}"], {*types, *one.profiles})
                types[new_names[name]] = profile.type
        one.rename(new_names)


def _grouped(home: Path, paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Name the sources: files of a folder whose names differ in digits only are one source's."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        found = path.resolve()
        if not found.is_relative_to(home):
            raise SourceError(f"{path}: copy it below the home {home}; a night reads only there")
        if not found.is_file():
            raise SourceError(f"{path}: there is no such file")
        groups.setdefault(_pattern(found), []).append(found)
    stems = [(group[0].name.split(".")[0], len(group)) for group in groups.values()]
    names = _unique_names(_DIGITS.sub("", stem) if count > 1 else stem for stem, count in stems)
    return dict(zip(names, groups.values(), strict=True))


def _pattern(path: Path) -> str:
    return (path.parent / _DIGITS.sub("*", path.name)).as_posix()


def _date_format(paths: Sequence[Path]) -> str | None:
    """Find where the date stands in the names of a group, as strptime reads the whole name."""
    for digits, code in ((r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d"), (r"\d{8}", "%Y%m%d")):
        formats = {re.sub(digits, code, path.name, count=1) for path in paths}
        if len(formats) == 1 and "%" in (one := formats.pop()) and _tells_dates(one, paths):
            return one
    return None


def _tells_dates(file_name: str, paths: Sequence[Path]) -> bool:
    try:
        return bool([file_date(file_name, path) for path in paths])
    except SourceError:
        return False


def _inspect(
    connection: Connection, home: Path, group: Sequence[Path], number: int, today: dt.date
) -> Inspected:
    """Look at a group of files by the last of them."""
    found = max(group)
    sniffed = sniff(home, found)
    places = [str(place.get("header", "column")) for place in sniffed.columns]
    names = _unique_names(places)
    columns = {
        name: {"type": "text", **place} for name, place in zip(names, sniffed.columns, strict=True)
    }
    relative = found.relative_to(home).as_posix()
    source = SourceSpec.model_validate(
        {**sniffed.settings, "kind": "crm", "path": relative, "key": {"row_number": True},
         "columns": columns, "maximum_rejected_share": 1}
    )  # fmt: skip
    file = digest_file(home, found)
    table = f"inspected_{number}"
    with explained(file, source), open_file(connection, file, source, number) as opened:
        connection.execute(
            f"CREATE TEMP TABLE {table} AS SELECT * FROM ({opened.typed.sql}) LIMIT {JUDGED_ROWS}"
        )
    marks = Marks(source.decimal_mark, source.thousands_mark)
    profiles = {
        name: profile_column(connection, table, value_column(name), name, marks, today)
        for name in columns
    }
    connection.execute(f"DROP TABLE {table}")
    date_format = None
    if len(group) > 1:
        relative = Path(_pattern(found)).relative_to(home).as_posix()
        date_format = _date_format(group)
    dates = [file_date(date_format, path) for path in group] if date_format else []
    return Inspected(
        relative,
        sniffed,
        dict(zip(names, places, strict=True)),
        profiles,
        [*sniffed.remarks],
        is_sampled=any(one.rows >= JUDGED_ROWS for one in profiles.values()),
        date_format=date_format,
        latest_file=max((date for date in dates if date <= today), default=None),
    )


def _unique_names(texts: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """Make plain names of headers: lower-case words joined by underscores, each once, none `taken`.

    Letters lose their accents, so that `Straße` is found to be personal as `strasse` is.

    >>> _unique_names(["AvgVisit (min)", "as_of", "", "2nd", "e-mail", "E-Mail"])
    ['avg_visit_min', 'as_of_1', 'column_1', 'column_2nd', 'e_mail', 'e_mail_1']
    >>> _unique_names(["Straße", "Prénom"])
    ['strasse', 'prenom']
    """
    names: list[str] = []
    for text in texts:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9]+", "_", without_accents(text))
        plain = re.sub(r"_+", "_", words).strip("_").lower() or "column"
        plain = plain if plain[0].isalpha() else f"column_{plain}"
        name, number = plain, 0
        while name in {*names, *taken, *RESERVED_COLUMNS, "column"}:
            number += 1
            name = f"{plain}_{number}"
        names.append(name)
    return names


def _key(one: Inspected, all_of_them: Iterable[Inspected]) -> str | None:
    """Choose the column that says who: by its name, by being in another file, by being unique.

    A number that is a fraction, a date or an empty column is no key.
    """
    able = {
        name: profile
        for name, profile in one.profiles.items()
        if profile.type in ("text", "category", "integer", "number") and profile.different > 1
    }
    by_name = [name for name in able if _is_customer(one.names[name], name)]
    shared = [
        name
        for name in able
        if _IDENTIFIER.search(name)
        and any(name in other.profiles for other in all_of_them if other is not one)
    ]
    plain = [name for name in able if name == "id"]
    unique = [
        name for name, profile in able.items() if profile.is_unique and _IDENTIFIER.search(name)
    ]
    coded = [name for name, profile in able.items() if profile.has_leading_zeros]
    return next(iter([*by_name, *shared, *plain, *unique, *coded]), None)


def _is_customer(header: str, name: str) -> bool:
    return bool(_CUSTOMER.search(name) or _CUSTOMER.search(header.lower()))


def _time(one: Inspected) -> str | None:
    """Choose the column that says when: the one of a date or a time with the fewest gaps."""
    dated = {
        name: profile.missing
        for name, profile in one.profiles.items()
        if profile.type in ("date", "timestamp") and not BIRTH_WORD.search(name)
    }
    return min(dated, key=lambda name: dated[name], default=None)


def _kind(one: Inspected) -> str:
    if one.key is None:
        return "crm"
    profile = one.profiles[one.key]
    if profile.is_unique or one.time is None or profile.different > 0.9 * profile.rows:
        return "crm"
    has_amount = any(
        other.type == "number" for name, other in one.profiles.items() if name != one.key
    )
    return "transactions" if has_amount else "web"
