"""`segment_rules`: each segment as a short rule, in words and as a predicate that runs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.model_verdict import raw_features
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.features import Preparation, read_feature_sample
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.segments.conditions import AskedFeature, named_with_unit
from segmentation_pipeline.segments.feature_sql import (
    feature_over_customers_sql,
    where_over_customers_sql,
)
from segmentation_pipeline.segments.found_rules import FoundRule, find_rules
from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.leaves import leaves_sql, leaves_words
from segmentation_pipeline.segments.outside import described_customers, outside_labels
from segmentation_pipeline.segments.rule_tree import Asked
from segmentation_pipeline.segments.wording import is_rate
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    quote,
    write_rows,
)

MOST_CUSTOMERS = 5_000
"""So many customers at most are asked, in the order of their hash: the thresholds of a tree of
eight leaves are as good as they get, and all trees take a second or two."""
_USEFUL_PRECISION = 0.5

_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "rule": pa.string(),
        "sql_predicate": pa.string(),
        "runs_on": pa.string(),
        "fidelity": pa.float64(),
        "precision": pa.float64(),
        "recall": pa.float64(),
        "leaves": pa.int32(),
        "customers": pa.int64(),
        "sampled_customers": pa.int64(),
        "is_approximate": pa.bool_(),
    }
)


@dataclass(frozen=True)
class _Predicate:
    """A rule in SQL: over the features, and over `customers` where that says the same."""

    over_features: str
    over_customers: str | None


def make_segment_rules(
    connection: Connection, home: Home, name: str, preparation: Preparation, build: Build
) -> int:
    """Write `segment_rules`: a row per segment, with the reason where there is no rule.

    Rules ask of the features that make the segments, of a sample in the order of the hash of the
    ids. A predicate runs on `core.customers` where it finds the very same customers there, else on
    `<name>.engineered_features`. Returns the rows.
    """
    spec, smallest_group = home.segmentations[name], home.customers.limits.smallest_group
    sample, names, labels = _sample(connection, name, spec, preparation)
    types = column_types(connection, Table(name, "engineered_features"))
    asked = [
        _asked(feature, sample, types) for feature in raw_features(preparation, sample, spec, types)
    ]
    found = find_rules(asked, labels, seed=spec.clustering.seed, smallest_group=smallest_group)
    rules = {names[label]: rule for label, rule in found.rules.items() if _is_useful(rule)}
    predicates = _predicates(connection, spec, rules, types, build)
    counted = _count(connection, name, predicates)
    total = counted.pop("")[0]
    withheld = _withheld_features(connection, name)
    rows = []
    for segment_id, size in _sizes(connection, name).items():
        rule = rules.get(segment_id)
        row: dict[str, Any] = {
            "segment_id": segment_id,
            "fidelity": found.fidelity,
            "sampled_customers": len(labels),
        }
        if rule is None:
            reason = _reason(name, segment_id, size, smallest_group)
            rows.append(row | {"rule": f"none: {reason}", "leaves": 0, "is_approximate": True})
            continue
        matching, elsewhere = counted[segment_id]
        predicate = predicates[segment_id]
        is_safe = withheld.isdisjoint(name for leaf in rule.leaves for name in leaf)
        is_safe &= matching >= smallest_group and not 0 < total - matching < smallest_group
        is_approximate = rule.is_approximate(found.fidelity)
        over_customers = None if elsewhere else predicate.over_customers
        runs_on = Table(name, "engineered_features") if over_customers is None else CUSTOMERS
        words = leaves_words(rule.leaves, _features(rule, spec, types))
        rows.append(
            row
            | {
                "rule": f"approximately: {words}" if is_approximate else words,
                "sql_predicate": over_customers or predicate.over_features,
                "runs_on": str(runs_on),
                "precision": rule.precision,
                "recall": rule.recall,
                "leaves": len(rule.leaves),
                "customers": matching if is_safe else None,
                "is_approximate": is_approximate,
            }
        )
    return write_rows(connection, Table(name, "segment_rules"), _SCHEMA, rows, build)


def _sample(
    connection: Connection, name: str, spec: SegmentationSpec, preparation: Preparation
) -> tuple[FeatureSample, list[str], NDArray[np.intp]]:
    """Read features of some customers, the segments that they are in, and which each is in."""
    sample = read_feature_sample(
        connection,
        Table(name, "engineered_features"),
        list(dict.fromkeys(row.feature for row in preparation.scalings)),
        seed=spec.clustering.seed,
        limit=MOST_CUSTOMERS,
    )
    ids = pa.table(
        {
            "customer_id": pa.array(sample.customer_ids, pa.string()),
            "position": pa.array(range(len(sample.customer_ids)), pa.int64()),
        }
    )
    connection.register("sampled_customers", ids)
    try:
        found = connection.execute(
            "SELECT position, segment_id FROM sampled_customers"
            f" JOIN {described_customers(name, spec).sql} USING (customer_id) ORDER BY position"
        ).fetchall()
    finally:
        connection.unregister("sampled_customers")
    rows = np.array([position for position, _ in found], dtype=np.intp)
    segments = [str(segment_id) for _, segment_id in found]
    names = sorted(set(segments))
    numbers = {segment_id: number for number, segment_id in enumerate(names)}
    described = FeatureSample(
        sample.customer_ids[rows], {name: values[rows] for name, values in sample.values.items()}
    )
    return described, names, np.array([numbers[one] for one in segments], dtype=np.intp)


def _asked(feature: RawFeature, sample: FeatureSample, types: Mapping[str, str]) -> Asked:
    if types[feature.name] == "VARCHAR":
        return Asked(feature, sample.values[feature.name])
    if feature.kind == "categorical":
        missing = feature.missing()
        texts = [None if gone else str(v) for v, gone in zip(feature.values, missing, strict=True)]
        return Asked(feature, np.array(texts, dtype=object))
    return Asked(feature)


def _is_useful(rule: FoundRule) -> bool:
    """Whether at least half of whom it finds are in the segment."""
    return rule.precision is not None and rule.precision >= _USEFUL_PRECISION


def _reason(name: str, segment_id: str, size: int, smallest_group: int) -> str:
    if segment_id in outside_labels(name) and segment_id != noise_id(name):
        return "they are in no segment, for what is not known of them"
    if size == 0:
        return "nobody is in it tonight"
    if size < smallest_group:
        return f"it has fewer than {smallest_group} customers"
    return "no few questions tell its customers from the others"


def _predicates(
    connection: Connection,
    spec: SegmentationSpec,
    rules: Mapping[str, FoundRule],
    types: Mapping[str, str],
    build: Build,
) -> dict[str, _Predicate]:
    used = sorted({name for rule in rules.values() for leaf in rule.leaves for name in leaf})
    over_customers = {
        feature: sql
        for feature in used
        if (sql := feature_over_customers_sql(connection, feature, spec, build.as_of)) is not None
    }
    taking_part = where_over_customers_sql(connection, spec, build.as_of)
    found = {}
    for segment_id, rule in rules.items():
        features = _features(rule, spec, types)
        written = None
        if features.keys() <= over_customers.keys():
            there = {
                one: replace(feature, sql=over_customers[one]) for one, feature in features.items()
            }
            written = leaves_sql(rule.leaves, there)
            if taking_part is not None:
                written = f"({taking_part}) AND ({written})"
        found[segment_id] = _Predicate(leaves_sql(rule.leaves, features), written)
    return found


def _features(
    rule: FoundRule, spec: SegmentationSpec, types: Mapping[str, str]
) -> dict[str, AskedFeature]:
    """Name the features that a rule asks for."""
    found = {}
    for name in dict.fromkeys(name for leaf in rule.leaves for name in leaf):
        feature = spec.features[name]
        words, unit = named_with_unit(name, feature)
        found[name] = AskedFeature(
            words=words,
            sql=quote(name),
            unit=unit,
            is_rate=is_rate(name, feature),
            is_boolean=types[name] == "BOOLEAN",
        )
    return found


def _count(
    connection: Connection, name: str, predicates: Mapping[str, _Predicate]
) -> dict[str, tuple[int, int]]:
    """Count whom each predicate finds, and who is found by one of its two forms only.

    The count of "" is that of everybody who takes part.
    """
    over_features, over_customers, counts = list[str](), list[str](), list[str]()
    for number, predicate in enumerate(predicates.values()):
        over_features.append(f"coalesce({predicate.over_features}, FALSE) AS f{number}")
        counts.append(f"coalesce(count_if(f{number}), 0)")
        if predicate.over_customers is None:
            counts.append("0")
        else:
            over_customers.append(f"coalesce({predicate.over_customers}, FALSE) AS c{number}")
            counts.append(f"coalesce(count_if(coalesce(f{number}, FALSE) <> c{number}), 0)")
    rows = (
        f"(SELECT {', '.join(['customer_id', 'TRUE AS is_there', *over_features])}"
        f" FROM {Table(name, 'engineered_features').sql})"
    )
    if over_customers:
        everybody = ", ".join(["customer_id", *over_customers])
        rows = f"(SELECT {everybody} FROM {CUSTOMERS.sql}) LEFT JOIN {rows} USING (customer_id)"
    found = connection.execute(
        f"SELECT {', '.join(['count(is_there)', *counts])} FROM {rows}"
    ).fetchall()[0]
    total, *pairs = (int(count) for count in found)
    counted = dict(zip(predicates, _pairs(pairs), strict=True))
    return {"": (total, 0), **counted}


def _pairs(counts: Iterable[int]) -> Iterator[tuple[int, int]]:
    listed = list(counts)
    return zip(listed[::2], listed[1::2], strict=True)


def _withheld_features(connection: Connection, name: str) -> set[str]:
    """Name features of which a total is withheld: how many a rule finds might give it back."""
    rows = connection.execute(
        f"SELECT feature FROM {Table(name, 'segment_category_shares').sql}"
        " WHERE is_suppressed AND overall_share IS NULL"
        f" UNION SELECT feature FROM {Table(name, 'segment_profiles').sql}"
        " WHERE is_suppressed AND overall_mean IS NULL"
    ).fetchall()
    return {str(row[0]) for row in rows}


def _sizes(connection: Connection, name: str) -> dict[str, int]:
    return dict(
        connection.execute(
            f"SELECT segment_id, customers FROM {Table(name, 'segments').sql} ORDER BY segment_id"
        ).fetchall()
    )
