"""`segmentation diff`: what a changed YAML would do tonight."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    DateOption,
    HomeOption,
    console,
    default_date,
    errors_to_exit_status,
    progress_console,
)
from segmentation_pipeline.specification.home import load_home

if TYPE_CHECKING:
    from segmentation_pipeline.publication.difference import Difference, SegmentDifference, Side


def diff(
    segmentation: Annotated[str, typer.Option(help="Its name: that of its file.")],
    home: HomeOption = CURRENT,
    file: Annotated[
        Path | None,
        typer.Option(
            help="The changed YAML, wherever it lies; the home's own file if not given.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    as_of: DateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a changed segmentation would do tonight; nothing is kept or published."""
    with errors_to_exit_status():
        spec = load_home(home)
        date = as_of.date() if as_of is not None else default_date(spec)
        from segmentation_pipeline.assets.rehearsal import rehearse

        with progress_console.status("copying the home ...") as status:
            found = rehearse(
                home,
                segmentation,
                date,
                file=file,
                progress=lambda step, number, steps: status.update(
                    f"[{number}/{steps}] {step.replace('__', '/')}"
                ),
            )
        if as_json:
            typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
        else:
            show_difference(found)


def show_difference(found: "Difference") -> None:
    """Print both sides, their segments, who would move, and which strategies change."""
    before, after = found.before, found.after
    _say("now:  not published yet" if before is None else f"now:  {_describe(before)}")
    _say(f"then: {_describe(after)}")
    if before is not None:
        _say("A new model is fitted." if found.is_new_model else "The model stays.")
    if before is None or before.sentence != after.sentence:
        _say(after.sentence)
    console.print(_segments_table(found))
    if found.moved_share is not None:
        _say(f"{found.moved_share:.1%} of the customers would change their segment.")
    if before is not None and before.as_of != after.as_of:
        _say(f"Part of it is what they did themselves from {before.as_of} to {after.as_of}.")
    _show_migration(found)
    _show_strategies(found)
    _say("Nothing of this was kept or published.")


def _describe(side: "Side") -> str:
    return (
        f"{side.as_of}, {side.verdict}: {side.segments} segments of {side.customers:,} customers "
        f"by {side.algorithm}"
    )


def _segments_table(found: "Difference") -> RichTable:
    table = RichTable(title=f"{found.segmentation}: segments")
    for heading in ("segment", "now", "then", "change", "what it is called"):
        right = heading in ("now", "then", "change")
        table.add_column(heading, justify="right" if right else "left")
    for segment in found.segments:
        table.add_row(
            segment.segment_id,
            _size(segment.customers_before, segment.share_before),
            _size(segment.customers_after, segment.share_after),
            _change(segment),
            segment.label,
        )
    return table


def _size(customers: int | None, share: float | None) -> str:
    return "-" if customers is None or share is None else f"{customers:,} ({share:.1%})"


def _change(segment: "SegmentDifference") -> str:
    if segment.customers_before is None:
        return "new"
    if segment.customers_after is None:
        return "gone"
    change = segment.customers_after - segment.customers_before
    return f"{change:+,}" if change else "0"


def _show_migration(found: "Difference") -> None:
    moves = [one for one in found.migration if one.from_segment_id != one.to_segment_id]
    if not moves:
        return
    table = RichTable(title="who would move")
    for heading in ("from", "to", "customers", "share of from"):
        right = heading in ("customers", "share of from")
        table.add_column(heading, justify="right" if right else "left")
    for one in sorted(moves, key=lambda move: -move.customers):
        table.add_row(
            one.from_segment_id or "(nowhere)",
            one.to_segment_id or "(nowhere)",
            f"{one.customers:,}",
            "-" if one.share is None else f"{one.share:.1%}",
        )
    console.print(table)


def _show_strategies(found: "Difference") -> None:
    for segment in found.segments:
        gained, lost = segment.strategies_gained, segment.strategies_lost
        told = [
            *([f"gains {', '.join(gained)}"] if gained else []),
            *([f"loses {', '.join(lost)}"] if lost else []),
            *([f"keeps {', '.join(segment.strategies_kept)}"] if segment.strategies_kept else []),
        ]
        if told or (segment.customers_after and not segment.is_noise):
            _say(f"{segment.segment_id} {'; '.join(told) or 'has no strategy'}")


def _say(text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
