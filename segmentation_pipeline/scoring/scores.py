"""Assignments of an input in readers' words: segments by name, confidence, what decides.

The columns are those of `SCORES_SCHEMA`. `confidence` is what the family honestly has:

- a probability (mixtures): the posterior of the segment;
- a margin (others that measure a distance): 0 on the border to the runner-up, 1 where the customer
  is as typical of the segment as can be; it is no probability. Between prototypes it is t =
  (d_other^2 - d_own^2) / d(own, other)^2, cut to 0 .. 1; between core points 1 - d_own / d_other;
- 1 where a rule decides, which holds or doesn't;
- typing: of customers who lack a source that `typing` asks for, the probability of the likeliest
  segment; below .6 theirs is unknown, and the likeliest is the runner-up. No feature is said to
  decide.

Who is in no segment otherwise, or in the only one, has none.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation_pipeline.clustering.assigning import assigned_customers
from segmentation_pipeline.clustering.assignment import assign_rows, read_columns
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import outlier_distance
from segmentation_pipeline.scoring.deciding import DecidingFeatures
from segmentation_pipeline.scoring.engineering import (
    LACKING,
    Engineered,
    missing_vector,
    value_column,
)
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.membership import named_labels
from segmentation_pipeline.segments.outside import ineligible_id, unknown_id
from segmentation_pipeline.segments.typed import (
    ExpectedSizes,
    Names,
    ineligible_batches,
    typed_batches,
)
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import Connection, read_batches

DECIDING = 3

SCORES_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        ("segment_id", pa.string()),
        ("segment", pa.string()),
        ("confidence", pa.float64()),
        ("confidence_kind", pa.string()),
        ("runner_up_segment_id", pa.string()),
        ("runner_up_segment", pa.string()),
        ("is_borderline", pa.bool_()),
        ("is_outlier", pa.bool_()),
        ("is_noise", pa.bool_()),
        ("missing_features", pa.int32()),
        *(
            field
            for rank in range(1, DECIDING + 1)
            for field in (
                (f"feature_{rank}", pa.string()),
                (f"contribution_{rank}", pa.float64()),
                (f"words_{rank}", pa.string()),
            )
        ),
    ]
)

Deciding = Sequence[tuple[str, float, str]]
"""Feature, contribution, words; the first decides most."""


def score_batches(
    connection: Connection, found: PublishedModel, engineered: Engineered, *, threads: int
) -> Iterator[pa.RecordBatch]:
    """Score the customers of an input, in any order; `customer_id` is the row's number.

    The assigner, the typing, and the SELECT behind their rows, are those of a night. Memory is that
    of a batch.
    """
    if found.model.algorithm == "rules":
        yield from _scored_by_rules(connection, found, engineered)
    else:
        yield from _scored_by_model(connection, found, engineered, threads)
    with connection.cursor() as reading:
        yield from _scored_otherwise(reading, found, engineered)


def _scored_by_model(
    connection: Connection, found: PublishedModel, engineered: Engineered, threads: int
) -> Iterator[pa.RecordBatch]:
    missing = missing_vector(connection, found)
    names, model = found.model.feature_names, found.model
    deciding = DecidingFeatures(found, missing)
    with connection.cursor() as reading:
        features, rest = itertools.tee(read_batches(reading, engineered.query))
        assigned = assign_rows(
            assigner_of(model),
            names,
            outlier_distance(model),
            features,
            noise=found.spec.clustering.noise,
            threads=threads,
        )
        for one, batch in zip(assigned, rest, strict=True):
            decided = _decided(found, deciding, one, batch, engineered.features)
            lacking = sum(
                batch.column(value_column(name)).is_null().cast(pa.int32()).to_numpy()
                for name in engineered.features
            )
            yield _scores(found, one, pa.array(lacking, pa.int32()), decided)


def _scored_by_rules(
    connection: Connection, found: PublishedModel, engineered: Engineered
) -> Iterator[pa.RecordBatch]:
    with connection.cursor() as reading:
        spec = found.spec.clustering
        grouped = engineered.grouped
        for one in assigned_customers(reading, found.name, spec, found.model, features=grouped):
            unknown = pa.nulls(one.num_rows, pa.int32())
            yield _scores(found, one, unknown, [()] * one.num_rows)


def _scored_otherwise(
    connection: Connection, found: PublishedModel, engineered: Engineered
) -> Iterator[pa.RecordBatch]:
    """Score those who are typed, and those who are not eligible, by what a night says of them."""
    name = found.name
    names = Names(found.segment_ids, noise_id(name), unknown_id(name), ineligible_id(name))
    if engineered.typed is not None:
        # One after the other: a night's rows, and what of a customer was lacking.
        for batch in read_batches(connection, engineered.typed):
            (rows,) = typed_batches([batch], found.typing, names, ExpectedSizes())
            yield _outside_scores(found, rows, batch.column(LACKING).cast(pa.int32()))
    if engineered.ineligible is not None:
        for rows in ineligible_batches(read_batches(connection, engineered.ineligible), names):
            yield _outside_scores(found, rows, pa.nulls(rows.num_rows, pa.int32()))


def _outside_scores(
    found: PublishedModel, rows: pa.RecordBatch, missing: pa.Array
) -> pa.RecordBatch:
    """Turn rows of `customer_segments` into scores; no feature decides."""
    own, runner_up = rows.column("raw_segment_id"), rows.column("runner_up_segment_id")
    confidence = rows.column("typing_confidence")
    kind = pa.scalar("typing"), pa.scalar(None, pa.string())
    columns: dict[str, pa.Array] = {
        "customer_id": rows.column("customer_id"),
        "segment_id": own,
        "segment": _called(found, own),
        "confidence": confidence,
        "confidence_kind": pc.if_else(pc.is_valid(confidence), *kind),
        "runner_up_segment_id": runner_up,
        "runner_up_segment": _called(found, runner_up),
        "is_borderline": rows.column("is_borderline"),
        "is_outlier": rows.column("is_outlier"),
        "is_noise": pc.invert(pc.is_in(own, pa.array(found.segment_ids, pa.string()))),
        "missing_features": missing,
    }
    nothing = [pa.nulls(rows.num_rows, field.type) for field in SCORES_SCHEMA][len(columns) :]
    return pa.record_batch([*columns.values(), *nothing], schema=SCORES_SCHEMA)


def _called(found: PublishedModel, segment_ids: pa.Array) -> pa.Array:
    return pa.array(
        [None if one is None else found.labels.get(one, one) for one in segment_ids.to_pylist()],
        pa.string(),
    )


def _decided(
    found: PublishedModel,
    deciding: DecidingFeatures,
    assigned: pa.RecordBatch,
    batch: pa.RecordBatch,
    features: Mapping[str, FeatureSpec],
) -> list[Deciding]:
    """Tell the features that decide for each customer who has a segment and a runner-up."""
    own = assigned.column("raw_segment").to_numpy()
    runner_up = assigned.column("runner_up").fill_null(-1).to_numpy(zero_copy_only=False)
    decided: list[Deciding] = [()] * len(own)
    rows = np.flatnonzero((own >= 0) & (runner_up >= 0))
    if not len(rows):
        return decided
    part = batch.take(pa.array(rows))
    columns = read_columns(part, found.model.feature_names)
    told = deciding.contributions(columns, own[rows], runner_up[rows].astype(np.int32))
    # Of equal contributions the one that stands first in the model.
    order = np.argsort(-np.abs(told.values), axis=0, kind="stable")[:DECIDING]
    values = {name: part.column(value_column(name)).to_pylist() for name in features}
    for place, row in enumerate(rows):
        ids = found.segment_ids[own[row]], found.segment_ids[runner_up[row]]
        chosen = [(told.features[at], float(told.values[at, place])) for at in order[:, place]]
        decided[row] = [
            (name, amount, _words(found, name, features[name], values[name][place], ids))
            for name, amount in chosen
            if amount != 0.0
        ]
    return decided


def _scores(
    found: PublishedModel,
    assigned: pa.RecordBatch,
    missing: pa.Array,
    decided: Sequence[Deciding],
) -> pa.RecordBatch:
    ids = [*found.segment_ids, noise_id(found.name)]
    called = [found.labels.get(segment_id, segment_id) for segment_id in ids]
    own, runner_up = assigned.column("raw_segment"), assigned.column("runner_up")
    confidence, kind = _confidence(found, assigned)
    columns: list[Any] = [
        assigned.column("customer_id").cast(pa.string()),
        named_labels(own, ids),
        named_labels(own, called),
        confidence,
        kind,
        pa.array(ids, pa.string()).take(runner_up),
        pa.array(called, pa.string()).take(runner_up),
        assigned.column("is_borderline"),
        assigned.column("is_outlier"),
        pc.less(own, 0),
        missing,
    ]
    for rank in range(DECIDING):
        ranked = [one[rank] if len(one) > rank else (None, None, None) for one in decided]
        parts = zip(*ranked, strict=True) if ranked else ((), (), ())
        columns += [
            pa.array(part, SCORES_SCHEMA.field(f"{name}_{rank + 1}").type)
            for name, part in zip(("feature", "contribution", "words"), parts, strict=True)
        ]
    return pa.record_batch(columns, schema=SCORES_SCHEMA)


def _confidence(found: PublishedModel, assigned: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    is_held = pc.greater_equal(assigned.column("raw_segment"), 0)
    nothing = pa.scalar(None, pa.float64())
    match found.model.algorithm:
        case "rules":
            kind, value = "rule", pa.scalar(1.0)
        case "gaussian_mixture":
            kind, value = "probability", assigned.column("probability")
        case _:
            margin = assigned.column("margin")
            kind = "margin"
            # From a NULL, the larger of two is the other one.
            cut = pc.min_element_wise(pc.max_element_wise(margin, 0.0), 1.0)
            value = pc.if_else(pc.is_valid(margin), cut, nothing)
    confidence = pc.if_else(is_held, value, nothing)
    kinds = pc.if_else(pc.is_valid(confidence), pa.scalar(kind), pa.scalar(None, pa.string()))
    return confidence, kinds


def _words(
    found: PublishedModel,
    name: str,
    feature: FeatureSpec,
    value: object,
    ids: tuple[str, str],
) -> str:
    """Tell a value in its unit, next to what is usual in the segment and in the runner-up."""
    what = feature.description or name.replace("_", " ")
    if isinstance(value, str):
        shares = [found.shares.get((segment_id, name, value)) for segment_id in ids]
        told, usual = value, [None if share is None else f"{share:.0%}" for share in shares]
        here, there = "of the segment", "of the runner-up"
    else:
        number = float(value) if isinstance(value, int | float) else float("nan")
        means = [found.means.get((segment_id, name)) for segment_id in ids]
        told = f"{_number(number)} {feature.unit or ''}".rstrip()
        usual = [None if mean is None else _number(mean) for mean in means]
        here, there = "on average in the segment", "in the runner-up"
    if None in usual:
        return f"{what}: {told}"
    return f"{what}: {told} ({usual[0]} {here}, {usual[1]} {there})"


def _number(value: float) -> str:
    """Write a number as people do: three digits that count, and thousands parted.

    >>> _number(1234567.8), _number(56.23), _number(0.01234), _number(3.0)
    ('1,234,568', '56.2', '0.0123', '3')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
