"""A home with two playbooks, whose work tables are made by hand."""

import copy
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from segmentation_pipeline.measurement.assignments import (
    assign_strategies,
    make_strategy_assignments,
)
from segmentation_pipeline.measurement.audience import make_strategy_audience
from segmentation_pipeline.measurement.lists import make_strategy_lists
from segmentation_pipeline.measurement.strategy_effects import make_strategy_effects
from segmentation_pipeline.preparation import CUSTOMERS, LEFT_OUT_ROWS
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    open_warehouse,
    record_build,
    write_table,
)

CUSTOMERS_YAML: dict[str, Any] = {
    "name": "Clinic staff",
    "nights": {"first": dt.date(2025, 6, 1)},
    "sources": {
        "crm": {
            "kind": "crm",
            "path": "crm.csv",
            "key": "staff_id",
            "columns": {
                "staff_id": {"type": "text"},
                "may_contact": {"type": "boolean"},
                "papers": {"type": "integer"},
            },
        },
        "web": {
            "kind": "web",
            "path": "web.csv",
            "key": "staff_id",
            "time": "occurred_at",
            "columns": {"staff_id": {"type": "text"}, "occurred_at": {"type": "timestamp"}},
        },
    },
    "customers": {"base": "crm"},
    "kpis": {
        "visits": {
            "description": "Visits",
            "kind": "mean",
            "source": "web",
            "function": "count",
            "window_days": 10,
        }
    },
    "experiments": {"key": "clinic", "permission": "may_contact"},
    "limits": {"smallest_group": 1},
}
EXPOSURES: dict[str, Any] = {
    "kind": "exposures",
    "path": "sent.csv",
    "key": "staff_id",
    "time": "sent_at",
    "columns": {
        "staff_id": {"type": "text"},
        "sent_at": {"type": "timestamp"},
        "strategy": {"type": "text"},
        "status": {"type": "category", "categories": ["sent", "delivered", "bounced"]},
    },
}


def strategy(priority: int = 1, **experiment: Any) -> dict[str, Any]:
    """A strategy of a playbook, run as an experiment unless nothing is said of it."""
    found = {
        "when": [{"measure": "customers", "at_least": 1}],
        "message": "Come and see.",
        "channel": "email",
        "goal_kpi": "visits",
        "priority": priority,
    }
    return found | ({"experiment": experiment} if experiment else {})


def playbook(**strategies: dict[str, Any]) -> dict[str, Any]:
    """A segmentation's file."""
    return {
        "title": "Lens",
        "criteria": {"behaviour": "What they do."},
        "features": {"papers": {"criterion": "behaviour"}},
        "strategies": strategies,
    }


