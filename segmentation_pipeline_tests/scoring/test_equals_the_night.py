"""What is scored is what a night says of the same customers: all of them, in every form."""

import shutil

import duckdb
import pandas as pd
import pytest

import segmentation_pipeline
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.scoring import load_published_model, score_file, segments_view_sql
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import open_warehouse

both = pytest.mark.parametrize("segmentation", ["engagement", "profession"])


def of_the_night(home, segmentation, *columns):
    listed = ", ".join(columns)
    return sorted(
        read_published(
            home.published,
            f"SELECT customer_id, {listed} FROM customer_segments"
            f" WHERE segmentation = '{segmentation}'",
        )
    )


def scored(path, *columns):
    return sorted(duckdb.sql(f"SELECT customer_id, {', '.join(columns)} FROM '{path}'").fetchall())


@both
@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_customers_of_a_file_get_their_raw_segment(example, export, tmp_path, segmentation, ending):
    path, output = export(segmentation, tmp_path / f"in.{ending}"), tmp_path / "out.parquet"

    done = score_file(load_published_model(example, segmentation), path, output)

    expected = of_the_night(
        example, segmentation, "raw_segment_id", "runner_up_segment_id", "is_borderline",
        "is_outlier", "least(margin, 1)",
    )  # fmt: skip
    assert done.customers == done.taking_part == len(expected) > 290
    assert (
        scored(
            output,
            "segment_id",
            "runner_up_segment_id",
            "is_borderline",
            "is_outlier",
            "confidence",
        )
        == expected
    )


@both
def test_features_alone_will_do(example, export, tmp_path, segmentation):
    path, output = export(segmentation, tmp_path / "in.csv", features_only=True), tmp_path / "o.csv"

    score_file(load_published_model(example, segmentation), path, output)

    assert scored(output, "segment_id") == of_the_night(example, segmentation, "raw_segment_id")


@both
def test_the_python_call_keeps_rows_and_index(example, export, tmp_path, segmentation):
    frame = pd.read_parquet(export(segmentation, tmp_path / "in.parquet"))
    frame.index = [f"row {number}" for number in range(len(frame))]

    found = segmentation_pipeline.score(example.path, segmentation, frame)

    assert list(found.index) == list(frame.index)
    assert list(found["customer_id"]) == list(frame["customer_id"])
    pairs = sorted(zip(found["customer_id"], found["segment_id"], strict=True))
    assert pairs == of_the_night(example, segmentation, "raw_segment_id")


@both
def test_the_sql_view_in_plain_duckdb(example, segmentation):
    query = segments_view_sql(load_published_model(example, segmentation))
    with open_warehouse(example.warehouse, read_only=True) as warehouse:
        features = warehouse.sql(f"FROM {segmentation}.engineered_features").to_arrow_table()

    with duckdb.connect() as plain:
        plain.register("features_of_tonight", features)
        plain.execute("CREATE TABLE engineered_features AS FROM features_of_tonight")
        plain.execute(query)
        view = f"segments_of_{segmentation}"
        found = plain.execute(f"SELECT customer_id, raw_segment_id FROM {view}").fetchall()
        called = plain.execute(f"SELECT DISTINCT raw_segment_id, segment FROM {view}").fetchall()

    assert sorted(found) == of_the_night(example, segmentation, "raw_segment_id")
    labels = read_published(
        example.published,
        f"SELECT segment_id, label FROM segments WHERE segmentation = '{segmentation}'",
    )
    assert sorted(called) == sorted(labels)


def test_beside_a_running_night(example, export, tmp_path):
    path, output = export("profession", tmp_path / "in.parquet"), tmp_path / "out.parquet"
    home = load_home(shutil.copytree(example.path, tmp_path / "home", symlinks=True))

    with hold_lock(home.lock, "a night", timeout_seconds=0), open_warehouse(home.warehouse):
        score_file(load_published_model(home, "profession"), path, output)

    assert len(scored(output, "segment_id")) > 290


def test_words_tell_values_that_are_published(example, export, tmp_path):
    path, output = export("profession", tmp_path / "in.parquet"), tmp_path / "out.parquet"
    score_file(load_published_model(example, "profession"), path, output)
    rows = duckdb.sql(
        f"SELECT s.segment_id, s.runner_up_segment_id, s.words_1, c.publications FROM '{output}' s"
        f" JOIN '{path}' c USING (customer_id) WHERE feature_1 = 'publications'"
    ).fetchall()
    query = (
        "SELECT segment_id, mean FROM segment_profiles"
        " WHERE segmentation = 'profession' AND feature = 'publications'"
    )
    means = dict(read_published(example.published, query))

    assert len(rows) > 20
    for own, other, words, publications in rows:
        assert words == (
            f"Scientific papers: {publications} papers ({means[own]:.3g} on average in the segment,"
            f" {means[other]:.3g} in the runner-up)"
        )
