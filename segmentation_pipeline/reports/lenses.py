"""What a report tells of one segmentation: the verdict, the segments, how they came about."""

import json
import math
from collections.abc import Sequence

from segmentation_pipeline.reports.cards import make_cards, make_parts, persona_names
from segmentation_pipeline.reports.edition import Edition, Row
from segmentation_pipeline.reports.pictures import (
    candidates_picture,
    heat_picture,
    map_picture,
    migration_picture,
    sizes_picture,
)
from segmentation_pipeline.reports.segment_charts import Names
from segmentation_pipeline.reports.views import Grid, Lens
from segmentation_pipeline.reports.wording import (
    claim,
    counted,
    family,
    listed,
    number,
    percent,
    words,
)

_MOST_SEGMENTS = 30
_MOST_FEATURES = 40
_MOST_SENSITIVE = 12
_ALIKE = 0.9
_OTHER = 0.5
_LEADING = 0.5


def make_lens(edition: Edition, name: str, title: str, description: str) -> Lens:
    """Tell of a segmentation; of many segments, the 30 largest have cards and are drawn."""
    segments = edition.of("segments", name)
    segments.sort(key=lambda row: (row["is_noise"], -row["customers"], row["segment_id"]))
    shown = segments[:_MOST_SEGMENTS]
    called = persona_names(edition, name)
    # Colours go by age, so that a segment keeps its own when another overtakes it.
    ids = sorted((str(row["segment_id"]) for row in shown), key=_age)
    names = {segment_id: called[segment_id] for segment_id in ids}
    as_of = segments[0]["as_of"]
    (judged,) = edition.of("structure_verdict", name) or [{}]
    migration = edition.tonight("segment_migration", name, as_of)
    candidates = edition.of("model_candidates", name)
    variants = edition.of("preprocessing_effect", name)
    sensitive = edition.of("sensitive_shares", name)
    customers = sum(row["customers"] for row in segments)
    key = name.replace("_", "-")
    return Lens(
        key=key,
        title=title,
        description=description,
        customers=counted(customers, "customer"),
        segment_count=sum(not row["is_noise"] for row in segments),
        stale_note=_stale_note(segments[0], edition),
        claim=claim(judged.get("verdict")),
        sentence=str(judged.get("sentence") or ""),
        criteria=_criteria(edition, name, as_of),
        parts=make_parts(shown, names),
        overview=[
            picture
            for picture in (
                sizes_picture(key, shown, names),
                map_picture(key, edition.of("segment_map", name), names),
            )
            if picture is not None
        ],
        differences=heat_picture(key, edition.of("segment_profiles", name), names),
        cards=make_cards(edition, name, shown, names),
        cards_more=_left_out(len(segments)),
        movement=_movement(edition.of("segment_nights", name), as_of)
        + _decision(edition.tonight("refit_decision", name, as_of)),
        movement_picture=migration_picture(
            key, migration, names, {row["segment_id"]: row["customers"] for row in segments}
        ),
        transitions=_transitions(edition.tonight("segment_transitions", name, as_of), called),
        choice=_choice(candidates) + _challenger(edition.tonight("challenger_nights", name, as_of)),
        candidates=candidates_picture(key, candidates),
        preparation=_preparation(variants),
        variants=_variants_grid(variants) if variants else None,
        features=_features_grid(edition, name),
        fairness=_fairness_grid(sensitive, called) if sensitive else None,
    )


def _age(segment_id: str) -> tuple[float, str]:
    """Order ids by their number; customers in no segment come last."""
    last = segment_id.rpartition("-")[2]
    return (float(last) if last.isdecimal() else math.inf, segment_id)


def _left_out(count: int) -> str:
    if count <= _MOST_SEGMENTS:
        return ""
    return f"{count - _MOST_SEGMENTS:,} smaller segments are in the table segments."


def _stale_note(row: Row, edition: Edition) -> str:
    if not row["is_stale"]:
        return ""
    return (
        f"This part is of {row['as_of']}: the nights since have failed for it. What follows is "
        f"not of {edition.as_of}."
    )


def _criteria(edition: Edition, name: str, as_of: object) -> list[tuple[str, str]]:
    runs = [row for row in edition.of("segmentation_runs", name) if row["as_of"] == as_of]
    return (
        [(words(key), text) for key, text in json.loads(runs[0]["criteria"]).items()]
        if runs
        else []
    )


def _movement(nights: Sequence[Row], as_of: object) -> str:
    tonight = [row for row in nights if row["as_of"] == as_of]
    if not tonight:
        return ""
    row = tonight[0]
    if row["churn_share"] is None:
        return (
            "This is the first night, so there is no night before to compare with. From the next "
            "one on, this section shows who moved from where to where."
        )
    changed = row["moved_count"] + row["model_count"]
    parts = [
        f"{counted(row['entered_count'], 'customer')} came",
        f"{row['left_count'] + row['erased_count']:,} left",
    ]
    held = (
        f" {counted(row['held_count'], 'customer')} came near a border and were kept where they "
        "were: only a clear change counts."
        if row["held_count"]
        else ""
    )
    why = " A new model came into force tonight." if row["model_count"] else ""
    moved = (
        f"{counted(changed, 'customer')} changed segment tonight ({percent(row['churn_share'], 1)})"
        if changed
        else "Nobody changed segment tonight"
    )
    return f"{moved}; {listed(parts)}.{held}{why}"


