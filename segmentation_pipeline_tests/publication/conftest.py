"""A home whose work tables are made by hand: six customers, two segmentations, known rows."""

import datetime as dt
import importlib.util
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from segmentation_pipeline.contracts import CONTRACTS, Contract
from segmentation_pipeline.publication import (
    Publication,
    ReadySegmentation,
    publish,
    read_published,
    work_tables,
)
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    open_warehouse,
    record_build,
    transaction,
)

CUSTOMERS_YAML = """\
name: Clinic staff
nights: {first: 2025-06-01}
publication: {keep_versions: 3}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      full_name: {type: text, personal: true}
      publications: {type: integer}
customers: {base: crm}
"""
SEGMENTATION_YAML = """\
title: Lens
criteria: {behaviour: "How they use the web; \\"often\\" counts."}
features:
  publications: {criterion: behaviour}
"""
CLEANING_SQL = """
SELECT 'crm' AS source, NULL::VARCHAR AS column_name, 'duplicates' AS step,
    'exact copies removed' AS description, 2::BIGINT AS rows, 0.25::DOUBLE AS share
"""
SOURCE_LOADS_SQL = """
SELECT 1::BIGINT AS load_id, 'crm' AS source, 'crm' AS kind, 'crm.csv' AS file, {digest} AS digest,
    'dd' AS specification_digest, 10::BIGINT AS bytes, 8::BIGINT AS rows,
    0::BIGINT AS rejected_rows, 0::BIGINT AS rejected_values, 0.1::DOUBLE AS seconds,
    DATE '2025-06-01' AS as_of, 'load-run' AS run_id, DATE '2025-06-01' AS snapshot_date
"""


