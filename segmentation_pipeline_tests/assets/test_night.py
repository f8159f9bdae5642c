"""The whole job in a temporary folder: what readers find after good nights and bad ones."""

import datetime as dt
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.demo import make_demo
from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import current_version, read_published, verify
from segmentation_pipeline.scoring import load_published_model
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import open_warehouse

LAST = dt.date(2025, 6, 30)
OLDER = LAST - dt.timedelta(days=2)
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


@pytest.fixture(scope="module")
def fresh(made_once):
    """Sources and specification of 400 customers, five nights; never run."""
    return made_once("fresh", lambda home: make_demo(home, 400, 5, 11))


@pytest.fixture(scope="module")
def after_a_night(made_once, fresh):
    """Make the copy of a home after one more night; it is only read."""

    def _after_a_night(name, before, as_of):
        def make(home):
            shutil.copytree(before, home, symlinks=True)
            result = night(home, as_of)
            assert result.success, result.failures
            assert result.is_news or before is not fresh

        return made_once(name, make)

    return _after_a_night


@pytest.fixture(scope="module")
def first_night(fresh, after_a_night):
    """The same, with one night published; copied before it is changed."""
    return after_a_night("first_night", fresh, LAST)


@pytest.fixture(scope="module")
def older_night(first_night, after_a_night):
    """An older night after the first one."""
    return after_a_night("older_night", first_night, OLDER)


@pytest.fixture(scope="module")
def newest_again(older_night, after_a_night):
    """And the newest night again."""
    return after_a_night("newest_again", older_night, LAST)


@pytest.fixture(scope="module")
def early_night(fresh, after_a_night):
    """One night, the earliest of which there are sources."""
    return after_a_night("early_night", fresh, EARLY)


