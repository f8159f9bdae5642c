"""`segment_personas`: each segment as a person would describe it, from published figures.

What belongs here: what is told of a segment, in which order. Figures come from `segments`,
`segment_profiles` and `segment_traits`; none is computed here. How a figure is said belongs to
`wording`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.clustering.families import similarity_of
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.origin import Origin, feature_origin
from segmentation_pipeline.segments.outside import (
    described_customers,
    ineligible_id,
    outside_labels,
    unknown_id,
)
from segmentation_pipeline.segments.segment_sample import read_segment_sample, segment_sizes
from segmentation_pipeline.segments.tables import described_features, withheld_segments
from segmentation_pipeline.segments.trait_names import outdated_names
from segmentation_pipeline.segments.typical import medoid, typical_attributes
from segmentation_pipeline.segments.wording import feature_words, told_figures, unit_words
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, quote, write_rows

_MOST_TOLD = 3
_MOST_MEDOID_CUSTOMERS = 1_000
_ALL_MEDOID_CUSTOMERS = 200_000
_FEWEST_MEDOID_CUSTOMERS = 50
_NOTHING: Mapping[Origin, str] = {
    "survey": "Nothing in the survey is among what sets them apart most.",
    "web": "Nothing that they do on the web is among what sets them apart most.",
    "crm": "Nothing in the CRM is among what sets them apart most.",
}
_WITHHELD = "figures are withheld, since those of a small group could be computed from them"
_VERDICT_WORDS = {
    "continuum": ", cut from a continuum",
    "weak": ", weakly set off from the others",
    "too few to tell": ", of whom too few are known to tell whether they are a group",
}
_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "name": pa.string(),
        "headline": pa.string(),
        "typical_customer": pa.string(),
        "wants": pa.string(),
        "behaves": pa.string(),
        "worth": pa.string(),
        "is_name_outdated": pa.bool_(),
    }
)
Row = Mapping[str, Any]


def make_segment_personas(
    connection: Connection, home: Home, name: str, preparation: Preparation, build: Build
) -> int:
    """Write `segment_personas`: a row per segment, noise included; returns its rows.

    `preparation` is the champion's: typical customers are found by its features. Segments that
    have fewer customers than the privacy floor are not described.
    """
    spec, floor = home.segmentations[name], home.customers.limits.smallest_group
    segments = _rows(connection, Table(name, "segments"))
    traits = _rows(connection, Table(name, "segment_traits"))
    profiles = _rows(connection, Table(name, "segment_profiles"))
    outside = outside_labels(name)
    present = sum(one["customers"] > 0 for one in segments if one["segment_id"] not in outside)
    outdated = outdated_names(connection, name, traits, segments=present)
    withheld = withheld_segments(profiles)
    # Age and education are neither wanted, done nor paid: they are told among the traits.
    origins = {
        feature_name: feature_origin(feature_name, spec, home.customers)
        for feature_name, feature in described_features(spec).items()
        if feature.criterion != "demographics"
    }
    sizes = segment_sizes(connection, described_customers(name, spec))
    described = {
        segment_id: size
        for segment_id, size in sizes.items()
        if size >= floor and segment_id not in outside
    }
    typical = _typical_customers(connection, name, spec, preparation, described, traits, floor)
    rows = []
    for segment in segments:
        segment_id = segment["segment_id"]
        row = {
            "segment_id": segment_id,
            "name": segment["label"],
            "typical_customer": None,
            "wants": None,
            "behaves": None,
            "worth": None,
            "is_name_outdated": segment_id in outdated and segment_id in described,
        }
        if segment_id not in described:
            row["headline"] = _undescribed(segment, name)
        else:
            own = sorted(
                (trait for trait in traits if trait["segment_id"] == segment_id),
                key=lambda trait: trait["rank"],
            )
            known = [one for one in profiles if one["segment_id"] == segment_id]
            row |= {
                "headline": headline(segment, own, is_withheld=segment_id in withheld),
                "typical_customer": typical.get(segment_id),
                "wants": _told("survey", own, known, origins),
                "behaves": _told("web", own, known, origins),
                "worth": _told("crm", own, known, origins, _money(known, own, spec, floor)),
            }
        rows.append(row)
    return write_rows(connection, Table(name, "segment_personas"), _SCHEMA, rows, build)


def headline(segment: Row, traits: Sequence[Row], *, is_withheld: bool = False) -> str:
    """Say in one sentence how large a segment is, and what sets it apart most.

    `is_withheld` where figures are not shown: then nobody can say that nothing sets it apart.
    """
    verdict = _VERDICT_WORDS.get(segment["verdict"] or "", "")
    size = f"{segment['customers']:,} customers, {segment['share']:.0%} of all{verdict}"
    if not traits and is_withheld:
        return f"{size}: {_WITHHELD}."
    if not traits:
        return f"{size}: nothing that was looked at sets them apart for certain."
    told = traits[0]["sentence"].replace(": ", ", ", 1)
    # Not an abbreviation's first letter.
    told = told if told[1:2].isupper() else told[:1].lower() + told[1:]
    return f"{size}; most telling: {told}"


def _undescribed(segment: Row, name: str) -> str:
    """Say honestly why there is no persona."""
    if not segment["customers"]:
        return "Nobody is in it tonight."
    why = {
        noise_id(name): "are too unlike the others to be in a segment, and no group of their own",
        unknown_id(name): "lack what the segments are made of, and nothing else tells theirs",
        ineligible_id(name): "take no part: they are not eligible",
    }
    size = f"{segment['customers']:,} customers, {segment['share']:.0%} of all,"
    if segment["segment_id"] in why:
        return f"{size} {why[segment['segment_id']]}."
    return "Too few customers to be described without pointing at somebody."


def _told(
    origin: Origin,
    traits: Sequence[Row],
    profiles: Sequence[Row],
    origins: Mapping[str, Origin | None],
    others: Sequence[str] = (),
) -> str | None:
    """Tell the traits that were learned in one place, three at most; None if there is nothing."""
    if origin not in origins.values():
        return None
    own = [trait for trait in traits if origins.get(trait["feature"]) == origin]
    nothing = _NOTHING[origin]
    if any(row["is_suppressed"] and origins.get(row["feature"]) == origin for row in profiles):
        nothing = f"{_WITHHELD.capitalize()}."
    sentences = [trait["sentence"] for trait in own[:_MOST_TOLD]] or [nothing]
    return " ".join([*sentences, *others])


def _money(
    profiles: Sequence[Row], traits: Sequence[Row], spec: SegmentationSpec, floor: int
) -> list[str]:
    """Tell what a segment is worth in money where that is no trait: readers ask for it first."""
    told = {trait["feature"] for trait in traits}
    sentences = []
    for row in profiles:
        feature = spec.features[row["feature"]]
        is_money = re.fullmatch(r"[A-Z]{3}(/.*)?", feature.unit or "") is not None
        if row["feature"] in told or not is_money or row["mean"] is None:
            continue
        if row["customers"] < floor or row["overall_mean"] is None:
            continue
        inside, everybody = told_figures(row["mean"], row["overall_mean"], is_share=False)
        sentences.append(
            f"{feature.description or feature_words(row['feature']).capitalize()}: {inside} "
            f"{unit_words(feature)} on average (everybody: {everybody})."
        )
    return sentences


def _typical_customers(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    preparation: Preparation,
    sizes: Mapping[str, int],
    traits: Sequence[Row],
    floor: int,
) -> dict[str, str]:
    """Segment id -> its typical customer as JSON; none where nothing may be shown.

    `sizes` are the segments to describe, and how many customers stand for each. Rules have no
    prepared features: their segments have no medoid.
    """
    columns, features = preparation.column_names, list(described_features(spec))
    if not columns or not sizes:
        return {}
    found = read_segment_sample(
        connection,
        described_customers(name, spec),
        f"JOIN {Table(name, 'feature_matrix').sql} AS matrix USING (customer_id)"
        f" JOIN {Table(name, 'engineered_features').sql} AS features USING (customer_id)",
        [
            *(f"matrix.{quote(column)}" for column in columns),
            *(f"features.{quote(feature)}" for feature in features),
        ],
        sizes,
        seed=spec.clustering.seed,
        limit=max(
            _FEWEST_MEDOID_CUSTOMERS,
            min(_MOST_MEDOID_CUSTOMERS, _ALL_MEDOID_CUSTOMERS // len(sizes)),
        ),
    )
    ids = found.column(0).to_numpy()
    matrix = np.column_stack([c.to_numpy() for c in found.columns[1 : 1 + len(columns)]])
    values = dict(zip(features, map(_values, found.columns[1 + len(columns) :]), strict=True))
    similarity = similarity_of(spec.clustering)
    typical = {}
    for segment_id in sizes:
        is_in = ids == segment_id
        telling = [row["feature"] for row in traits if row["segment_id"] == segment_id]
        # What only describes the segments is told of a segment that differs in it, or not at all.
        others = [one for one in features if spec.features[one].use == "clustering"]
        attributes = typical_attributes(
            {one: values[one][is_in] for one in dict.fromkeys([*telling, *others])},
            medoid(matrix[is_in], similarity),
            spec.features,
            floor,
        )
        if attributes:
            typical[segment_id] = json.dumps(
                {
                    spec.features[feature].description or feature_words(feature).capitalize(): told
                    for feature, told in attributes.items()
                },
                ensure_ascii=False,
            )
    return typical


def _values(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[Any]]:
    """Numbers as float64, categories as objects; yes and no are categories here."""
    if pa.types.is_boolean(column.type):
        words = {True: "yes", False: "no", None: None}
        return np.array([words[value] for value in column.to_pylist()], dtype=object)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(f"FROM {table.sql}").to_arrow_table().to_pylist()
    return rows
