"""Champions by date, and that a killed run leaves nothing behind that matters."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering import registry
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.model_events import Wanted, read_events, settle
from segmentation_pipeline.clustering.registry import (
    Registration,
    champion,
    library_mismatch,
    load_champion,
    register_challenger,
    register_champion,
    version_record,
)
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.warehouse import Build, open_warehouse


def model_of(value):
    return SegmentModel(
        "k_means",
        "euclidean",
        ("x",),
        {"prototypes": np.array([[value], [9.0]])},
        {"segments": 2},
    )


def day(number):
    return dt.date(2025, 1, number)


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        yield connection


def promote(connection, tmp_path, value, as_of, segmentation="engagement"):
    return register_champion(
        connection,
        tmp_path / "models",
        model_of(value),
        Registration(
            segmentation=segmentation,
            specification_digest="s",
            preparation_digest="p",
            reason="first model",
        ),
        Build(as_of, f"run-{value}"),
    )


def test_a_champion_is_read_back_with_its_arrays(connection, tmp_path):
    assert champion(connection, "engagement", day(1)) is None
    record = promote(connection, tmp_path, 1.0, day(1))
    assert champion(connection, "engagement", day(1)) == record
    assert (record.model_version, record.k, record.status) == (1, 2, "champion")
    assert (record.run_id, record.algorithm, record.reason) == ("run-1.0", "k_means", "first model")
    assert record.folder(tmp_path / "models") == tmp_path / "models/engagement/1"
    loaded = load_champion(tmp_path / "models", record)
    assert loaded.arrays["prototypes"].tolist() == [[1], [9]]
    assert library_mismatch(record) is None


def test_a_reader_needs_no_right_to_write(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path):
        pass
    with open_warehouse(path, read_only=True) as connection:
        assert champion(connection, "engagement", day(1)) is None
    with open_warehouse(path) as connection:
        record = promote(connection, tmp_path, 1.0, day(1))
    with open_warehouse(path, read_only=True) as connection:
        assert champion(connection, "engagement", day(1)) == record


def test_a_date_has_the_champion_that_was_in_force_on_it(connection, tmp_path):
    promote(connection, tmp_path, 1.0, day(5))
    promote(connection, tmp_path, 2.0, day(10))

    def in_force(number):
        found = champion(connection, "engagement", day(number))
        return found and (found.model_version, found.status)

    assert in_force(4) is None
    assert in_force(9) == (1, "retired")
    assert in_force(10) == (2, "champion")
    assert in_force(20) == (2, "champion")
    # Promoted later for an earlier date: later dates keep theirs.
    promote(connection, tmp_path, 3.0, day(7))
    assert in_force(6) == (1, "retired")
    assert in_force(7) == in_force(9) == (3, "retired")
    assert in_force(20) == (2, "champion")
    # Promoted again for the same date: the later version counts.
    promote(connection, tmp_path, 4.0, day(10))
    assert in_force(20) == (4, "champion")


def test_segmentations_are_counted_apart(connection, tmp_path):
    promote(connection, tmp_path, 1.0, day(1))
    other = promote(connection, tmp_path, 2.0, day(1), "profession")
    assert other.model_version == 1
    assert champion(connection, "engagement", day(1)).status == "champion"
    assert champion(connection, "engagement", day(1)).run_id == "run-1.0"


def test_a_run_killed_between_files_and_record_changes_nothing(connection, tmp_path, monkeypatch):
    first = promote(connection, tmp_path, 1.0, day(1))

    def killed(connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry, "transaction", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(connection, tmp_path, 2.0, day(2))
    assert (tmp_path / "models/engagement/2").is_dir()
    assert champion(connection, "engagement", day(2)) == first
    second = promote(connection, tmp_path, 3.0, day(2))
    assert second.model_version == 2
    assert load_champion(tmp_path / "models", second).arrays["prototypes"][0, 0] == 3


def test_a_failed_record_leaves_the_champion_before_it(connection, tmp_path, monkeypatch):
    first = promote(connection, tmp_path, 1.0, day(1))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "MODEL_COLUMNS", "no_such_column")
        with pytest.raises(Exception, match="no_such_column"):
            promote(connection, tmp_path, 2.0, day(2))
    assert champion(connection, "engagement", day(2)) == first


def test_a_model_that_was_exchanged_is_refused(connection, tmp_path):
    one = promote(connection, tmp_path, 1.0, day(1))
    two = promote(connection, tmp_path, 2.0, day(2))
    models = tmp_path / "models"
    one.folder(models).rename(tmp_path / "kept")
    two.folder(models).rename(one.folder(models))
    with pytest.raises(ClusteringError, match=r"1/manifest.json is not the manifest"):
        load_champion(models, one)


def test_another_scikit_learn_is_said(connection, tmp_path):
    record = promote(connection, tmp_path, 1.0, day(1))
    older = registry.ModelRecord(**{**vars(record), "sklearn_version": "0.1"})
    assert "was fitted by scikit-learn 0.1" in library_mismatch(older)


EARLIER_RELEASE = """
CREATE TABLE core.models (
    segmentation VARCHAR NOT NULL, model_version INTEGER NOT NULL, as_of DATE NOT NULL,
    run_id VARCHAR NOT NULL, specification_digest VARCHAR NOT NULL,
    preparation_digest VARCHAR NOT NULL, model_digest VARCHAR NOT NULL, algorithm VARCHAR NOT NULL,
    k INTEGER NOT NULL, status VARCHAR NOT NULL CHECK (status IN ('champion', 'retired')),
    sklearn_version VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, model_version)
);
INSERT INTO core.models VALUES
    ('x', 1, DATE '2025-01-05', 'r1', 's', 'p', 'm1', 'k_means', 3, 'retired', '1.9', 'one'),
    ('x', 2, DATE '2025-01-10', 'r2', 's', 'p', 'm2', 'k_means', 4, 'champion', '1.9', 'two'),
    ('x', 3, DATE '2025-01-07', 'r3', 's', 'p', 'm3', 'k_means', 2, 'retired', '1.9', 'three'),
    ('y', 1, DATE '2025-01-02', 'r4', 't', 'q', 'm4', 'rules', 5, 'champion', '1.8', 'four')
