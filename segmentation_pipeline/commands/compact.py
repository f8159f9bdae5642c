"""`segmentation compact`: the warehouse in a file without gaps."""

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    progress_console,
)
from segmentation_pipeline.specification.home import load_home


def compact(home: HomeOption = CURRENT) -> None:
    """Write the warehouse anew, without the room of rows that are gone; nights do it when it pays.

    Killed at any moment, the home has the old file or the new one, with the same rows.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.publication.compaction import compact as write_anew

        spec = load_home(home)
        with (
            hold_lock(spec.lock, "compact", timeout_seconds=0),
            progress_console.status("compacting ...") as status,
        ):
            done = write_anew(spec, on_step=lambda step: status.update(f"{step} ..."))
        console.print(
            f"{spec.warehouse.name}: {done.bytes_before / 1e6:.1f} MB before, "
            f"{done.bytes_after / 1e6:.1f} MB now.",
            highlight=False,
        )