@dataclass
class Bench:
    """The home, its open warehouse, and nights made of hand-made tables."""

    folder: Path
    connection: Connection
    customers: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(CUSTOMERS_YAML))
    playbooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    papers: dict[str, int] = field(default_factory=dict)

    def home(self) -> Home:
        """Write the YAML files, and read them."""
        (self.folder / "segmentations").mkdir(parents=True, exist_ok=True)
        contents = {"customers.yaml": self.customers} | {
            f"segmentations/{name}.yaml": content for name, content in self.playbooks.items()
        }
        for path, content in contents.items():
            (self.folder / path).write_text(yaml.safe_dump(content, sort_keys=False))
        return load_home(self.folder)

    def exposures(self, *rows: tuple[str, str, str, str]) -> None:
        """Declare a source of exposures, and fill it: customer, strategy, status, date."""
        self.customers = self.customers | {
            "sources": self.customers["sources"] | {"sent": EXPOSURES}
        }
        names = ("customer_id", "strategy", "status", "sent_at")
        self._fill(Table("raw", "raw_sent"), names, rows, "sent_at::TIMESTAMP AS sent_at")

    def visits(self, *rows: tuple[str, str]) -> None:
        """Fill the web source: customer and date of each visit."""
        names = ("customer_id", "occurred_at")
        self._fill(Table("raw", "raw_web"), names, rows, "occurred_at::TIMESTAMP AS occurred_at")

    def _fill(
        self, table: Table, names: tuple[str, ...], rows: tuple[Any, ...], timed: str
    ) -> None:
        schema = pa.schema(dict.fromkeys(names, pa.string()))
        frame = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)
        self.connection.register("rows", frame)
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {table.sql} AS SELECT 1::BIGINT AS load_id,"
            f" row_number() OVER () AS source_row, customer_id AS staff_id, * REPLACE ({timed})"
            " FROM rows"
        )
        self.connection.unregister("rows")

    def night(
        self,
        date: str,
        segments: Mapping[str, Mapping[str, str]],
        *,
        ready: list[str] | None = None,
        without_permission: tuple[str, ...] = (),
        left: tuple[str, ...] = (),
    ) -> int:
        """Run a night; `segments` is customer -> segment number, of each segmentation.

        Every strategy applies to every segment `<segmentation>-1`.
        """
        build = Build(dt.date.fromisoformat(date), f"run-{date}")
        home = self.home()
        people = sorted({one for found in segments.values() for one in found} - {*left})
        self.connection.register(
            "people",
            pa.table(
                {
                    "customer_id": pa.array(people, pa.string()),
                    "may_contact": pa.array([one not in without_permission for one in people]),
                    "papers": pa.array([self.papers.get(one, 1) for one in people], pa.int64()),
                }
            ),
        )
        write_table(self.connection, CUSTOMERS, "FROM people", build)
        for name, found in segments.items():
            self._segmentation(home, name, found, build)
        drawn = assign_strategies(
            self.connection, home, ready or list(segments), self.environment, build
        )
        make_strategy_lists(self.connection, home, build)
        for name in segments:
            make_strategy_assignments(self.connection, home.customers, name, build)
            make_strategy_audience(self.connection, home, name, build)
        return drawn

    def _segmentation(self, home: Home, name: str, found: Mapping[str, str], build: Build) -> None:
        ids = list(found)
        numbers = [f"{name}-{found[one]}" for one in ids]
        self.connection.register(
            "members", pa.table({"customer_id": pa.array(ids, pa.string()), "segment_id": numbers})
        )
        write_table(
            self.connection,
            Table(name, "customer_segments"),
            "SELECT *, FALSE AS is_typed FROM members",
            build,
        )
        ordered = sorted(home.segmentations[name].strategies.items(), key=lambda o: o[1].priority)
        rows = ", ".join(
            f"('{name}-1', '{one}', {rank}, {declared.priority})"
            for rank, (one, declared) in enumerate(ordered, start=1)
        )
        write_table(
            self.connection,
            Table(name, "segment_strategies"),
            f"FROM (VALUES {rows}) AS t(segment_id, strategy, rank, priority)",
            build,
        )

    def effects(self, date: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Make the effects of a night that was run; strategy and segment -> the row."""
        build = Build(dt.date.fromisoformat(date), f"run-{date}")
        made = make_strategy_effects(self.connection, self.home(), build)
        return {
            (row["strategy"], row["segment_id"]): row
            for name in made
            for row in self.connection.sql(f"FROM {name}.strategy_effects")
            .to_arrow_table()
            .to_pylist()
        }

    def read(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        return self.connection.execute(query).fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A home with the playbook `lens`: one strategy, `write`, with half held out for ten days."""
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        connection.execute(
            f"CREATE TABLE {LEFT_OUT_ROWS.sql}"
            " (source VARCHAR, load_id BIGINT, source_row BIGINT, step VARCHAR)"
        )
        record_build(connection, LEFT_OUT_ROWS, Build(dt.date(2025, 6, 1), "run"))
        made = Bench(tmp_path / "home", connection)
        made.playbooks["lens"] = playbook(write=strategy(hold_out=0.5, days=10))
        made.visits()
        yield made


@pytest.fixture(name="strategy")
def strategy_fixture() -> Any:
    """How a strategy is written."""
    return strategy


@pytest.fixture(name="playbook")
def playbook_fixture() -> Any:
    """How a segmentation's file is written."""
    return playbook