@pytest.fixture
def early_home(early_night, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(early_night, copy, symlinks=True)
    return copy


@pytest.fixture
def home(first_night, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(first_night, copy, symlinks=True)
    return copy


@pytest.fixture
def unrun(fresh, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(fresh, copy)
    return copy


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
    assert len(mails) > 300

    places = [first_night / "published", first_night / "dagster", first_night / "models"]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(mail in content for mail in mails), path


def test_a_second_run_of_the_same_night_is_no_news_and_changes_no_byte(home):
    before, version = bytes_of(home), current_version(home / "published")

    result = night(home)

    assert result.success
    assert result.is_news is False
    assert current_version(home / "published") == version
    assert bytes_of(home) == before


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


@pytest.fixture(scope="module")
def two_nights(early_night, after_a_night):
    """Two nights, four days apart: the home, and what the first one had published."""
    before = {
        table: published(early_night, f"SELECT {columns} FROM {table}")
        for table, columns in (
            ("segments", "segment_id, label"),
            ("customer_segments", "segmentation, customer_id, segment_id"),
        )
    }
    return after_a_night("two_nights", early_night, LAST), before


def test_a_later_night_keeps_the_model_and_its_ids(two_nights):
    home, before = two_nights

    found = published(home, "SELECT segment_id, label FROM segments")
    assert sorted(found) == sorted(before["segments"])
    runs = published(
        home, "SELECT as_of, segmentation, model_version FROM segmentation_runs ORDER BY ALL"
    )
    assert runs == [
        (EARLY, "engagement", 1),
        (EARLY, "profession", 1),
        (LAST, "engagement", 1),
        (LAST, "profession", 1),
    ]


def test_a_segment_is_another_than_the_raw_one_where_the_hold_rule_says_so_alone(two_nights):
    home, before = two_nights
    last_night = {row[:2]: row[2] for row in before["customer_segments"]}
    rows = published(
        home, "SELECT segmentation, customer_id, segment_id, raw_segment_id FROM customer_segments"
    )
    places, centres = {}, {}
    for name in ("engagement", "profession"):
        found = load_published_model(load_home(home), name)
        centres |= dict(zip(found.segment_ids, found.model.arrays["prototypes"], strict=True))
        columns = ", ".join(f'"{column}"' for column in found.model.feature_names)
        with open_warehouse(home / "warehouse.duckdb", read_only=True) as connection:
            matrix = connection.execute(
                f"SELECT customer_id, {columns} FROM {name}.feature_matrix"
            ).fetchall()
        places |= {(name, customer): np.array(point) for customer, *point in matrix}

    others = 0
    for name, customer, segment, raw in rows:
        old = last_night.get((name, customer))
        if old in (None, raw):
            assert segment == raw
            continue
        from_old, from_raw = (
            places[name, customer] - centres[old],
            places[name, customer] - centres[raw],
        )
        between = centres[old] - centres[raw]
        t = (from_old @ from_old - from_raw @ from_raw) / (between @ between)
        assert segment == (raw if t >= 0.2 else old)
        others += 1

    assert len(rows) > 700
    assert others >= 1


def test_an_older_night_changes_dated_rows_only(first_night, older_night):
    rows = "FROM customer_segments ORDER BY ALL"

    assert published(older_night, rows) == published(first_night, rows)
    dates = published(older_night, "SELECT DISTINCT as_of FROM segmentation_runs ORDER BY as_of")
    assert dates == [(OLDER,), (LAST,)]
    assert verify(older_night / "published") == []


def test_the_older_night_does_not_take_the_newest_ones_model_away(newest_again):
    models = published(
        newest_again, f"SELECT DISTINCT model_version FROM segmentation_runs WHERE as_of = '{LAST}'"
    )
    assert models == [(1,)]


def test_a_verdict_is_made_once_and_stays_with_its_model(first_night, older_night, newest_again):
    shown = "SELECT examined_date FROM engagement.structure_verdict"
    with open_warehouse(older_night / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute(shown).fetchall() == [(OLDER,)]

    with open_warehouse(newest_again / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute(shown).fetchall() == [(LAST,)]
        kept = "SELECT segmentation, model_version, examined_date FROM core.structure_verdicts"
        assert connection.execute(f"{kept} ORDER BY ALL").fetchall() == [
            (name, version, date)
            for name in ("engagement", "profession")
            for version, date in ((1, LAST), (2, OLDER))
        ]
    # What was decided about models has changed since, so that the night is published anew.
    verdicts = "SELECT * EXCLUDE run_id FROM structure_verdict ORDER BY ALL"
    assert published(newest_again, verdicts) == published(first_night, verdicts)


def test_a_changed_description_keeps_the_model_and_a_changed_feature_does_not(home):
    file = home / "segmentations" / "engagement.yaml"
    replace_in(file, "description: Our events attended", "description: Events of ours")
    assert night(home).success
    query = "SELECT segmentation, model_version FROM segmentation_runs ORDER BY ALL"
    assert published(home, query) == [("engagement", 1), ("profession", 1)]

    replace_in(
        file, "window_days: 90}\n    transform: log1p", "window_days: 60}\n    transform: log1p"
    )
    assert night(home).success

    assert published(home, query) == [("engagement", 2), ("profession", 1)]
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
    alone = materialise(home, "published")
    assert "raw.raw_crm failed publications__between" in alone
    assert bytes_of(home) == before


def materialise(home, asset):
    """Launch one asset alone, as from the UI; returns what it said when it failed."""
    import dagster as dg

    from segmentation_pipeline.definitions import build_definitions

    job = build_definitions(home).resolve_implicit_global_asset_job_def()
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
    from segmentation_pipeline.definitions import build_definitions

    keys = build_definitions(home).get_repository_def().asset_graph.get_all_asset_keys()
    shared = [key.path[0] for key in keys if len(key.path) == 1]

    assert len(shared) == 10
    for asset in shared:
        # A step that makes several tables makes them together.
        if asset not in ("customers", "cleaning_report", "strategy_lists"):
            assert materialise(home, asset) == ""


def test_one_failed_segmentation_keeps_its_rows_and_the_other_is_published(early_home):
    before = published(
        early_home, "FROM customer_segments WHERE segmentation = 'engagement' ORDER BY ALL"
    )
    replace_in(
        early_home / "segmentations" / "engagement.yaml",
        "expression: mails_opened / mails_sent",
        "expression: error('no rate today')",
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


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_line_refuses_a_locked_home_and_says_who_holds_it(home):
    with hold_lock(home / "warehouse.lock", "another-night", timeout_seconds=0):
        done = command("run", "--home", str(home), "--as-of", LAST.isoformat())

    assert done.returncode == 1
    assert "held by run another-night" in " ".join(done.stderr.split())


def test_the_command_line_says_what_it_published_and_where(home):
    done = command("run", "--home", str(home))

    assert done.returncode == 0, done.stderr
    assert "engagement-1" in done.stdout
    assert "engagement: supported. The data support 4 segments." in done.stdout
    assert "a night without news" in done.stdout
    assert str(Path("published") / "segments.duckdb") in done.stdout.replace("\n", "")


def test_wrong_usage_has_status_2():
    assert command("run", "--home", "/nowhere").returncode == 2
    assert command("fly").returncode == 2


def test_the_command_line_verifies_what_is_published_and_finds_what_was_altered(home):
    whole = command("verify", "--home", home)
    assert whole.returncode == 0, whole.stderr
    assert "is whole" in whole.stdout

    file = (home / "published" / "segments.duckdb").resolve()
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    altered = command("verify", "--home", home)
    assert altered.returncode == 1
    assert "segments.duckdb is not the file that was published" in altered.stdout


def test_rollback_puts_the_version_before_back(home):
    first = current_version(home / "published").version
    replace_in(home / "segmentations" / "profession.yaml", "seed: 7", "seed: 8")
    assert night(home).is_news
    assert current_version(home / "published").version != first

    assert command("rollback", "--home", str(home)).returncode == 0

    assert current_version(home / "published").version == first


def test_distances_are_numbers_for_everybody(first_night):
    distances = np.array(
        published(first_night, "SELECT distance FROM customer_segments"), dtype=float
    )

    assert np.isfinite(distances).all()
    assert (distances >= 0).all()
