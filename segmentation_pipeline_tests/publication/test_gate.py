"""Publication looks itself at what was validated: the very tables, by the run that made them."""

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import current_version, publish, validation_faults
from segmentation_pipeline.warehouse import Table

SEGMENTS = Table("engagement", "segments")
CUSTOMERS = Table("core", "customers")


def test_launched_alone_after_a_failed_check_it_refuses(workbench, night):
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(1))
        workbench.validate(connection, night(1), CUSTOMERS, success=False)

    # Another process, another run: nothing but the warehouse knows of the failure.
    with (
        workbench.open() as connection,
        pytest.raises(PublicationError, match=r"core\.customers failed table__row_count"),
    ):
        publish(connection, workbench.home, night(1, "alone"), workbench.ready(), validated)
    assert current_version(workbench.home.published) is None


def test_results_of_an_earlier_run_count_while_its_table_stands(workbench, night):
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(1))

        alone = night(1, "alone")
        published = publish(connection, workbench.home, alone, workbench.ready(), validated)

    assert published.is_news


def test_results_of_a_table_that_was_made_again_do_not_count(workbench, night):
    with workbench.open() as connection:
        workbench.make_night(connection, night(1))
        query = workbench.work_queries("engagement")["segments"]
        workbench.write(connection, SEGMENTS, query, night(1, "made-again"))

        assert validation_faults(connection, [SEGMENTS, CUSTOMERS], night(1).as_of) == [
            "engagement.segments has not been validated since run made-again made it"
        ]


def test_a_failed_warning_does_not_count_and_an_unknown_outcome_does(workbench, night):
    with workbench.open() as connection:
        workbench.make_night(connection, night(1))
        workbench.validate(connection, night(1), SEGMENTS, success=False, severity="warning")
        assert validation_faults(connection, [SEGMENTS], night(1).as_of) == []

        connection.execute("UPDATE core.validation_results SET severity = 'error', success = NULL")
        assert validation_faults(connection, [SEGMENTS], night(1).as_of) == [
            "engagement.segments failed table__row_count"
        ]


def test_a_table_of_another_date_or_without_any_result_is_a_fault(workbench, night):
    with workbench.open() as connection:
        workbench.write(connection, CUSTOMERS, "SELECT 1 AS number", night(1))

        assert validation_faults(connection, [CUSTOMERS, SEGMENTS], night(1).as_of) == [
            "core.customers has not been validated since run run-1 made it",
            "engagement.segments was not made for 2025-06-01",
        ]
        assert validation_faults(connection, [CUSTOMERS], night(2).as_of) == [
            "core.customers was not made for 2025-06-02"
        ]


def test_naming_no_table_proves_nothing(workbench, night):
    with workbench.open() as connection:
        workbench.make_night(connection, night(1))
        with pytest.raises(PublicationError, match="no table is said to be validated"):
            publish(connection, workbench.home, night(1), workbench.ready(), [])


def test_many_failures_are_counted_after_the_first_five(workbench, night):
    with workbench.open() as connection:
        workbench.make_night(connection, night(1))
        workbench.validate(connection, night(1), SEGMENTS, success=False)
        connection.execute(
            "INSERT INTO core.validation_results BY NAME"
            " SELECT v.* REPLACE ('more_' || number AS expectation)"
            " FROM core.validation_results v, range(6) AS t(number)"
            " WHERE v.table_name = 'engagement.segments'"
        )

        assert validation_faults(connection, [SEGMENTS], night(1).as_of) == [
            "engagement.segments failed more_0, more_1, more_2, more_3, more_4 and 2 more"
        ]
