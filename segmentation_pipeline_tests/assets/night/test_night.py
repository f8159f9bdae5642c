"""The whole job in a temporary folder: what readers find after good nights and bad ones."""

import datetime as dt
import random
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.definitions import build_definitions
from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.publication import current_version, read_published, verify

LAST = dt.date(2025, 6, 30)
EARLY = LAST - dt.timedelta(days=4)


def night(home, as_of=LAST, **options):
    return run_night(home, as_of, progress=lambda *_: None, **options)


def published(home, query):
    return read_published(home / "published", query)


def bytes_of(home):
    folder = (home / "published" / "current").resolve()
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def replace_in(file, written, instead):
    text = file.read_text(encoding="utf-8")
    assert written in text
    file.write_text(text.replace(written, instead), encoding="utf-8")


def test_planted_segments_come_out(first_night):
    planted = pq.read_table(first_night / "planted_segments.parquet").to_pandas()
    planted = planted[planted["as_of"] == LAST].set_index(["segmentation", "customer_id"])
    found = published(
        first_night, "SELECT segmentation, customer_id, segment_id FROM customer_segments"
    )

    assert len(found) == len(planted)
    for segmentation, expected_segments in (("engagement", 4), ("profession", 3)):
        pairs = [
            (row[2], planted.loc[row[:2], "segment"]) for row in found if row[0] == segmentation
        ]
        segments, truth = zip(*pairs, strict=True)
        assert len(set(segments)) == expected_segments
        assert adjusted_rand_score(truth, segments) >= 0.85


def test_every_segment_carries_the_verdict_on_its_segmentation(first_night):
    verdicts = published(first_night, "FROM structure_verdict SELECT segmentation, verdict")
    carried = published(first_night, "SELECT DISTINCT segmentation, verdict FROM segments")

    assert sorted(carried) == sorted(verdicts)
    assert dict(verdicts) == {"engagement": "supported", "profession": "supported"}


def test_what_is_published_verifies_and_adds_up(first_night):
    assert verify(first_night / "published") == []
    (sizes,) = published(
        first_night,
        "SELECT bool_and(s.customers = c.n) FROM segments s JOIN (SELECT segmentation, segment_id,"
        " count(*) AS n FROM customer_segments GROUP BY ALL) c USING (segmentation, segment_id)",
    )
    assert sizes == (True,)


def test_nothing_personal_is_published_logged_or_kept_by_dagster(first_night):
    marker = published(first_night, "SELECT 1")  # the file opens
    assert marker == [(1,)]
    csv = (first_night / "sources" / "crm" / "crm_2025-06-30.csv").read_text(encoding="utf-8")
    mails = {word.encode() for word in csv.replace("\n", ",").split(",") if "@" in word}
    assert len(mails) > 290

    places = ("published", "dagster", "models", "reports", "logs")
    found = {
        place: [path for path in (first_night / place).rglob("*") if path.is_file()]
        for place in places
    }
    assert all(found.values())
    files = [path for paths in found.values() for path in paths]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(mail in content for mail in mails), path


def test_a_second_run_of_the_same_night_is_no_news_and_changes_no_byte(home, command):
    before, version = bytes_of(home), current_version(home / "published")

    done = command("run", "--home", str(home))

    assert done.returncode == 0, done.stderr
    assert "a night without news" in done.stdout
    assert current_version(home / "published") == version
    assert bytes_of(home) == before
    # It says what is published, and where.
    assert "engagement-1" in done.stdout
    assert "engagement: supported. The data support 4 segments." in done.stdout
    assert str(Path("published") / "segments.duckdb") in done.stdout.replace("\n", "")


def labels(home):
    query = "SELECT segmentation, customer_id, raw_segment_id, distance FROM customer_segments"
    return {row[:2]: row[2:] for row in published(home, query)}


def test_labels_depend_on_neither_row_order_nor_threads(first_night, unrun):
    generator = random.Random(5)
    for file in sorted((unrun / "sources").rglob("*.csv")):
        header, *rows = file.read_text(encoding="utf-8").splitlines(keepends=True)
        generator.shuffle(rows)
        file.write_text("".join([header, *rows]), encoding="utf-8")
    replace_in(
        unrun / "customers.yaml", "customers:\n  base", "limits: {threads: 1}\ncustomers:\n  base"
    )

    assert night(unrun).success

    assert labels(unrun) == labels(first_night)
    verdicts = "SELECT * EXCLUDE run_id FROM structure_verdict ORDER BY ALL"
    assert published(unrun, verdicts) == published(first_night, verdicts)