def _decision(rows: Sequence[Row]) -> str:
    """Say what became of the model; nothing on its first night."""
    return "".join(
        {
            "keep": " The model was kept.",
            "refit": f" Another model is due: {row['reasons']}.",
            "alert": f" Something is off that no new model mends: {row['reasons']}.",
        }.get(str(row["decision"]), "")
        for row in rows
    )


def _transitions(rows: Sequence[Row], called: Names) -> list[str]:
    if not any(row["from_segment_id"] for row in rows):
        return []
    told = []
    for row in rows:
        before = called.get(row["from_segment_id"] or "", row["from_segment_id"])
        after = called.get(row["to_segment_id"] or "", row["to_segment_id"])
        told.append(
            {
                "kept": f"{after} is the same segment as before ({percent(row['jaccard'])} of its "
                "customers are shared).",
                "split": f"{after} was split off {before}.",
                "merged": f"{before} went into {after}.",
                "born": f"{after} is new.",
                "retired": f"{before} is no more.",
            }.get(str(row["kind"]), f"{row['kind']}: {before}, {after}.")
        )
    return told


def _choice(candidates: Sequence[Row]) -> str:
    chosen = [row for row in candidates if row["is_chosen"]]
    if not chosen:
        return ""
    row, tried = chosen[0], len({one["algorithm"] for one in candidates})
    reason = str(row["reason"] or "").removeprefix("chosen: ")
    return (
        f"{counted(len(candidates), 'way')} to group the customers were tried, with "
        f"{counted(tried, 'method')}. {family(row['algorithm'])} with {row['segments']} segments "
        f"was chosen: {reason}."
    )


def _challenger(rows: Sequence[Row]) -> str:
    return "".join(f" Meanwhile, {row['sentence']}." for row in rows)


def _preparation(variants: Sequence[Row]) -> str:
    """Say what scaling did, which is what most people wonder about."""
    found = {row["variant"]: row for row in variants}
    declared, unscaled = found.get("as declared"), found.get("without scaling")
    if declared is None or unscaled is None:
        return ""
    agreement = unscaled["agreement"]
    result = (
        "the groups would be nearly the same"
        if agreement >= _ALIKE
        else "the groups would be partly others"
        if agreement >= _OTHER
        else "other groups would come out"
    )
    leading = (
        f"{words(unscaled['leading_feature'])} alone would decide "
        f"{percent(unscaled['leading_share'])} of how alike two customers are"
        if unscaled["leading_share"] >= _LEADING
        else f"no feature would decide more than {percent(unscaled['leading_share'])} of how alike "
        "two customers are"
    )
    return (
        "Features come in different units, so they were put on one scale first. Without "
        f"that, {leading}, and {result}. As it is, no feature decides more than "
        f"{percent(declared['leading_share'])}."
    )


def _variants_grid(variants: Sequence[Row]) -> Grid:
    return Grid(
        (
            "Features",
            "Same groups as published",
            "Smallest group",
            "Strongest feature",
            "Its share",
        ),
        [
            (
                str(row["variant"]),
                number(row["agreement"]),
                percent(row["smallest_share"]),
                words(row["leading_feature"]),
                percent(row["leading_share"]),
            )
            for row in sorted(variants, key=lambda row: -row["agreement"])
        ],
        "\u201cSame groups\u201d: 1 is all those published, 0 is chance (adjusted Rand index).",
    )


def _features_grid(edition: Edition, name: str) -> Grid:
    reasons = {
        row["feature"]: str(row["reason"] or "left out")
        for row in edition.of("feature_selection", name)
        if not row["is_kept"]
    }
    missing = {
        row["feature"]: row["missing_share"] for row in edition.of("feature_selection", name)
    }
    rows = sorted(edition.of("feature_importance", name), key=lambda row: (row["use"], row["rank"]))
    return Grid(
        ("Feature", "Part", "Weight in the distance", "Sets segments apart", "Without a value"),
        [
            (
                words(row["feature"]),
                reasons.get(row["feature"])
                or ("makes the segments" if row["use"] == "clustering" else "describes them"),
                percent(row["distance_share"]),
                percent(row["importance"]),
                percent(missing.get(row["feature"])),
            )
            for row in rows[:_MOST_FEATURES]
        ],
        f"{len(rows) - _MOST_FEATURES:,} more are in the table feature_importance."
        if len(rows) > _MOST_FEATURES
        else "",
    )


def _fairness_grid(rows: Sequence[Row], called: Names) -> Grid:
    told = [row for row in rows if row["ratio"] is not None and row["ratio"] > 0]
    told.sort(key=lambda row: (-abs(math.log(row["ratio"])), row["group_name"], row["category"]))
    return Grid(
        ("Group", "Kind", "Column", "Category", "Share of the group", "Share of everybody"),
        [
            (
                called.get(row["group_name"], words(row["group_name"])),
                str(row["group_kind"]),
                words(row["column_name"]),
                str(row["category"]),
                percent(row["share"]),
                percent(row["overall_share"]),
            )
            for row in told[:_MOST_SENSITIVE]
        ],
        f"{len(told) - _MOST_SENSITIVE:,} more are in the table sensitive_shares."
        if len(told) > _MOST_SENSITIVE
        else "",
    )
