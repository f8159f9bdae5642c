"""`segmentation verify`: whether what readers see is what was published."""

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
)
from segmentation_pipeline.specification.home import load_home


def verify(home: HomeOption = CURRENT) -> None:
    """Check what is published: digests, contracts, modes, and sums across the tables.

    Needs no lock and changes nothing. The exit status is 1 where something is wrong.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.publication import current_version, personal_columns
        from segmentation_pipeline.publication import verify as faults_of
        from segmentation_pipeline.publication.verification import (
            OF_ANOTHER_RELEASE,
            nothing_published,
        )

        loaded = load_home(home)
        faults = faults_of(loaded.published, personal_columns(loaded))
        for fault in faults:
            console.print(fault, soft_wrap=True, highlight=False)
        if faults in ([OF_ANOTHER_RELEASE], [nothing_published(loaded.published)]):
            raise typer.Exit(1)
        manifest = current_version(loaded.published) if not faults else None
        if manifest is None:
            console.print(
                "What is published can't be trusted. `segmentation rollback` puts the version "
                "before in force; the next night then publishes a new one."
            )
            raise typer.Exit(1)
        console.print(
            f"Version {manifest.version} of {manifest.as_of} is whole: {len(manifest.rows)} tables,"
            f" {sum(manifest.rows.values()):,} rows.",
            highlight=False,
        )
