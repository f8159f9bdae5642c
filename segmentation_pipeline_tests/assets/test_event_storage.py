"""Dagster's SQLite files through a night."""

import sqlalchemy as sa

from segmentation_pipeline.assets.event_storage import without_waiting_for_the_disk


def test_a_commit_waits_for_no_disk_inside_the_block_only(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'events.db'}", poolclass=sa.NullPool)

    def synchronous() -> int:
        with engine.connect() as connection:
            return connection.execute(sa.text("PRAGMA synchronous")).scalar_one()

    with engine.connect() as connection:
        connection.execute(sa.text("PRAGMA journal_mode=WAL"))
    assert synchronous() == 2
    with without_waiting_for_the_disk():
        assert synchronous() == 1
    assert synchronous() == 2


def test_the_log_stays_between_connections_and_is_gone_after_the_block(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'events.db'}", poolclass=sa.NullPool)
    log = tmp_path / "events.db-wal"
    with engine.begin() as connection:
        connection.execute(sa.text("PRAGMA journal_mode=WAL"))
        connection.execute(sa.text("CREATE TABLE events (name TEXT)"))
    with without_waiting_for_the_disk():
        for name in ("start", "end"):
            with engine.begin() as connection:
                connection.execute(sa.text("INSERT INTO events VALUES (:name)"), {"name": name})
            assert log.exists()
    assert not log.exists()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT name FROM events")).scalars().all() == [
            "start",
            "end",
        ]
