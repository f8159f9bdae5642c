import datetime as dt
import hashlib
import json

import pandas as pd
import pytest

from segmentation_pipeline.demo import make_demo, mess, planted
from segmentation_pipeline.demo.summary import SUMMARY_NAME
from segmentation_pipeline.demo.template import in_format
from segmentation_pipeline.errors import PipelineError

NULLS = ["", *mess.NULL_WORDS]
LAST = pd.Timestamp(planted.LAST_NIGHT)


def digests(home):
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def read_csv(path):
    """Everything as text, null words as missing: without any code of the generator."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=NULLS)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The committed example's arguments."""
    home = tmp_path_factory.mktemp("small")
    return home, make_demo(home, customers=300, days=7, seed=7, file_format="csv")


@pytest.fixture(scope="module")
def middle(tmp_path_factory):
    """Large enough for shares to be near what was declared."""
    home = tmp_path_factory.mktemp("middle")
    return home, make_demo(home, customers=20_000, days=3, seed=11, file_format="csv")


@pytest.fixture(scope="module")
def events(middle):
    home, _ = middle
    files = (home / "sources/web").iterdir()
    tables = [read_csv(path).assign(file=path.stem) for path in files]
    return pd.concat(tables, ignore_index=True)


def test_same_arguments_give_the_same_bytes_on_any_threads(small, tmp_path):
    home, _ = small
    assert len(digests(home)) >= 2 + 1 + 7 + 7
    make_demo(tmp_path / "one", 300, 7, 7, "csv", threads=1)
    assert digests(tmp_path / "one") == digests(home)


def test_parquet_files_are_the_same_bytes_on_any_threads(tmp_path):
    # More rows than one row group holds (122,880), so that threads could disagree on the groups.
    for threads in (1, 2):
        make_demo(tmp_path / str(threads), 15_000, 2, 3, "parquet", threads=threads)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_another_seed_is_another_home(small, tmp_path):
    home, _ = small
    make_demo(tmp_path / "other", 300, 7, 8, "csv")
    ours, other = digests(home), digests(tmp_path / "other")
    same = {path for path in ours if ours[path] == other.get(path)}
    assert not {path for path in same if not path.endswith(".yaml")}


def test_parquet_says_the_same_as_csv(small, tmp_path):
    home, _ = small
    make_demo(tmp_path / "parquet", 300, 7, 7, "parquet")
    for path in sorted((home / "sources").rglob("*.csv")):
        name = path.relative_to(home).with_suffix(".parquet")
        typed = pd.read_parquet(tmp_path / "parquet" / name)
        text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        assert list(typed.columns) == list(text.columns)
        for column in typed:
            if pd.api.types.is_string_dtype(typed[column]):
                assert typed[column].fillna("").tolist() == text[column].fillna("").tolist()
            else:
                parsed = text[column].astype(typed[column].dtype)
                pd.testing.assert_series_equal(typed[column], parsed)


def test_small_home_is_small_enough_to_be_committed(small):
    home, _ = small
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 1_000_000


def test_every_night_has_its_files_and_its_dates(small):
    home, made = small
    nights = [
        (planted.LAST_NIGHT - dt.timedelta(days=back)).isoformat() for back in range(6, -1, -1)
    ]
    assert (made.first_night, made.last_night) == (nights[0], nights[-1])
    assert sorted(path.name for path in (home / "sources/crm").iterdir()) == [
        f"crm_{night}.csv" for night in nights
    ]
    for night in nights:
        happened = pd.to_datetime(read_csv(home / f"sources/web/web_{night}.csv").occurred_at)
        first = night if night != nights[0] else "2025-02-24"
        assert happened.min().date().isoformat() == first
        assert happened.max().date().isoformat() == night
        assert happened.is_monotonic_increasing
    answered = pd.to_datetime(read_csv(home / "sources/survey.csv").answered_at)
    assert answered.max() < LAST + pd.Timedelta(days=1)
    assert answered.is_monotonic_increasing


