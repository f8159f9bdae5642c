"""Champions by date, and that a killed run leaves nothing behind that matters."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering import registry
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.registry import (
    champion,
    library_mismatch,
    load_champion,
    register_champion,
)
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.warehouse import Build, open_warehouse


def model_of(value):
    return SegmentModel(
        "k_means",
        "euclidean",
        ("x",),
        {"centroids": np.array([[value], [9.0]])},
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
        Build(as_of, f"run-{value}"),
        segmentation=segmentation,
        specification_digest="s",
        preparation_digest="p",
        reason="first model",
    )


def test_a_champion_is_read_back_with_its_arrays(connection, tmp_path):
    assert champion(connection, "engagement", day(1)) is None
    record = promote(connection, tmp_path, 1.0, day(1))
    assert champion(connection, "engagement", day(1)) == record
    assert (record.model_version, record.k, record.status) == (1, 2, "champion")
    assert (record.run_id, record.algorithm, record.reason) == ("run-1.0", "k_means", "first model")
    assert record.folder(tmp_path / "models") == tmp_path / "models/engagement/1"
    loaded = load_champion(tmp_path / "models", record)
    assert loaded.arrays["centroids"].tolist() == [[1], [9]]
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
    assert load_champion(tmp_path / "models", second).arrays["centroids"][0, 0] == 3


def test_a_failed_record_leaves_the_champion_before_it(connection, tmp_path, monkeypatch):
    first = promote(connection, tmp_path, 1.0, day(1))
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_COLUMNS", registry._COLUMNS.replace("reason", "no_such_column"))
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
