"""The web visitors that an erased customer was are personal, too: they go, and stay away."""

import datetime as dt

import pytest

from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.publication import erase_customers, verify
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build

LOGINS = SourceSpec.model_validate(
    {
        "kind": "identity",
        "path": "logins.csv",
        "key": "id",
        "visitors": {"key": "visitor"},
        "columns": {"id": {"type": "text"}, "visitor": {"type": "text"}},
    }
)
WEB = SourceSpec.model_validate(
    {
        "kind": "web",
        "path": "web.csv",
        "key": "visitor",
        "identity": "logins",
        "time": "visited_on",
        "columns": {"visitor": {"type": "text"}, "visited_on": {"type": "date"}},
    }
)
OWN, SHARED, OTHER, NEW = "visitor-own", "visitor-shared", "visitor-other", "visitor-new"


def load(workbench, logins, visitors):
    """Load a map of (customer, visitor), and an event of each visitor, as a night does."""
    home = workbench.home
    rows = "".join(f"{customer},{visitor}\n" for customer, visitor in logins)
    (home.path / "logins.csv").write_text(f"id,visitor\n{rows}")
    events = "".join(f"{visitor},2025-06-01\n" for visitor in visitors)
    (home.path / "web.csv").write_text(f"visitor,visited_on\n{events}")
    build = Build(dt.date(2025, 6, 3), "night-3")
    with workbench.open() as connection:
        return [
            load_source(connection, home.path, name, source, build)
            for name, source in (("logins", LOGINS), ("web", WEB))
        ]


def visitors_in(workbench, table):
    with workbench.open() as connection:
        found = connection.execute(f"SELECT visitor_key FROM raw.raw_{table} ORDER BY ALL")
        return [visitor for (visitor,) in found.fetchall()]


def erase(workbench, customer_id):
    return erase_customers(
        workbench.home,
        [customer_id],
        salt="salt",
        requested_on=dt.date(2025, 7, 1),
        on_step=lambda _: None,
    )


@pytest.fixture
def mapped(workbench, night):
    workbench.publish(night(1))
    logins = [("c3", OWN), ("c3", SHARED), ("c4", SHARED), ("c4", OTHER)]
    load(workbench, logins, [OWN, SHARED, OTHER, "c3", NEW])
    return workbench


def files_with(workbench, text):
    return sorted(
        path.name
        for path in workbench.home.path.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    )


def test_rows_of_the_map_and_events_go_to_the_last_byte(mapped):
    assert "warehouse.duckdb" in files_with(mapped, OWN)

    done = erase(mapped, "c3")

    assert visitors_in(mapped, "logins") == [OTHER]
    # A visitor who happens to be called as the customer is somebody else.
    assert visitors_in(mapped, "web") == ["c3", NEW, OTHER]
    assert done.elsewhere == ("logins.csv", "web.csv")
    for visitor in (OWN, SHARED):
        assert files_with(mapped, visitor) == ["logins.csv", "web.csv"]
    assert verify(mapped.home.published) == []


def test_they_do_not_come_back_with_the_files(mapped):
    erase(mapped, "c3")

    again = [("c3", OWN), ("c3", SHARED), ("c4", SHARED), ("c4", OTHER), ("c5", OWN)]
    logins, web = load(mapped, again, [OWN, SHARED, OTHER, OTHER])

    assert (logins.rows, logins.rejected_rows) == (1, 0)
    assert (web.rows, web.rejected_rows) == (2, 0)
    assert visitors_in(mapped, "logins") == [OTHER]
    assert visitors_in(mapped, "web") == [OTHER, OTHER]


def test_a_visitor_whom_a_later_log_in_names_goes_with_the_events_loaded_before(mapped):
    erase(mapped, "c3")
    assert NEW in visitors_in(mapped, "web")

    load(mapped, [("c3", NEW), ("c4", OTHER)], [NEW, OTHER, "c3"])

    assert visitors_in(mapped, "logins") == [OTHER]
    assert visitors_in(mapped, "web") == ["c3", OTHER]
