"""When something runs: five fields of cron, refused where they say no time.

Dagster reads them later, and a wrong one would end a night in its own words, without file and line.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_ALIASES = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly",
                      "@annually"})  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: dict[str, tuple[int, int, dict[str, int]]] = {
    "minute": (0, 59, {}),
    "hour": (0, 23, {}),
    "day of the month": (1, 31, {}),
    "month": (1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    "day of the week": (0, 7, {name: number for number, name in enumerate(_DAYS)}),
}
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,4}))?")
_ORDINAL_DAY = re.compile(rf"l[0-7]|(?:[0-7]|{'|'.join(_DAYS)})#[1-5]")
_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def _cron(text: str) -> str:
    """Refuse what is no time as Dagster reads it, and dates that never come."""
    if text in _ALIASES:
        return text
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"`{text}` is no cron: it has five fields (minute, hour, day, month, day of the week), "
            "such as `0 3 * * *`"
        )
    _, _, days, months, _ = map(_values, fields, _FIELDS)
    if all(day > _LONGEST_MONTH.get(month, 31) for day in days for month in months):
        raise ValueError(f"`{text}`: there is no such date")
    return text


def _values(field: str, name: str) -> set[int]:
    """List the numbers that a field stands for; of the last day of a month, the first."""
    least, most, _ = _FIELDS[name]
    if (name.startswith("day") and field == "?") or (
        name == "day of the week" and _ORDINAL_DAY.fullmatch(field)
    ):
        return {*range(least, most + 1)}
    found: set[int] = set()
    for item in field.split(","):
        if name == "day of the month" and item == "l":
            found.add(least)
        else:
            found.update(_numbers(item, name))
    return found


def _numbers(item: str, name: str) -> list[int]:
    """List the numbers of `*`, `3`, `3-5` or `5-3`, each of them or each so-many-th."""
    least, most, names = _FIELDS[name]
    parts = _ITEM.fullmatch(item)
    step = 1 if parts is None or parts["step"] is None else int(parts["step"])
    if parts is None or step == 0:
        raise ValueError(f"`{item}` is no {name} of a cron")
    ends = [
        names[word] if word in names else int(word) if word.isascii() and word.isdecimal() else -1
        for word in (parts["first"], parts["last"])
        if word is not None
    ]
    if any(not least <= end <= most for end in ends):
        raise ValueError(f"`{item}`: the {name} of a cron goes from {least} to {most}")
    first, last = (ends[0], ends[-1]) if ends else (least, most)
    if parts["last"] is None and parts["step"] is not None:
        last = most
    if first <= last:
        return [*range(first, last + 1)][::step]
    return [*range(first, most + 1), *range(least, last + 1)][::step]


Cron = Annotated[str, AfterValidator(_cron)]
"""Minute, hour, day of the month, month and day of the week, such as `0 3 * * *`."""
