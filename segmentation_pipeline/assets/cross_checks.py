"""Wires what is counted across sources to what is expected of it, for the checks of `customers`."""

import datetime as dt
from collections.abc import Mapping

from segmentation_pipeline.ingestion import snapshot_in_force
from segmentation_pipeline.preparation.cross_sources import (
    count_beside_customers,
    count_known_ids,
)
from segmentation_pipeline.preparation.rows import SourceRows
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.validation import ExpectationResult
from segmentation_pipeline.validation.cross_sources import (
    CrossSource,
    cross_source_expectations,
    judge_beside_customer,
    judge_not_run,
    judge_reference,
)
from segmentation_pipeline.warehouse import Connection, DatabaseError


def look_across_sources(
    connection: Connection, spec: CustomersSpec, as_of: dt.date
) -> list[ExpectationResult]:
    """Look at everything that sources are asked about others; nothing where nothing is asked."""
    asked = cross_source_expectations(spec)
    if not asked:
        return []
    rows = _rows_of_sources(connection, spec, as_of)
    return [
        result
        for one in asked
        for result in (
            *_references(connection, spec, rows, one),
            *_predicates(connection, spec, rows, one),
        )
    ]


def _rows_of_sources(
    connection: Connection, spec: CustomersSpec, as_of: dt.date
) -> Mapping[str, SourceRows]:
    """Say which rows count; `customers`, which is there, has said whether a date may stand in."""
    return {
        name: SourceRows(
            name,
            source,
            as_of,
            snapshot_in_force(connection, name, source, as_of, approximate=True)
            if source.kind == "crm"
            else None,
        )
        for name, source in spec.sources.items()
    }


def _references(
    connection: Connection,
    spec: CustomersSpec,
    rows: Mapping[str, SourceRows],
    asked: CrossSource,
) -> list[ExpectationResult]:
    if not asked.references:
        return []
    expectations = [expectation for _, expectation in asked.references]
    others = [rows[reference.source] for reference, _ in asked.references]
    try:
        counted = count_known_ids(connection, rows[asked.source], others)
    except DatabaseError as error:
        return judge_not_run(expectations, type(error).__name__)
    source = spec.sources[asked.source]
    return [
        judge_reference(expectation, source, found.ids, found.known, found.former)
        for expectation, found in zip(expectations, counted, strict=True)
    ]


def _predicates(
    connection: Connection,
    spec: CustomersSpec,
    rows: Mapping[str, SourceRows],
    asked: CrossSource,
) -> list[ExpectationResult]:
    """Look at all predicates of a source at once; one by one where a value breaks one of them."""
    if not asked.predicates:
        return []
    source, pairs = spec.sources[asked.source], asked.predicates
    try:
        counted = count_beside_customers(
            connection, rows[asked.source], [one.predicate for one, _ in pairs]
        )
    except DatabaseError as error:
        if len(pairs) == 1:
            return judge_not_run([pairs[0][1]], type(error).__name__)
        return [
            result
            for pair in pairs
            for result in _predicates(
                connection, spec, rows, CrossSource(asked.source, (), (pair,))
            )
        ]
    return [
        judge_beside_customer(expectation, source, found.rows, found.broken)
        for (_, expectation), found in zip(pairs, counted, strict=True)
    ]
