"""`segmentation check`: what a night would do, without doing it."""

import datetime as dt
import os

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    default_date,
    errors_to_exit_status,
)
from segmentation_pipeline.contracts.changes import Change
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import lock_holder
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.specification.unused import unused_texts


def check(home: HomeOption = CURRENT) -> None:
    """Read every file of a home and say what a night would do; touches nothing.

    Where sources, customers or features would stop the night, it says by what, and fails. Whether a
    model can be fitted, the night itself tells.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.ingestion import check_source
        from segmentation_pipeline.publication import announced_changes

        spec = load_home(home)
        console.print(f"{spec.customers.name}: customers.yaml and segmentations are well-formed.")
        for name, source in spec.customers.sources.items():
            for line in check_source(spec.path, name, source, os.environ):
                console.print(f"  {line}", highlight=False, soft_wrap=True)
        for name, columns in unused_texts(spec).items():
            told = f"  {name}: text that nothing uses: {', '.join(columns)}"
            console.print(told, highlight=False, soft_wrap=True)
        for name, segmentation in spec.segmentations.items():
            used = [k for k, f in segmentation.features.items() if f.use == "clustering"]
            clustering = segmentation.clustering
            tries = clustering.segments or (
                f"{clustering.minimum_segments} to {clustering.maximum_segments}"
            )
            console.print(
                f"  segmentation {name}: {clustering.algorithm}, {tries} segments by "
                f"{len(used)} features: {', '.join(used)}",
                highlight=False,
                soft_wrap=True,
            )
        _announce(announced_changes(spec.published))
        date = default_date(spec)
        console.print(f"The next night would be for {date}.")
        _foresee(spec, date)


def _foresee(home: Home, date: dt.date) -> None:
    """Try the night up to its features, on a copy; raises PipelineError where it would stop."""
    from segmentation_pipeline.assets.foresight import foreseen_stops

    holder = lock_holder(home.lock)
    if holder is not None:
        console.print(
            f"Held by {holder}: whether it would be stopped is not looked for.",
            highlight=False,
            soft_wrap=True,
        )
        return
    stops = foreseen_stops(home, date, os.environ)
    if stops:
        raise PipelineError("\n  ".join(["It would be stopped:", *stops]))


def _announce(changes: list[Change]) -> None:
    """Tell what readers of the version in force will find changed."""
    breaking = [one for one in changes if one.is_breaking]
    if breaking:
        console.print(
            "The next publication breaks what readers of the present version know:", style="red"
        )
    for one in breaking:
        console.print(f"  {one}", highlight=False, soft_wrap=True)
    if added := len(changes) - len(breaking):
        console.print(f"The next publication has {added} tables and columns that are new.")