def test_survey_mess_is_what_the_summary_counts_and_mess_declares(middle):
    home, made = middle
    answers = read_csv(home / "sources/survey.csv")
    customers = set(pd.read_parquet(home / "planted_segments.parquet").customer_id)
    counts = made.mess["survey"]
    assert counts["rows"] == len(answers)
    assert counts["duplicate_rows"] == answers.duplicated().sum()
    assert counts["orphan_rows"] == (~answers.staff_id.isin(customers)).sum()
    after = pd.to_datetime(answers.answered_at) >= pd.Timestamp(made.first_night) + pd.Timedelta(
        days=1
    )
    assert counts["rows_after_first_night"] == after.sum()
    answered = set(answers.staff_id) & customers
    assert counts["customers_who_answered"] == len(answered)
    assert 1 - len(answered) / len(customers) == pytest.approx(mess.SILENT_SHARE, abs=0.005)
    distinct = answers.drop_duplicates()
    repeated = (distinct.groupby("staff_id").size() > 1).sum() / len(answered)
    moved = 2 * 2 * planted.MOVE_SHARE  # two nights, two segmentations
    assert repeated == pytest.approx(mess.REPEATED_SHARE + moved, abs=0.012)
    first = pd.to_datetime(distinct.groupby("staff_id").answered_at.min())
    late = (first >= pd.Timestamp(made.first_night) + pd.Timedelta(days=1)).mean()
    assert late == pytest.approx(mess.LATE_SHARE + 2 * mess.JOIN_SHARE, abs=0.006)
    assert counts["duplicate_rows"] / len(answers) == pytest.approx(0.01, abs=0.003)
    for column in mess.BLANKED["survey"]:
        blank = answers[column].isna().sum()
        assert counts[f"blank_{column}"] == blank
        assert blank / len(answers) == pytest.approx(mess.BLANK_SHARE, abs=0.006)


def test_crm_mess_is_what_the_summary_counts_and_mess_declares(middle):
    home, made = middle
    staff = read_csv(home / f"sources/crm/crm_{made.last_night}.csv")
    counts = made.mess["crm"]
    assert counts["rows"] == len(staff)
    assert counts["duplicate_rows"] == staff.duplicated().sum()
    assert staff.drop_duplicates().staff_id.is_unique
    assert counts["duplicate_rows"] / len(staff) == pytest.approx(0.01, abs=0.003)
    birth = pd.to_datetime(staff.birth_date)
    impossible = (birth > LAST) | (birth < "1920-01-01")
    assert counts["impossible_births"] == impossible.sum()
    assert impossible.mean() == pytest.approx(0.95 * mess.IMPOSSIBLE_BIRTH_SHARE, abs=0.002)
    possible = birth[~impossible].dropna()
    assert possible.max() <= LAST - pd.Timedelta(days=365 * 20)
    for column in mess.BLANKED["crm"]:
        blank = staff[column].isna().sum()
        assert counts[f"blank_{column}"] == blank
        assert blank / len(staff) == pytest.approx(mess.BLANK_SHARE, abs=0.006)
    raw = pd.read_csv(
        home / f"sources/crm/crm_{made.last_night}.csv", dtype=str, keep_default_na=False
    )
    assert {"", "n/a", "-"} <= set(raw.publications)


