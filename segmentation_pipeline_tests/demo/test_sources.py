"""What the files say, read without any code of the generator."""

import datetime as dt

import pandas as pd
import pytest

from segmentation_pipeline.demo import mess, planted

NULLS = ["", *mess.NULL_WORDS]
LAST = pd.Timestamp(planted.LAST_NIGHT)


def read_csv(path):
    """Everything as text, null words as missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=NULLS)


@pytest.fixture(scope="module")
def events(middle):
    home, _ = middle
    files = (home / "sources/web").iterdir()
    tables = [read_csv(path).assign(file=path.stem) for path in files]
    return pd.concat(tables, ignore_index=True)


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


def test_best_possible_agreement_holds_after_nights_of_moves(middle):
    _, made = middle
    for best in made.best_possible_ari.values():
        assert 0.96 < best < 0.985


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
    told = ["as_of", "customer_id", "segmentation", "segment", "expected_segment"]
    assert list(truth.columns) == [*told, "border_segment"]
    assert not truth.duplicated(["as_of", "customer_id", "segmentation"]).any()
    assert not truth[told].isna().any().any()
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
