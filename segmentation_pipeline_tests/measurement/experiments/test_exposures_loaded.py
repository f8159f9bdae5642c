"""Exposures come from files like every source: cleaned, without copies, none of the future."""

import datetime as dt

from segmentation_pipeline.ingestion import load_source, snapshot_in_force
from segmentation_pipeline.measurement.assignments import (
    assign_strategies,
    make_strategy_assignments,
)
from segmentation_pipeline.measurement.lists import make_strategy_lists
from segmentation_pipeline.preparation import make_customers
from segmentation_pipeline.warehouse import Build, Table, write_table

CRM = "staff_id,may_contact,papers\n" + "".join(f"c{number},true,1\n" for number in range(20))
WEB = "staff_id,occurred_at\nc1,2025-06-09 10:00:00\n"
HEADER = "staff_id,sent_at,strategy,status\n"
SENT = (
    "c1,2025-06-11 09:00:00,write,Sent\n"
    "c1,2025-06-11 09:00:00,write,Sent\n"
    "c1,2025-06-11 09:05:00,write,returned\n"
    "c2,2025-06-12 09:00:00,write,sent\n"
    "c2,2025-06-13 09:00:00,write,sent\n"
    "c3,2025-06-11 09:00:00,write,unheard of\n"
    "stranger,2025-06-11 09:00:00,write,sent\n"
)


def night(bench, date):
    build = Build(dt.date.fromisoformat(date), f"run-{date}")
    home = bench.home()
    for name, source in home.customers.sources.items():
        load_source(bench.connection, home.path, name, source, build)
    crm = snapshot_in_force(
        bench.connection, "crm", home.customers.sources["crm"], build.as_of, approximate=True
    )
    make_customers(bench.connection, home.customers, {"crm": crm}, build)
    write_table(
        bench.connection,
        Table("lens", "customer_segments"),
        "SELECT customer_id, 'lens-1' AS segment_id, FALSE AS is_typed FROM core.customers",
        build,
    )
    write_table(
        bench.connection,
        Table("lens", "segment_strategies"),
        "FROM (VALUES ('lens-1', 'write', 1, 1)) AS t(segment_id, strategy, rank, priority)",
        build,
    )
    drawn = assign_strategies(bench.connection, home, ["lens"], {}, build)
    make_strategy_lists(bench.connection, home, build)
    make_strategy_assignments(bench.connection, home.customers, "lens", build)
    return drawn


def counts(bench):
    return bench.read(
        "SELECT customer_id, sent_count, delivered_count, bounced_count"
        " FROM lens.strategy_assignments WHERE customer_id IN ('c1', 'c2', 'c3') ORDER BY ALL"
    )


def test_from_no_file_to_what_was_sent(bench):
    bench.exposures()
    source = bench.customers["sources"]["sent"]
    status = source["columns"]["status"] | {
        "aliases": {"bounced": ["returned"]},
        "maximum_rejected_share": 0.5,
    }
    bench.customers["sources"] |= {
        "sent": source
        | {
            "minimum_rows": 0,
            "maximum_orphan_share": 0.5,
            "columns": source["columns"] | {"status": status},
        }
    }
    bench.customers["experiments"] |= {
        "frequency_caps": [{"maximum_contacts": 2, "days": 7}],
    }
    bench.home()
    bench.connection.execute("DROP TABLE raw.raw_web; DROP TABLE raw.raw_sent")
    (bench.folder / "crm.csv").write_text(CRM)
    (bench.folder / "web.csv").write_text(WEB)

    assert night(bench, "2025-06-10") == 20
    assert counts(bench) == [("c1", 0, 0, 0), ("c2", 0, 0, 0), ("c3", 0, 0, 0)]

    (bench.folder / "sent.csv").write_text(HEADER + SENT)
    assert night(bench, "2025-06-12") == 0
    # A copy counts once, a word that means bounced as such, what is dated tomorrow not yet.
    assert counts(bench) == [("c1", 1, 0, 1), ("c2", 1, 0, 0), ("c3", 0, 0, 0)]

    night(bench, "2025-06-13")
    assert counts(bench)[1] == ("c2", 2, 0, 0)
    assert ("c2",) not in bench.read("SELECT customer_id FROM core.strategy_lists")