def test_categories_are_spelled_in_all_declared_ways_and_no_other(middle):
    home, made = middle
    answers = read_csv(home / "sources/survey.csv")
    staff = read_csv(home / f"sources/crm/crm_{made.last_night}.csv")
    for table, column in (
        (answers, "education"),
        (answers, "role"),
        (staff, "department"),
        (staff, "gender"),
    ):
        written = table[column].dropna()
        declared = {
            word for name, others in mess.SPELLINGS[column].items() for word in (name, *others)
        }
        assert set(written.str.strip()) == declared
        assert (written != written.str.strip()).mean() == pytest.approx(
            mess.PADDED_SHARE, abs=0.003
        )
        canonical = written.str.strip().isin(list(mess.SPELLINGS[column])).mean()
        assert canonical == pytest.approx(mess.CANONICAL_SHARE, abs=0.02)
    assert {"NursePractitioner", "ChiefofSurgery"} <= set(answers.role)
    assert set(answers.collaboration_attitude.dropna()) == set(
        planted.COLLABORATION_ATTITUDE.values
    )
    assert answers.engagement_driver.nunique() == len(mess.ENGAGEMENT_DRIVERS)


def test_web_events_are_about_ten_a_customer_and_tell_one_story(middle, events):
    home, made = middle
    counts = made.mess["web"]
    customers = set(pd.read_parquet(home / "planted_segments.parquet").customer_id)
    assert counts["rows"] == len(events)
    assert counts["duplicate_rows"] == events.duplicated().sum()
    assert counts["orphan_rows"] == (~events.staff_id.isin(customers)).sum()
    assert counts["duplicate_rows"] / len(events) == pytest.approx(0.005, abs=0.001)
    assert counts["orphan_rows"] / len(events) == pytest.approx(mess.ORPHAN_SHARE, abs=0.003)
    assert 9.5 < len(events) / made.customers < 12
    distinct = events.drop_duplicates()
    assert distinct.event_id.is_unique
    assert distinct.amount.notna().equals(distinct.event == "network_usage")
    happened = pd.to_datetime(distinct.occurred_at)
    assert happened.max() < LAST + pd.Timedelta(days=1)
    assert (happened.dt.date.astype(str) == distinct.file.str[4:]).mean() < 0.1  # mostly history
    # What is opened was sent, and what is clicked was opened, on the same day and in this order.
    mails = distinct[distinct.event.str.startswith("email")].assign(
        letter=distinct.event_id.str.replace(r"-E[SOC]", "-", regex=True), at=happened
    )
    fates = mails.pivot(index="letter", columns="event", values="at")
    assert fates.email_sent.notna().all()
    opened = fates.dropna(subset="email_opened")
    assert (opened.email_sent < opened.email_opened).all()
    assert (opened.email_sent.dt.date == opened.email_opened.dt.date).all()
    clicked = fates.dropna(subset="email_clicked")
    assert (clicked.email_opened < clicked.email_clicked).all()


def test_truth_names_exactly_the_customers_of_each_night(middle):
    home, made = middle
    truth = pd.read_parquet(home / "planted_segments.parquet")
    assert list(truth.columns) == ["as_of", "customer_id", "segmentation", "segment"]
    assert not truth.duplicated(["as_of", "customer_id", "segmentation"]).any()
    assert not truth.isna().any().any()
    for night, rows in truth.groupby(truth.as_of.astype(str)):
        staff = set(read_csv(home / f"sources/crm/crm_{night}.csv").staff_id)
        for _, one in rows.groupby("segmentation"):
            assert set(one.customer_id) == staff
    first = truth[truth.as_of.astype(str) == made.first_night]
    assert first.customer_id.nunique() == made.customers
    last = truth[truth.as_of.astype(str) == made.last_night]
    for one in planted.SEGMENTATIONS:
        names = first[first.segmentation == one.name].segment
        shares = names.value_counts(normalize=True)
        assert [shares[name] for name in one.segments] == pytest.approx(one.shares, abs=0.012)
        sizes = last[last.segmentation == one.name].segment.value_counts().to_dict()
        assert sizes == made.segments[one.name]


