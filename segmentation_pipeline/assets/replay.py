"""Nights in a row, oldest first, each as `run` would run it: after a correction, or to catch up."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.assets.night import NightResult, Progress, require_night, run_night
from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home

OnNight = Callable[[dt.date, int, int], None]
"""Called with the date that begins, its number, and the number of nights."""
OnResult = Callable[[dt.date, NightResult], None]
"""Called with the date that has ended, and how."""


@dataclass(frozen=True)
class Replay:
    """How a replay ended: the nights that succeeded, and the one that failed, if one did."""

    done: tuple[dt.date, ...]
    failed: dt.date | None
    result: NightResult | None


def replay_nights(
    home_path: Path,
    first: dt.date,
    last: dt.date,
    *,
    segmentation: str | None = None,
    approximate: bool = False,
    on_night: OnNight,
    on_result: OnResult = lambda *_: None,
    progress: Progress,
) -> Replay:
    """Run the nights of `first` to `last`, both included, in order; the first that fails ends it.

    Each takes and gives back the home's lock, and publishes. Each uses the model in force on its
    date, so that running the same nights again gives the same tables; a night in the middle leaves
    the later ones stale until they are run again. Raises SpecificationError where a date is no
    night of the home.
    """
    if last < first:
        raise SpecificationError(f"--to {last} is before --from {first}")
    home = load_home(home_path)
    for date in (first, last):
        require_night(home, date)
    dates = [first + dt.timedelta(days=days) for days in range((last - first).days + 1)]
    done: list[dt.date] = []
    for number, date in enumerate(dates, start=1):
        on_night(date, number, len(dates))
        result = run_night(
            home_path,
            date,
            segmentation=segmentation,
            approximate=approximate,
            progress=progress,
        )
        on_result(date, result)
        if not result.success:
            return Replay(tuple(done), date, result)
        done.append(date)
    return Replay(tuple(done), None, None)
