"""The pictures of a segmentation's part of the report, each with its numbers as a table."""

from collections.abc import Callable, Mapping, Sequence

from segmentation_pipeline.reports.charts import candidates_chart
from segmentation_pipeline.reports.drawing import PAGE, PHONE, Chart, Sheet
from segmentation_pipeline.reports.edition import Row
from segmentation_pipeline.reports.embedding import inline_svg
from segmentation_pipeline.reports.migration_chart import migration_chart
from segmentation_pipeline.reports.segment_charts import (
    Names,
    heat_map_chart,
    map_chart,
    signed,
    sizes_chart,
    token,
    told_features,
)
from segmentation_pipeline.reports.views import Grid, Picture
from segmentation_pipeline.reports.wording import family, number, percent, words

_MOST_CANDIDATES = 40


def candidates_picture(key: str, candidates: Sequence[Row]) -> Picture | None:
    """Draw what was tried, and say of each why it won or lost."""
    if not candidates:
        return None
    ordered = sorted(candidates, key=lambda row: not row["is_chosen"])
    grid = Grid(
        ("Method", "Segments", "Silhouette", "Stability", "Verdict of the search"),
        [
            (
                family(row["algorithm"]),
                f"{row['segments']:,}",
                number(row["silhouette"]),
                number(row["lowest_jaccard"]),
                str(row["reason"] or ""),
            )
            for row in ordered[:_MOST_CANDIDATES]
        ],
        f"{len(ordered) - _MOST_CANDIDATES:,} more are in the table model_candidates."
        if len(ordered) > _MOST_CANDIDATES
        else "",
    )
    return _picture(
        f"{key}-candidates",
        "What was tried",
        "Each point is one way to group the customers. Higher means that customers lie nearer to "
        "their own group than to the next. The highest need not win: groups must also be "
        "stable and have real borders.",
        lambda sheet: candidates_chart(candidates, sheet),
        grid,
    )


def migration_picture(
    key: str, migration: Sequence[Row], names: Names, sizes: Mapping[str, int]
) -> Picture | None:
    """Draw who went where; nothing on a first night, when all have just come."""
    if not any(row["from_segment_id"] for row in migration):
        return None
    rows = [row for row in migration if row["from_segment_id"] != row["to_segment_id"]]
    return _picture(
        f"{key}-migration",
        "Who moved",
        "Left: the night before. Right: tonight. A band is as thick as it has customers; pale "
        "bands stayed."
        + (
            " Lines without a number: too few went that way, if any, to be told."
            if any(row["customers"] is None for row in rows)
            else ""
        ),
        lambda sheet: migration_chart(migration, names, sheet, sizes=sizes),
        Grid(
            ("From", "To", "Customers", "Why"),
            [
                (
                    _called(row["from_segment_id"], names, "not there"),
                    _called(row["to_segment_id"], names, "not there"),
                    "withheld" if row["customers"] is None else f"{row['customers']:,}",
                    str(row["reason"]),
                )
                for row in rows
            ],
            "" if rows else "Nobody changed segment.",
        ),
    )


def sizes_picture(key: str, segments: Sequence[Row], names: Names) -> Picture:
    """Draw how large the segments are."""
    return _picture(
        f"{key}-sizes",
        "How large the segments are",
        "",
        lambda sheet: sizes_chart(segments, names, sheet),
        Grid(
            ("No.", "Segment", "Customers", "Share"),
            [
                (
                    token(str(row["segment_id"])),
                    names[str(row["segment_id"])],
                    f"{row['customers']:,}",
                    percent(row["share"], 1),
                )
                for row in segments
            ],
        ),
    )


def map_picture(key: str, points: Sequence[Row], names: Names) -> Picture | None:
    """Draw where the segments lie; nothing where they are too small to be shown."""
    if not points:
        return None
    found = {
        segment_id: [row for row in points if row["segment_id"] == segment_id]
        for segment_id in names
    }
    return _picture(
        f"{key}-map",
        "Where they lie",
        f"Each dot is one of {len(points):,} customers; the nearer two dots, the more alike the "
        f"two. The map shows {percent(points[0]['shown_share'])} of the differences "
        "between customers: groups that overlap here may be apart in what it leaves out.",
        lambda sheet: map_chart(points, names, sheet),
        Grid(
            ("No.", "Segment", "Dots", "Middle, across", "Middle, up"),
            [
                (
                    token(segment_id),
                    names[segment_id],
                    f"{len(rows):,}",
                    number(sum(row["x"] for row in rows) / len(rows)),
                    number(sum(row["y"] for row in rows) / len(rows)),
                )
                for segment_id, rows in found.items()
                if rows
            ],
        ),
    )


def heat_picture(key: str, profiles: Sequence[Row], names: Names) -> Picture | None:
    """Draw how the segments differ; nothing where no feature is a number."""
    if not profiles:
        return None
    cells = {
        (row["feature"], row["segment_id"]): row["standardised_difference"] for row in profiles
    }
    return _picture(
        f"{key}-differences",
        "How they differ",
        "Orange: more than the other customers have; blue: less. 0 is like the others, 0.2 a small "
        "difference, 0.8 a large one (in standard deviations). Rows below the line only describe "
        "the segments: they had no part in making them.",
        lambda sheet: heat_map_chart(profiles, names, sheet),
        Grid(
            ("Feature", *(f"{token(one)} {name}" for one, name in names.items())),
            [
                (
                    str(row["description"] or words(row["feature"])),
                    *(_difference(cells.get((row["feature"], one))) for one in names),
                )
                for row in told_features(profiles)
            ],
        ),
    )


def _difference(value: float | None) -> str:
    return "\u2013" if value is None else signed(value)


def _picture(
    key: str, title: str, caption: str, draw: Callable[[Sheet], Chart], numbers: Grid
) -> Picture:
    return Picture(
        key=key,
        title=title,
        caption=caption,
        page_svg=inline_svg(draw(PAGE), f"{key}-page", title),
        phone_svg=inline_svg(draw(PHONE), f"{key}-phone", title),
        numbers=numbers,
    )


def _called(segment_id: str | None, names: Names, otherwise: str) -> str:
    return otherwise if segment_id is None else names.get(segment_id, segment_id)