def test_a_few_customers_move_join_and_leave_each_night(middle):
    home, made = middle
    truth = pd.read_parquet(home / "planted_segments.parquet")
    truth["as_of"] = truth.as_of.astype(str)
    first, last = (truth[truth.as_of == night] for night in (made.first_night, made.last_night))
    both = first.merge(last, on=["customer_id", "segmentation"])
    for _, rows in both.groupby("segmentation"):
        moved = (rows.segment_x != rows.segment_y).mean()
        assert moved == pytest.approx(2 * planted.MOVE_SHARE, abs=0.002)
    joined = set(last.customer_id) - set(first.customer_id)
    left = set(first.customer_id) - set(last.customer_id)
    assert len(joined) == 2 * mess.JOIN_SHARE * made.customers
    assert len(left) / made.customers == pytest.approx(2 * mess.LEAVE_SHARE, abs=0.002)


def test_latents_drift_slowly_and_birth_dates_stay(small):
    home, made = small
    first, last = (
        read_csv(home / f"sources/crm/crm_{night}.csv").drop_duplicates().set_index("staff_id")
        for night in (made.first_night, made.last_night)
    )
    both = first.join(last, how="inner", suffixes=("", "_last"))
    assert both.birth_date.fillna("").equals(both.birth_date_last.fillna(""))
    before, after = (
        both.contract_value_eur.astype(float),
        both.contract_value_eur_last.astype(float),
    )
    change = (after / before - 1).abs().dropna()
    assert (change > 0).mean() > 0.5
    assert change.median() < 0.05


def test_one_night_has_no_moves_and_no_late_answers(tmp_path):
    made = make_demo(tmp_path, 200, 1, 5, "csv")
    truth = pd.read_parquet(tmp_path / "planted_segments.parquet")
    assert truth.customer_id.nunique() == 200
    assert len(truth) == 400
    assert made.mess["survey"]["rows_after_first_night"] == 0


def test_summary_file_says_what_was_returned(small):
    home, made = small
    written = json.loads((home / SUMMARY_NAME).read_text(encoding="utf-8"))
    assert written["best_possible_ari"] == made.best_possible_ari
    assert written["mess"] == made.mess
    assert written["seed"] == 7


def test_a_folder_of_something_else_is_refused_untouched(tmp_path):
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(PipelineError, match="not empty, and no demo"):
        make_demo(tmp_path, 100, 1, 1, "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_an_earlier_demo_is_replaced_unless_its_yaml_was_edited(tmp_path):
    make_demo(tmp_path, 100, 2, 1, "csv")
    (tmp_path / "warehouse.duckdb").write_bytes(b"kept")
    make_demo(tmp_path, 100, 1, 2, "parquet")
    assert [path.name for path in (tmp_path / "sources/crm").iterdir()] == [
        "crm_2025-06-30.parquet"
    ]
    assert (tmp_path / "warehouse.duckdb").read_bytes() == b"kept"
    settings = tmp_path / "dagster/dagster.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    before = digests(tmp_path)
    with pytest.raises(PipelineError, match=r"dagster\.yaml: edited"):
        make_demo(tmp_path, 100, 1, 3, "csv")
    assert digests(tmp_path) == before


@pytest.mark.parametrize(("customers", "days"), [(0, 1), (10, 0)])
def test_nothing_is_made_of_nobody(tmp_path, customers, days):
    with pytest.raises(PipelineError, match="needs customers and days"):
        make_demo(tmp_path / "home", customers, days, 1, "csv")
    assert not (tmp_path / "home").exists()


def test_progress_is_told(tmp_path):
    steps = []
    make_demo(tmp_path, 50, 1, 1, "csv", progress=steps.append)
    assert "web events" in steps


def test_only_marked_lines_change_with_the_format():
    text = (
        "path: sources/crm/crm_*.csv  # csv or parquet\n"
        "format: csv # csv or parquet\n"
        "description: exported as csv\n"
    )
    assert in_format(text, "csv") == text
    assert in_format(text, "parquet") == (
        "path: sources/crm/crm_*.parquet  # csv or parquet\n"
        "format: parquet # csv or parquet\n"
        "description: exported as csv\n"
    )