@dataclass(frozen=True)
class Workbench:
    """A home and the hand-made nights in its warehouse."""

    home: Home
    assigned: Mapping[str, tuple[int, ...]]
    """Segment number of c1 ... c6 in each segmentation."""

    def of(self, *segmentations: str) -> "Workbench":
        """Look at the home as if only these segmentations were ready."""
        return replace(self, assigned={name: self.assigned[name] for name in segmentations})

    def moved(self, segmentation: str, *numbers: int) -> "Workbench":
        """Put the customers of a segmentation into other segments."""
        return replace(self, assigned={**self.assigned, segmentation: numbers})

    def without(self, segmentation: str) -> "Workbench":
        """Delete the file of a segmentation."""
        (self.home.path / "segmentations" / f"{segmentation}.yaml").unlink()
        rest = [name for name in self.assigned if name != segmentation]
        return replace(self.of(*rest), home=load_home(self.home.path))

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """Open the warehouse."""
        with open_warehouse(self.home.warehouse, threads=2) as connection:
            yield connection

    def make_night(
        self, connection: Connection, build: Build, *, file_digest: str = "aa"
    ) -> list[Table]:
        """Fill the work tables of a night; returns the tables that passed their checks."""
        queries = {
            Table("core", "customers"): "SELECT unnest(range(6)) AS number",
            Table("core", "cleaning_report"): CLEANING_SQL,
            Table("raw", "raw_crm"): "SELECT 1::BIGINT AS load_id",
            Table("core", "source_loads"): SOURCE_LOADS_SQL.format(digest=literal(file_digest)),
        }
        for segmentation in self.assigned:
            for name, query in self.work_queries(segmentation).items():
                queries[Table(segmentation, name)] = query
        with transaction(connection):
            for table, query in queries.items():
                self.write(connection, table, query, build)
        validated = [table for table in queries if table.name not in ("raw_crm", "source_loads")]
        self.validate(connection, build, *validated)
        return validated

    def write(self, connection: Connection, table: Table, query: str, build: Build) -> None:
        """Replace a work table, with its build record."""
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
        connection.execute(f"CREATE OR REPLACE TABLE {table.sql} AS {query}")
        record_build(connection, table, build, 6)

    def validate(
        self,
        connection: Connection,
        build: Build,
        *tables: Table,
        success: bool = True,
        severity: str = "error",
    ) -> None:
        """Note the result of each table's one expectation, in place of the date's earlier one."""
        columns = CONTRACTS["validation_results"].columns
        declared = ", ".join(f"{column.name} {column.type}" for column in columns)
        names = ", ".join(literal(str(table)) for table in tables)
        made = f"{literal(build.as_of)}, {literal(build.run_id)}"
        connection.execute(
            f"""
            CREATE TABLE IF NOT EXISTS core.validation_results ({declared});
            DELETE FROM core.validation_results
            WHERE as_of = {literal(build.as_of)} AND table_name IN ({names});
            INSERT INTO core.validation_results
            SELECT {made}, unnest([{names}]), 'table__row_count', 'row_count_between', NULL,
                '{severity}', {success}, 6, 0, 0, '6 rows', 'held'
            """
        )

    def publish(
        self,
        build: Build,
        *,
        file_digest: str = "aa",
        model_version: int = 1,
        decisions: str | None = None,
    ) -> Publication:
        """Make a night's work tables and publish them."""
        with self.open() as connection:
            validated = self.make_night(connection, build, file_digest=file_digest)
            ready = self.ready(model_version, decisions)
            return publish(connection, self.home, build, ready, validated)

    def publish_after(self, build: Build, *statements: str) -> Publication:
        """Publish a night whose work tables were tampered with after they were checked."""
        with self.open() as connection:
            validated = self.make_night(connection, build)
            for statement in statements:
                connection.execute(statement)
            return publish(connection, self.home, build, self.ready(), validated)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Ask what readers see."""
        return read_published(self.home.published, query)

    def ready(
        self, model_version: int = 1, decisions: str | None = None
    ) -> dict[str, ReadySegmentation]:
        """Name the model behind each segmentation."""
        model = ReadySegmentation(
            model_version=model_version,
            model_digest=f"model {model_version}",
            preparation_digest="preparation",
            algorithm="k_means",
            silhouette=0.5,
            decisions_digest=decisions,
        )
        return dict.fromkeys(self.assigned, model)

    def work_queries(self, segmentation: str) -> dict[str, str]:
        """Write the work tables of a segmentation, in no order, as parallel steps leave them."""
        numbers = self.assigned[segmentation]
        total, segments = len(numbers), sorted(set(numbers), reverse=True)
        assignment = ", ".join(
            f"('c{i}', {number})" for i, number in reversed([*enumerate(numbers, 1)])
        )
        sizes = ", ".join(f"({number}, {numbers.count(number)})" for number in segments)
        of_segments = f"FROM (VALUES {sizes}) AS t(number, size)"
        identity = f"'{segmentation}-' || number AS segment_id"
        queries = {
            "customer_segments": f"""
                SELECT customer_id, {identity}, segment_id AS raw_segment_id,
                    '{segmentation}-' || (number % {len(segments)} + 1) AS runner_up_segment_id,
                    number::DOUBLE AS distance, 0.5::DOUBLE AS margin, FALSE AS is_borderline,
                    FALSE AS is_outlier, FALSE AS is_typed
                FROM (VALUES {assignment}) AS t(customer_id, number)
                """,
            "segments": f"""
                SELECT {identity}, 'segment ' || number AS label, size::BIGINT AS customers,
                    size / {total} AS share, FALSE AS is_noise, 'weak' AS verdict
                {of_segments}
                """,
            "segment_profiles": f"""
                SELECT {identity}, 'publications' AS feature, 'Papers' AS description,
                    'papers' AS unit, 'behaviour' AS criterion, 'clustering' AS use,
                    size::BIGINT AS customers, 0::DOUBLE AS missing_share, 1::DOUBLE AS mean,
                    1::DOUBLE AS standard_deviation, 1::DOUBLE AS median,
                    0::DOUBLE AS lower_quartile, 2::DOUBLE AS upper_quartile,
                    1::DOUBLE AS overall_mean, 1::DOUBLE AS overall_standard_deviation,
                    0::DOUBLE AS standardised_difference, 1 AS rank, FALSE AS is_suppressed
                {of_segments}
                """,
            "segment_category_shares": f"""
                SELECT {identity}, 'role' AS feature, 'Nurse' AS category,
                    NULL::VARCHAR AS criterion, 'profile' AS use, size::BIGINT AS customers,
                    1::DOUBLE AS share, 1::DOUBLE AS overall_share, 1::DOUBLE AS lift,
                    FALSE AS is_suppressed
                {of_segments}
                """,
            "segment_traits": f"""
                SELECT {identity}, 1 AS rank, 'number' AS kind, 'publications' AS feature,
                    'clustering' AS use, 1::DOUBLE AS value, 1::DOUBLE AS overall_value,
                    0::DOUBLE AS effect, 1::DOUBLE AS top_five_share, 'Papers: 1' AS sentence
                {of_segments}
                """,
            "segment_personas": f"""
                SELECT {identity}, 'segment ' || number AS name, 'They publish.' AS headline,
                    FALSE AS is_name_outdated
                {of_segments}
                """,
            "segment_rules": f"""
                SELECT {identity}, 'publications >= 1 papers' AS rule, 1::DOUBLE AS fidelity,
                    1 AS leaves, 6::BIGINT AS sampled_customers, FALSE AS is_approximate
                {of_segments}
                """,
            "segment_strategies": f"""
                SELECT {identity}, 'write' AS strategy, 1 AS rank, 1 AS priority,
                    'Papers: 1' AS evidence
                {of_segments}
                """,
            "sensitive_shares": f"""
                SELECT 'segment' AS group_kind, '{segmentation}-' || number AS group_name,
                    'gender' AS column_name, 'female' AS category, FALSE AS is_suppressed
                {of_segments}
                """,
            "model_candidates": f"""
                SELECT 'k_means' AS algorithm, 'segments={len(segments)}' AS parameters,
                    'euclidean' AS metric, {len(segments)} AS segments,
                    0.5::DOUBLE AS silhouette, 0.01::DOUBLE AS silhouette_standard_error,
                    1::DOUBLE AS davies_bouldin, 1::DOUBLE AS calinski_harabasz,
                    1::DOUBLE AS inertia, 0.3::DOUBLE AS smallest_share, TRUE AS is_admissible,
                    TRUE AS is_chosen, 'chosen' AS reason, 1::DOUBLE AS seconds
                """,
            "structure_verdict": f"""
                SELECT 'weak' AS verdict, 'There are signs.' AS sentence,
                    {len(segments)} AS segments, 6::BIGINT AS examined_customers,
                    DATE '2025-06-01' AS examined_date, 7 AS candidates, TRUE AS is_separated,
                    0.001::DOUBLE AS border_p, 0.5::DOUBLE AS border_depth,
                    1::DOUBLE AS null_z, 0.2::DOUBLE AS null_p,
                    0.9::DOUBLE AS lowest_jaccard, '[0.9, 0.95]' AS jaccards,
                    'bootstrap' AS stability_scheme, NULL::VARCHAR AS one_split_rule,
                    NULL::DOUBLE AS one_split_fidelity, NULL::DOUBLE AS one_split_recall
                """,
            "feature_importance": """
                SELECT 'publications' AS feature, 'behaviour' AS criterion, 'clustering' AS use,
                    0.5::DOUBLE AS importance, 1 AS rank
                """,
            "preprocessing_effect": f"""
                SELECT 'as declared' AS variant, {len(segments)} AS segments,
                    6::BIGINT AS sampled_customers, DATE '2025-06-01' AS examined_date,
                    0.3::DOUBLE AS smallest_share, 1::DOUBLE AS agreement,
                    'publications' AS leading_feature, 1::DOUBLE AS leading_share
                """,
            "segment_registry": f"""
                SELECT {identity}, 'segment ' || number AS label, FALSE AS is_named,
                    DATE '2025-06-01' AS born_date, 1 AS born_model_version
                {of_segments}
                """,
            "segment_transitions": f"""
                SELECT 'born' AS kind, NULL::VARCHAR AS from_segment_id,
                    '{segmentation}-' || number AS to_segment_id
                {of_segments}
                """,
            "segment_history": f"""
                SELECT customer_id, {identity}, DATE '2025-06-01' AS valid_from,
                    'entered' AS reason
                FROM (VALUES {assignment}) AS t(customer_id, number)
                """,
            "segment_movements": f"""
                SELECT customer_id, '{segmentation}-' || number AS to_segment_id,
                    'entered' AS reason
                FROM (VALUES {assignment}) AS t(customer_id, number)
                """,
            "segment_migration": f"""
                SELECT '{segmentation}-' || number AS to_segment_id, 'entered' AS reason,
                    size::BIGINT AS customers, FALSE AS is_suppressed
                {of_segments}
                """,
            "segment_nights": f"""
                SELECT {total}::BIGINT AS customers, {total}::BIGINT AS entered_count,
                    0::BIGINT AS left_count, 0::BIGINT AS moved_count, 0::BIGINT AS model_count,
                    0::BIGINT AS erased_count, 0::BIGINT AS held_count
                """,
            "feature_selection": """
                SELECT 'publications' AS feature, 'publications' AS column_name, TRUE AS is_kept,
                    NULL::VARCHAR AS reason, 0::DOUBLE AS missing_share,
                    6::BIGINT AS distinct_values, NULL::DOUBLE AS unseen_share
                """,
        }
        empty = [t.name for t in work_tables(segmentation) if t.name not in queries]
        made = {
            name: _completed(name, query) for name, query in queries.items() if name in CONTRACTS
        }
        return made | {name: _without_rows(name) for name in empty}


def _completed(name: str, query: str) -> str:
    """Give a hand-made table the columns that it may lack by its contract, without values."""
    columns = CONTRACTS[name].work_columns
    lacking = [
        f"NULL::{column.type} AS {column.name}"
        for column in columns
        if column.is_nullable and f" AS {column.name}" not in query
    ]
    names = ", ".join(column.name for column in columns)
    return f"SELECT {names} FROM (SELECT {', '.join(['*', *lacking])} FROM ({query}))"


def _without_rows(name: str) -> str:
    """A table that may have no row: its columns alone."""
    columns = [f"NULL::{column.type} AS {column.name}" for column in CONTRACTS[name].work_columns]
    return f"SELECT {', '.join(columns)} WHERE FALSE"


ASSIGNED = {"engagement": (1, 1, 1, 1, 2, 2), "profession": (1, 2, 3, 1, 2, 3)}


def write_home(folder: Path, *segmentations: str) -> Home:
    """Write a home with these segmentations, and read it."""
    (folder / "segmentations").mkdir(parents=True)
    (folder / "customers.yaml").write_text(CUSTOMERS_YAML, encoding="utf-8")
    for name in segmentations:
        file = folder / "segmentations" / f"{name}.yaml"
        file.write_text(SEGMENTATION_YAML, encoding="utf-8")
    return load_home(folder)


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    """A home with two segmentations, in which nothing has been published yet."""
    return Workbench(write_home(tmp_path / "home", *ASSIGNED), ASSIGNED)


@pytest.fixture
def night() -> Callable[..., Build]:
    """Name the night of a day in June 2025."""
    return lambda day, run=None: Build(dt.date(2025, 6, day), run or f"run-{day}")


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Find a home whose first night is published, made once for all tables and for few; to copy."""

    @cache
    def made(tables: frozenset[str]) -> Path:
        folder = tmp_path_factory.mktemp("first") / "home"
        first = Workbench(write_home(folder, *ASSIGNED), ASSIGNED)
        first.publish(Build(dt.date(2025, 6, 1), "run-1"))
        return folder

    return lambda: made(frozenset(CONTRACTS))


@pytest.fixture
def after_first_night(workbench: Workbench, first_night: Callable[[], Path]) -> None:
    """The first night of `workbench` has been published."""
    shutil.copytree(first_night(), workbench.home.path, symlinks=True, dirs_exist_ok=True)


@pytest.fixture
def few_tables() -> Iterator[Mapping[str, Contract]]:
    """Publish half of the tables, one of each kind: for tests that publish again and again."""
    path = Path(__file__).with_name("dying_publisher.py")
    found = importlib.util.spec_from_file_location(path.stem, path)
    dying_publisher = importlib.util.module_from_spec(found)
    found.loader.exec_module(dying_publisher)
    with dying_publisher.only_few_tables():
        yield dying_publisher.FEW_TABLES
