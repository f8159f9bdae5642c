"""A night's memberships: who is in which segment tonight, under ids that last.

What belongs here: the order in which model, ids, last night's segments and history come together.
Each of them belongs to a module of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import pyarrow as pa

from segmentation_pipeline.clustering.assigning import assigned_customers
from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.champion import Champion, load_version
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import outlier_distance
from segmentation_pipeline.clustering.rules import rule_names
from segmentation_pipeline.clustering.typed.model import TypingModel, typing_of
from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.features.participation import (
    customers_of_part_sql,
    features_of_typed,
    grouped_features,
    has_parts,
)
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.segments.history import matrix_with_last_night_sql, segments_on_sql
from segmentation_pipeline.segments.hysteresis import HoldKind, hold_batches, hold_kind, hold_rule
from segmentation_pipeline.segments.identity import is_met, meet_model, noise_id, segment_ids
from segmentation_pipeline.segments.matching import (
    Transition,
    all_born,
    match_segments,
    same_names,
    start_anew,
)
from segmentation_pipeline.segments.membership import (
    CUSTOMER_SEGMENTS_SCHEMA,
    identify_batches,
    named_labels,
)
from segmentation_pipeline.segments.movements import record_night
from segmentation_pipeline.segments.naming import apply_names
from segmentation_pipeline.segments.nights import Night, NightChanges, night_until, refuse_cut_night
from segmentation_pipeline.segments.outside import (
    ineligible_id,
    make_described_customers,
    unknown_id,
)
from segmentation_pipeline.segments.overlap import count_overlap
from segmentation_pipeline.segments.typed import (
    ExpectedSizes,
    Names,
    ineligible_batches,
    typed_batches,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    count_rows,
    drop_relation,
    read_batches,
    write_batches,
    write_rows,
    write_table,
    write_view,
)

_OLD_SCHEMA = pa.schema([("customer_id", pa.string()), ("segment_id", pa.string())])
_SIZES_SCHEMA = pa.schema([("segment_id", pa.string()), ("customers", pa.float64())])
_NEW_SCHEMA = pa.schema([("customer_id", pa.string()), ("raw_segment", pa.int32())])


def make_customer_segments(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    build: Build,
    *,
    is_new_start: bool = False,
) -> NightChanges:
    """Write `<name>.customer_segments`, and bring ids and history up to tonight.

    The segments of a model that is met for the first time get the ids of those of the model before
    that they continue; `is_new_start` gives them all new ones instead, as a person may decide where
    the two models have too few customers in common. A customer stays in last night's segment until
    leaving it is clear. All customers stream.

    Raises MatchingRefusedError where the customers of the two models are too different, and
    StaleUpstreamError for a night of which `retention` has cut the history.
    """
    refuse_cut_night(connection, build.as_of)
    record, model = champion.record, champion.model
    spec, limits = home.segmentations[name], home.customers.limits
    threads = limits.threads or 2
    night = Night(build.as_of, record.model_version)
    if not is_met(connection, name, record.model_version):
        _meet(connection, home, name, champion, build, is_new_start=is_new_start)
    apply_names(connection, name, spec.names)
    ids = segment_ids(connection, name, record.model_version, record.k)
    kind = hold_kind(model.algorithm, model.metric)
    matrix = Table(name, "feature_matrix")
    query = matrix_with_last_night_sql(connection, name, matrix, night)
    typed, sizes = typing_of(model), ExpectedSizes()
    typing_model = None if typed is None else typed.model
    named = Names(ids, noise_id(name), unknown_id(name), ineligible_id(name))
    others: list[Callable[[Connection], Iterator[pa.RecordBatch]]] = []
    if spec.typing is not None:
        typed_sql = _typed_sql(connection, name, typing_model, night, build)
        others.append(
            lambda reading: typed_batches(
                read_batches(reading, typed_sql), typing_model, named, sizes
            )
        )
    if spec.eligible is not None:
        ineligible_sql = customers_of_part_sql(name, "ineligible")
        others.append(
            lambda reading: ineligible_batches(read_batches(reading, ineligible_sql), named)
        )
    with connection.cursor() as reading:
        write_batches(
            connection,
            Table(name, "customer_segments"),
            CUSTOMER_SEGMENTS_SCHEMA,
            chain(
                identify_batches(
                    _held_customers(reading, home, name, champion, query, kind, threads),
                    ids,
                    noise_id(name),
                ),
                # One after the other: a connection has one result at a time.
                chain.from_iterable(make(reading) for make in others),
            ),
            build,
        )
    make_described_customers(connection, name, spec, build)
    expected = [{"segment_id": key, "customers": value} for key, value in sizes.customers.items()]
    write_rows(connection, Table(name, "typed_sizes"), _SIZES_SCHEMA, expected, build)
    return record_night(connection, name, night, build, hold=kind)


def names_given(connection: Connection, name: str, champion: Champion) -> dict[str, str]:
    """Segment id -> what a rule calls it; nothing where no rules are."""
    ids = segment_ids(connection, name, champion.record.model_version, champion.record.k)
    return dict(zip(ids, rule_names(champion.model), strict=False))


def _held_customers(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    query: str,
    kind: HoldKind,
    threads: int,
) -> Iterator[pa.RecordBatch]:
    """Stream tonight's assignments, with the segment in which each customer is counted."""
    model, spec = champion.model, home.segmentations[name].clustering
    if model.algorithm == "rules":
        grouped = grouped_features(name, home.segmentations[name])
        for batch in assigned_customers(connection, name, spec, model, features=grouped):
            yield batch.append_column("segment", batch.column("raw_segment"))
        return
    assigner = assigner_of(model)
    yield from hold_batches(
        read_batches(connection, query),
        lambda batches: assign_rows(
            assigner,
            model.feature_names,
            outlier_distance(model),
            batches,
            noise=spec.noise,
            threads=threads,
        ),
        model.feature_names,
        hold_rule(kind, assigner, model.arrays, model.metric),
    )


