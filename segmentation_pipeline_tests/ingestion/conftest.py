import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from segmentation_pipeline.ingestion import LoadSummary, load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, Connection, open_warehouse


@dataclass
class Workshop:
    """A home with one source, `people`, and a warehouse to load it into."""

    home: Path
    connection: Connection

    def write(self, content: str | bytes, name: str = "people.csv") -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, source: SourceSpec, day: int = 1) -> LoadSummary:
        build = Build(dt.date(2025, 1, day), f"run-{day}")
        return load_source(self.connection, self.home, "people", source, build)

    def query(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()

    def rows(self, columns: str = "source_row, customer_id") -> list[tuple]:
        return self.query(f"SELECT {columns} FROM raw.raw_people ORDER BY load_id, source_row")

    def rejects(self) -> list[tuple]:
        """(line, column, reason) of everything that could not be read."""
        return self.query(
            "SELECT line, column_name, reason FROM core.rejected_rows"
            " ORDER BY load_id, line, column_name, reason"
        )


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    home = tmp_path / "home"
    home.mkdir()
    with open_warehouse(home / "warehouse.duckdb", memory_limit="500MB", threads=2) as connection:
        yield Workshop(home, connection)


@pytest.fixture
def make_source() -> Callable[..., SourceSpec]:
    """A CRM source of people with an id, an age and a name; any part can be replaced."""

    def make(**parts: object) -> SourceSpec:
        declared: dict[str, object] = {
            "kind": "crm",
            "path": "people.csv",
            "key": "id",
            "columns": {
                "id": {"type": "text"},
                "age": {"type": "integer"},
                "name": {"type": "text"},
            },
        }
        return SourceSpec.model_validate(declared | parts)

    return make
