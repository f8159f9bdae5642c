"""Which columns an input may have, what each is read as, and how features follow from them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.errors import PipelineError, SourceError
from segmentation_pipeline.features.aggregates import ZERO_WITHOUT_ROWS
from segmentation_pipeline.features.dependencies import columns_read, features_read
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.specification.columns import SQL_TYPES, ColumnSpec, ColumnType
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.home import feature_column
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.typing_features import sources_read
from segmentation_pipeline.warehouse import quote

KEY = "customer_id"

_COLUMN_TYPES: Mapping[str, ColumnType] = {
    "DOUBLE": "number",
    "VARCHAR": "category",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
}


@dataclass(frozen=True)
class InputColumns:
    """What an input has, in the words of the specification.

    `key` is the input's column with the customer's id. `columns` are those that the segmentation
    reads: columns of `customers`, and features by their name. `ignored` counts the others.
    """

    key: str | None
    columns: Mapping[str, ColumnSpec]
    ignored: int

    @property
    def given(self) -> set[str]:
        """What there is once answers are parted: columns of `customers`, and features."""
        return {part for name, column in self.columns.items() for part in column.as_columns(name)}


def needed_features(found: PublishedModel) -> dict[str, FeatureSpec]:
    """Choose the features that the model was fitted with, and those that they are made of."""
    features = found.spec.features
    wanted = [row.feature for row in found.preparation.selection]
    if found.model.algorithm == "rules":
        wanted += found.model.feature_names
    if found.typing is not None:
        wanted += [row.feature for row in found.typing.preparation.selection]
    chosen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in chosen:
            chosen.add(name)
            wanted += features_read(name, features[name], found.spec)
    return {name: feature for name, feature in features.items() if name in chosen}


def known_columns(found: PublishedModel, types: Mapping[str, str]) -> dict[str, ColumnSpec]:
    """Declare every column that an input may have besides the key.

    They are the columns of `customers` and, by their name, the features (`types` are DuckDB's),
    wherever a column does not have that name.
    """
    customers = found.customers
    known = {
        name: _as_in_customers(customers, name, column)
        for name, column in customers.customer_columns().items()
    }
    known |= {f"has_{source}": ColumnSpec(type="boolean") for source in customers.sources}
    known |= {
        name: ColumnSpec(type=_COLUMN_TYPES[kind])
        for name, kind in types.items()
        if name not in known and kind in _COLUMN_TYPES
    }
    return known


def readable_columns(found: PublishedModel, types: Mapping[str, str]) -> dict[str, ColumnSpec]:
    """Declare the same, and answers as customers give them, which become columns of `customers`."""
    answers = found.customers.answers()
    return known_columns(found, types) | {
        name: _as_in_customers(found.customers, name, declared[0])
        for name, declared in answers.items()
    }


def columns_of_interest(found: PublishedModel) -> set[str]:
    """Name all that the features can be made of: columns, features, and what conditions read."""
    features = needed_features(found)
    read = _columns_of(found.spec.model_copy(update={"features": features})) | {*features}
    for condition in (found.spec.where, found.spec.eligible):
        read |= {*referenced_columns(condition)} if condition is not None else set()
    if found.spec.typing is not None:
        asked = {*found.spec.typing.sources}
        read |= {f"has_{source}" for source in asked}
        # Any of them tells that the customer has the source, whatever features read.
        of_columns = found.customers.columns_by_source()
        read |= {name for name, sources in of_columns.items() if {*sources} <= asked}
    return read - {"as_of"}


def match_input(
    input_name: str, names: Sequence[str], found: PublishedModel, types: Mapping[str, str]
) -> InputColumns:
    """Find what the columns of an input are; `types` are of the features that are needed.

    Raises SourceError naming each column that is unknown, with the nearest name that is not, and
    where the input has nothing that the segmentation's features are made of.
    """
    known = readable_columns(found, types)
    keys = [name for name in names if name in key_names(found.customers)]
    if len(keys) > 1:
        raise SourceError(f"{input_name}: {' and '.join(keys)} are both the key: leave one out")
    accepted = {*known, *found.spec.features, *keys}
    unknown = [name for name in dict.fromkeys(names) if name not in accepted]
    if unknown:
        hints = [f"`{name}` ({nearest(name, {*known, KEY})})" for name in unknown]
        raise SourceError(
            f"{input_name}: no column of `customers` and no feature of {found.name}: "
            f"{'; '.join(hints)}. Rename it, or leave it out"
        )
    wanted = columns_of_interest(found)
    columns = {
        name: known[name]
        for name in names
        if name in known and (name in wanted or not wanted.isdisjoint(known[name].as_columns(name)))
    }
    _refuse_twice(input_name, columns)
    if not columns:
        raise SourceError(
            f"{input_name}: it has no column that {found.name} is made of; they are: "
            f"{', '.join(sorted(wanted))}"
        )
    ignored = len(set(names)) - len(columns) - len(keys)
    return InputColumns(keys[0] if keys else None, columns, ignored)


def _refuse_twice(input_name: str, columns: Mapping[str, ColumnSpec]) -> None:
    """Refuse an answer beside a column that it becomes: which of them counts is for a person."""
    for name, column in columns.items():
        both = sorted({*column.as_columns(name)} & {*columns} - {name})
        if both:
            raise SourceError(
                f"{input_name}: `{both[0]}` is made of `{name}`: leave one of them out"
            )


def scoring_spec(found: PublishedModel, given: Collection[str]) -> SegmentationSpec:
    """Take features that are given, and aggregates that are not, from a column of their name.

    Nobody counted the events of a customer who is in no source: an aggregate that is not given is
    missing, and not 0. Conditions that read what is not given leave nobody out.
    """
    own_columns = {*found.customers.customer_columns()}
    features = {
        name: feature.model_copy(update={"aggregate": None, "expression": None, "column": name})
        if name not in own_columns and (name in given or feature.aggregate is not None)
        else feature
        for name, feature in needed_features(found).items()
    }
    unchecked = unchecked_conditions(found, given)
    return found.spec.model_copy(update={"features": features, **dict.fromkeys(unchecked, None)})


def unchecked_conditions(found: PublishedModel, given: Collection[str]) -> list[str]:
    """Name the settings (`where`, `eligible`) that cannot be looked at, for want of a column."""
    conditions = {"where": found.spec.where, "eligible": found.spec.eligible}
    return [
        setting
        for setting, condition in conditions.items()
        if condition is not None and not {*referenced_columns(condition)} <= {*given, "as_of"}
    ]


def missing_columns(spec: SegmentationSpec, given: Collection[str]) -> str:
    """Name what the features of `scoring_spec` read and the input lacks, for a message."""
    return ", ".join(sorted(_columns_of(spec) - {*given}))


def customers_sql(
    found: PublishedModel, types: Mapping[str, str], values: Mapping[str, str], relation: str
) -> str:
    """Write the SELECT of the table `customers` of an input; what has no value there is NULL.

    `values` are expressions over `relation`, which has `customer_id`; `types` are of features.
    Where nothing says whether customers have a source that typing asks for, those have it who have
    a value of it.
    """
    values = {**_has_sources(found, values), **values}
    selected = [
        f"CAST({values.get(name, 'NULL')} AS {SQL_TYPES[column.type]}) AS {quote(name)}"
        for name, column in known_columns(found, types).items()
    ]
    return f"SELECT customer_id, {', '.join(selected)} FROM {relation}"


def _has_sources(found: PublishedModel, values: Mapping[str, str]) -> dict[str, str]:
    """Write for each source that typing asks for whether any value that is of it alone is there.

    Whoever has no events of a source has a count of 0 of them.
    """
    asked = found.spec.typing.sources if found.spec.typing is not None else []
    return {
        f"has_{source}": " OR ".join(
            f"coalesce(CAST({value} AS DOUBLE), 0) <> 0"
            if _is_zero_without_rows(found.spec, name)
            else f"({value}) IS NOT NULL"
            for name, value in values.items()
            if _sources_of(found, name) == {source}
        )
        or "false"
        for source in asked
    }


def _is_zero_without_rows(spec: SegmentationSpec, name: str) -> bool:
    feature = spec.features.get(name)
    aggregate = None if feature is None else feature.aggregate
    return aggregate is not None and aggregate.function in ZERO_WITHOUT_ROWS


def _sources_of(found: PublishedModel, name: str) -> frozenset[str]:
    """Name the sources of what an input may have: a column of `customers`, or a feature."""
    of_columns = found.customers.columns_by_source()
    if name in of_columns:
        return frozenset(of_columns[name])
    known = name in found.spec.features
    return sources_read(name, found.spec, found.customers) if known else frozenset()


def no_events_sql(customers: CustomersSpec) -> dict[str, str]:
    """Write for each source the SELECT of its events' columns, without a row."""
    return {
        name: "SELECT CAST(NULL AS VARCHAR) AS customer_id, "
        + ", ".join(
            f"CAST(NULL AS {SQL_TYPES[column.type]}) AS {quote(column_name)}"
            for column_name, column in source.clean_columns.items()
        )
        + " WHERE false"
        for name, source in customers.sources.items()
    }


def refuse_ids(found: PublishedModel) -> None:
    """Refuse a segmentation that looks at ids: a customer never seen has none that means it."""
    read = [found.spec.where, found.spec.eligible]
    read += [feature.expression for feature in needed_features(found).values()]
    if any(KEY in referenced_columns(text) for text in read if text is not None):
        raise PipelineError(
            f"{found.name} reads `{KEY}` in an expression: customers that are in no source cannot "
            "be scored by it"
        )


def _columns_of(spec: SegmentationSpec) -> set[str]:
    columns: set[str] = set()
    for name, feature in spec.features.items():
        column = feature_column(name, feature)
        columns |= {column} if column is not None else {*columns_read(name, feature, spec)}
    return columns


def key_names(customers: CustomersSpec) -> set[str]:
    """Name the columns that an input may have the customer's id in."""
    base_key = customers.sources[customers.customers.base].key
    return {KEY, base_key} if isinstance(base_key, str) else {KEY}


def _as_in_customers(customers: CustomersSpec, name: str, column: ColumnSpec) -> ColumnSpec:
    """Declare a column as its source does, but for its place in that source's files."""
    of_columns = customers.columns_by_source()
    part = next(iter(column.as_columns(name)))
    source = customers.sources[of_columns[part][0]]
    nowhere = {"header": None, "position": None, "start": None, "width": None}
    words = [*source.null_words, *column.null_words]
    return column.model_copy(update={**nowhere, "null_words": words})
