"""Whatever is wrong with what would be published is found, named, and never published."""

import re

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import current_version, verify

E, P = "engagement", "profession"
OF_SEGMENTS = ("segments", "customer_segments", "segment_profiles", "segment_category_shares")


def kpis(*rows):
    """Write rows of (segment_id, customers) into the KPIs of the first night."""
    values = ", ".join(
        f"('{segment_id}', 'revenue', DATE '2025-06-01', 'mean', 'Euros', TRUE, 30, {customers},"
        " FALSE)"
        for segment_id, customers in rows
    )
    return (
        f"INSERT INTO {E}.segment_kpis (segment_id, kpi, kpi_date, kind, description,"
        f" is_higher_better, window_days, customers, is_suppressed) VALUES {values}"
    )


# What happened to the work tables after their checks -> what is said of it.
FAULTS = {
    "a column is missing": (
        f"ALTER TABLE {E}.segments DROP label",
        "engagement.segments is not as its contract says: label is missing",
    ),
    "a column has another type": (
        f"ALTER TABLE {E}.segments ALTER customers TYPE INTEGER",
        "engagement.segments is not as its contract says: customers is INTEGER, not BIGINT",
    ),
    "a table is missing": (
        f"DROP TABLE {P}.segment_profiles",
        "profession.segment_profiles is not in the warehouse",
    ),
    "a customer is there twice": (
        f"INSERT INTO {E}.customer_segments FROM {E}.customer_segments WHERE customer_id = 'c3'",
        'customer_segments: 1 rows repeat the key ("segmentation", "customer_id")',
    ),
    "a value is missing": (
        f"UPDATE {E}.customer_segments SET is_outlier = NULL WHERE customer_id IN ('c1', 'c2')",
        "customer_segments.is_outlier has no value in 2 rows",
    ),
    "a size is not that of the segment": (
        f"UPDATE {E}.segments SET customers = customers + 1 WHERE segment_id = 'engagement-1'",
        "1 segments whose `customers` are not those that customer_segments has",
    ),
    "a customer is in an unknown segment": (
        f"UPDATE {E}.customer_segments SET segment_id = 'engagement-9' WHERE customer_id = 'c1'",
        "2 segments whose `customers` are not those that customer_segments has",
    ),
    "a runner-up is unknown": (
        f"UPDATE {E}.customer_segments SET runner_up_segment_id = 'engagement-9'",
        "customer_segments.runner_up_segment_id names 1 segments that are not in segments",
    ),
    "a profile is of an unknown segment": (
        f"UPDATE {E}.segment_profiles SET segment_id = 'x' WHERE segment_id = 'engagement-1'",
        "segment_profiles.segment_id names 1 segments that are not in segments",
    ),
    "shares do not sum to 1": (
        f"UPDATE {E}.segments SET share = share + 0.01",
        "1 segmentations whose shares do not sum to 1",
    ),
    "a share is not a number": (
        f"UPDATE {E}.segments SET share = 'nan'::DOUBLE WHERE segment_id = 'engagement-1'",
        "1 segments whose `share` is not their part",
    ),
    "a segmentation is empty": (
        "; ".join(f"DELETE FROM {P}.{table}" for table in OF_SEGMENTS),
        "segmentation profession has no customers",
    ),
    "a personal column became a feature": (
        f"UPDATE {E}.segment_profiles SET feature = 'full_name'",
        "segment_profiles tells of `full_name`, which is personal",
    ),
    "a KPI is of more customers than the segment has": (
        kpis(("engagement-1", 5), ("engagement-2", 2), ("everybody", 7)),
        "1 segments whose KPIs of the newest date are not of all their customers",
    ),
    "a segment has no KPI": (
        kpis(("engagement-1", 4), ("everybody", 4)),
        "1 segments whose KPIs of the newest date are not of all their customers",
    ),
    "the KPI of everybody is of others too": (
        kpis(("engagement-1", 4), ("engagement-2", 2), ("everybody", 7)),
        "1 KPIs of a date whose segments don't add up to everybody",
    ),
    "a step was reported twice": (
        "INSERT INTO core.cleaning_report FROM core.cleaning_report",
        "cleaning_report: 1 rows repeat the key",
    ),
}


@pytest.fixture(autouse=True)
def _few_tables(few_tables):
    """Every kind of table that the audit looks at is among them."""


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_found_and_the_version_before_stays(workbench, night, fault):
    statement, said = FAULTS[fault]

    with pytest.raises(PublicationError, match=re.escape(said)) as raised:
        workbench.publish_after(night(1), statement)

    # Segments may be named in a message, customers never.
    assert not re.search(r"\bc[1-6]\b", str(raised.value))
    assert current_version(workbench.home.published) is None
    assert not (workbench.home.published / ".staging").exists()


def test_columns_beyond_the_contract_stay_in_the_warehouse(workbench, night):
    workbench.publish_after(night(1), f"ALTER TABLE {E}.customer_segments ADD full_name VARCHAR")

    assert verify(workbench.home.published) == []


def test_kpis_of_the_segments_customers_are_no_fault(workbench, night):
    whole = kpis(("engagement-1", 4), ("engagement-2", 2), ("everybody", 6))
    workbench.publish_after(night(1), whole)

    assert workbench.read("SELECT count(*) FROM segment_kpis") == [(3,)]


def test_an_empty_segment_is_no_fault(workbench, night):
    nobody = (
        "SELECT * REPLACE ('engagement-3' AS segment_id, 'nobody tonight' AS label,"
        f" 0 AS customers, 0 AS share) FROM {E}.segments LIMIT 1"
    )
    known = f"SELECT * REPLACE ('engagement-3' AS segment_id) FROM {E}.segment_registry LIMIT 1"
    workbench.publish_after(
        night(1),
        f"INSERT INTO {E}.segments {nobody}",
        f"INSERT INTO {E}.segment_registry {known}",
    )

    assert workbench.read("SELECT customers FROM segments WHERE label = 'nobody tonight'") == [(0,)]


def test_rows_come_out_sorted_however_many_there_are(workbench, night):
    # Enough rows for several row groups and threads, so that order is not kept by chance.
    published = workbench.publish_after(
        night(1),
        f"""
        CREATE OR REPLACE TABLE {E}.customer_segments AS
        SELECT 'k' || lpad(hash(number)::VARCHAR, 20, '0') AS customer_id,
            'engagement-' || (number % 2 + 1) AS segment_id, segment_id AS raw_segment_id,
            NULL::VARCHAR AS runner_up_segment_id, 1::DOUBLE AS distance, NULL::DOUBLE AS margin,
            NULL::DOUBLE AS probability,
            FALSE AS is_borderline, FALSE AS is_outlier, FALSE AS is_typed,
            NULL::DOUBLE AS typing_confidence
        FROM range(300_000) AS t(number)
        """,
        f"UPDATE {E}.segments SET customers = 150_000, share = 0.5",
    )

    folder = workbench.home.published / "current" / "parquet"
    assert published.manifest.rows["customer_segments"] == 300_006
    for source in ("customer_segments", f"'{folder}/customer_segments.parquet'"):
        assert workbench.read(
            f"""
            SELECT count(*) FROM (
                SELECT row(segmentation, customer_id) AS key, lag(key) OVER () AS key_before
                FROM {source}
            ) WHERE key_before >= key
            """
        ) == [(0,)]