def _typed_sql(
    connection: Connection, name: str, model: TypingModel | None, night: Night, build: Build
) -> str:
    """Write the SELECT of those who are typed, with what typing needs to know of each."""
    silent = features_of_typed(name)
    if model is None:
        return f"SELECT customer_id FROM {silent.sql}"
    preparation = model.preparation
    check_features(preparation, name, column_types(connection, silent))
    matrix = Table(name, "typing_matrix")
    prepared = feature_matrix_sql(preparation, silent.sql)
    write_view(connection, matrix, prepared, build, count_rows(connection, silent))
    return matrix_with_last_night_sql(connection, name, matrix, night)


def _meet(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    build: Build,
    *,
    is_new_start: bool,
) -> None:
    """Give a new model's segments their ids."""
    record = champion.record
    # The date itself may have been run before, by the model that this one replaces.
    earlier = night_until(connection, name, build.as_of)
    transitions: tuple[Transition, ...]
    if earlier is None:
        transitions = all_born(record.k)
    else:
        old_ids = segment_ids(connection, name, earlier.model_version, 0)
        if is_new_start:
            transitions = start_anew(len(old_ids), record.k)
        else:
            transitions = _matched(connection, home, name, champion, earlier, old_ids, build)
    before = None if earlier is None else earlier.model_version
    meet_model(connection, name, record.model_version, transitions, build, before=before)


def _matched(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    earlier: Night,
    old_ids: list[str],
    build: Build,
) -> tuple[Transition, ...]:
    """Label tonight's customers by both models, and match their segments."""
    old, new = Table(name, "segments_by_old_model"), Table(name, "segments_by_new_model")
    spec = home.segmentations[name].clustering
    with connection.cursor() as reading:
        grouped = grouped_features(name, home.segmentations[name])
        assigned = assigned_customers(reading, name, spec, champion.model, features=grouped)
        write_batches(connection, new, _NEW_SCHEMA, _labels(assigned), build)
    before = load_version(connection, home, name, earlier.model_version)
    _label_by_old_model(connection, home, name, earlier, before, old_ids, old, build)
    counted = count_overlap(connection, old, new, old_ids=old_ids, segments=champion.record.k)
    for table in (old, new):
        drop_relation(connection, table)
    # A rule that people named is the same segment under the same name, even while it holds nobody.
    named = same_names(rule_names(before.model), rule_names(champion.model))
    return match_segments(counted, named=named)


def _label_by_old_model(
    connection: Connection,
    home: Home,
    name: str,
    earlier: Night,
    old: Champion,
    old_ids: list[str],
    table: Table,
    build: Build,
) -> None:
    """Write what the model before says of tonight's customers.

    Where its features can't be made any more, what it said last is the nearest to it.
    """
    engineered = grouped_features(name, home.segmentations[name])
    preparation = Preparation.from_json(old.preparation)
    try:
        check_features(preparation, name, column_types(connection, engineered))
    except PreparationError:
        said = segments_on_sql(name, earlier.as_of)
        if has_parts(home.segmentations[name]):
            said += f" AND customer_id IN (SELECT customer_id FROM {engineered.sql})"
        write_table(connection, table, said, build)
        return
    spec = home.segmentations[name].clustering
    query = feature_matrix_sql(preparation, engineered.sql)
    with connection.cursor() as reading:
        assigned = assigned_customers(
            reading, name, spec, old.model, features=engineered, query=query
        )
        write_batches(
            connection,
            table,
            _OLD_SCHEMA,
            _identified(assigned, [*old_ids, noise_id(name)]),
            build,
        )


def _labels(assigned: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in assigned:
        customers = batch.column("customer_id").cast(pa.string())
        yield pa.record_batch([customers, batch.column("raw_segment")], schema=_NEW_SCHEMA)


def _identified(assigned: Iterator[pa.RecordBatch], ids: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Put ids, the last of which is that of noise, in the place of labels."""
    for batch in _labels(assigned):
        named = named_labels(batch.column("raw_segment"), ids)
        yield pa.record_batch([batch.column("customer_id"), named], schema=_OLD_SCHEMA)