def test_a_changed_description_keeps_the_model_and_a_changed_feature_does_not(home):
    folder = home / "segmentations"
    replace_in(folder / "profession.yaml", "description: Age\n", "description: Years of age\n")
    replace_in(
        folder / "engagement.yaml",
        "window_days: 90}\n    transform: log1p",
        "window_days: 60}\n    transform: log1p",
    )

    assert night(home).success

    query = "SELECT segmentation, model_version FROM segmentation_runs ORDER BY ALL"
    assert published(home, query) == [("engagement", 2), ("profession", 1)]
    described = "SELECT DISTINCT description FROM segment_profiles WHERE feature = 'age'"
    assert ("Years of age",) in published(home, described)
    # What continues keeps the id that readers know, though another model found it.
    transitions = published(
        home,
        "SELECT kind, from_segment_id, to_segment_id, jaccard >= 0.5 FROM segment_transitions"
        " WHERE segmentation = 'engagement' ORDER BY to_segment_id",
    )
    assert transitions == [
        ("kept", f"engagement-{number}", f"engagement-{number}", True) for number in range(1, 5)
    ]
    registry = "SELECT born_model_version, retired_date FROM segment_registry"
    assert set(published(home, f"{registry} WHERE segmentation = 'engagement'")) == {(1, None)}


def test_a_blocking_check_leaves_the_old_version_and_publishing_alone_is_refused(home):
    before = bytes_of(home)
    file = home / "sources" / "crm" / "crm_2025-06-30.csv"
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    column = header.split(",").index("publications")
    spoilt = []
    for row in rows:
        cells = row.split(",")
        cells[column] = "-5"
        spoilt.append(",".join(cells))
    file.write_text("\n".join([header, *spoilt]) + "\n", encoding="utf-8")

    result = night(home)

    assert not result.success
    assert result.is_news is None
    assert any("raw_crm: publications__between" in failure for failure in result.failures)
    assert bytes_of(home) == before
    alone = materialise(build_definitions(home), "published")
    assert "raw.raw_crm failed publications__between" in alone
    assert bytes_of(home) == before


def materialise(definitions, asset):
    """Launch one asset alone, as from the UI; returns what it said when it failed."""
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            asset_selection=[dg.AssetKey([asset])],
            partition_key=LAST.isoformat(),
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return " ".join((error.cause or error).message for error in errors)


def test_every_asset_materialises_alone(home):
    definitions = build_definitions(home)
    keys = definitions.get_repository_def().asset_graph.get_all_asset_keys()
    shared = [key.path[0] for key in keys if len(key.path) == 1]

    assert len(shared) == 10
    for asset in shared:
        # A step that makes several tables makes them together.
        if asset not in ("customers", "cleaning_report", "strategy_lists"):
            assert materialise(definitions, asset) == ""


def test_one_failed_segmentation_keeps_its_rows_and_the_other_is_published(early_home):
    before = published(
        early_home, "FROM customer_segments WHERE segmentation = 'engagement' ORDER BY ALL"
    )
    replace_in(
        early_home / "segmentations" / "engagement.yaml",
        "expression: mails_opened / mails_sent",
        "expression: CASE WHEN mails_sent < 0 THEN 0.0 ELSE error('no rate today') END",
    )

    result = night(early_home)

    assert not result.success
    assert result.is_news
    assert any(failure.startswith("engagement/engineered_features") for failure in result.failures)
    stale = published(
        early_home, "SELECT DISTINCT segmentation, as_of, is_stale FROM segments ORDER BY ALL"
    )
    assert stale == [("engagement", EARLY, True), ("profession", LAST, False)]
    after = published(
        early_home, "FROM customer_segments WHERE segmentation = 'engagement' ORDER BY ALL"
    )
    assert after == before
    assert verify(early_home / "published") == []


def test_one_segmentation_can_be_refreshed_alone(early_home):
    assert night(early_home, segmentation="profession").success

    dates = published(early_home, "SELECT DISTINCT segmentation, as_of FROM segments ORDER BY ALL")
    assert dates == [("engagement", EARLY), ("profession", LAST)]


@pytest.mark.parametrize(
    ("as_of", "segmentation", "message"),
    [(dt.date(2024, 12, 31), None, "is no night of this home"),
     (dt.date(2999, 1, 1), None, "is no night of this home"),
     (LAST, "loyalty", "no segmentation `loyalty`")],
)  # fmt: skip
def test_what_cannot_be_run_is_said_before_anything_is_written(unrun, as_of, segmentation, message):
    with pytest.raises(SpecificationError, match=message):
        night(unrun, as_of, segmentation=segmentation)

    assert not (unrun / "warehouse.duckdb").exists()
    assert not (unrun / "published").exists()


def test_distances_are_numbers_for_everybody(first_night):
    distances = np.array(
        published(first_night, "SELECT distance FROM customer_segments"), dtype=float
    )

    assert np.isfinite(distances).all()
    assert (distances >= 0).all()