"""


def test_the_registry_of_an_earlier_release_comes_along_with_all_it_knew(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path) as connection:
        connection.execute(EARLIER_RELEASE)
    with (
        open_warehouse(path, read_only=True) as connection,
        pytest.raises(ClusteringError, match="of an earlier release: run a night"),
    ):
        champion(connection, "x", day(9))
    with open_warehouse(path) as connection:
        create_registry(connection)
        create_registry(connection)  # once is enough
    with open_warehouse(path) as connection:
        in_force = [champion(connection, "x", day(number)) for number in (4, 5, 7, 9, 10, 20)]
        assert [found and found.model_version for found in in_force] == [None, 1, 3, 3, 2, 2]
        record = version_record(connection, "x", 1)
        assert (record.status, record.k, record.reason, record.run_id) == (
            "retired",
            3,
            "one",
            "r1",
        )
        assert (record.run_id, record.sklearn_version, record.model_digest) == ("r1", "1.9", "m1")
        assert version_record(connection, "y", 1).status == "champion"
        whys = [(event.who, event.reason) for event in read_events(connection, "x")]
        assert whys == [("system", "one"), ("system", "three"), ("system", "two")]
        # The old table would have refused this status.
        settle(connection, "x", [Wanted(3, "rejected", day(21), "no")], Build(day(21), "r"))
        assert version_record(connection, "x", 3).status == "rejected"


def challenge(connection, tmp_path, value, as_of, **options):
    return register_challenger(
        connection,
        tmp_path / "models",
        model_of(value),
        Registration(
            segmentation="engagement",
            specification_digest="s",
            preparation_digest="p",
            reason="chosen",
        ),
        Build(as_of, f"run-{value}"),
        **options,
    )


def test_a_challenger_is_registered_and_nothing_changes_for_anybody(connection, tmp_path):
    first = promote(connection, tmp_path, 1.0, day(1))

    second = challenge(connection, tmp_path, 2.0, day(3))

    assert (second.model_version, second.status) == (2, "withdrawn")
    assert champion(connection, "engagement", day(9)) == first
    settle(connection, "engagement", [Wanted(2, "challenger", day(3), "drift")],
           Build(day(3), "run"))  # fmt: skip
    assert version_record(connection, "engagement", 2).status == "challenger"
    assert champion(connection, "engagement", day(9)) == first


def test_a_date_run_again_that_fits_the_same_model_has_the_same_version(connection, tmp_path):
    promote(connection, tmp_path, 1.0, day(1))
    kept = []
    first = challenge(connection, tmp_path, 2.0, day(3), keep=kept.append)

    again = challenge(connection, tmp_path, 2.0, day(3), keep=kept.append)

    assert again == first
    assert [one.model_version for one in kept] == [2]
    assert not (tmp_path / "models/engagement/3").exists()
    # Another model of the date, and the same one of another date, are other versions.
    assert challenge(connection, tmp_path, 2.5, day(3)).model_version == 3
    assert challenge(connection, tmp_path, 2.0, day(4)).model_version == 4


def test_what_belongs_to_a_record_is_kept_with_it_or_not_at_all(connection, tmp_path):
    def fail(_):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        challenge(connection, tmp_path, 2.0, day(3), keep=fail)

    with pytest.raises(ClusteringError, match="has no model version 1"):
        version_record(connection, "engagement", 1)
