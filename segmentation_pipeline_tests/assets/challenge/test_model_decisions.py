"""What people decide about models: under their name, from a night on, or not at all."""

import datetime as dt

import pytest

from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.model_decisions import Approval, promote, reject, roll_back


def day(number):
    return dt.date(2025, 1, number)


def test_with_a_gate_shut_it_waits_for_a_person_who_decides_under_their_name(waiting):
    found = waiting.night(3, waiting.merged)

    assert found.standing.state == "waiting"
    assert "waits for a person: " in found.sentence
    assert waiting.in_force(4) == 1
    assert waiting.night(4, waiting.merged).standing.nights == 3

    event = promote(
        waiting.connection, waiting.home, "x", None, Approval("ann", "we know that they moved")
    )
    assert (event.model_version, event.as_of, event.who) == (2, day(5), "ann")
    assert [waiting.in_force(number) for number in (4, 5)] == [1, 2]
    # The night before it, run again, still waits, and takes nothing back.
    waiting.night(3, waiting.merged)
    waiting.night(4, waiting.merged)
    assert waiting.in_force(5) == 2
    waiting.night(5, waiting.merged)
    assert waiting.statuses() == {1: "retired", 2: "champion"}


def test_a_rollback_is_a_pointer_and_ids_come_back(waiting):
    waiting.night(3, waiting.merged)
    promote(waiting.connection, waiting.home, "x", 2, Approval("ann", "yes"))
    waiting.night(4, waiting.merged)
    ids = {version: segment_ids(waiting.connection, "x", version, 3) for version in (1, 2)}

    event = roll_back(
        waiting.connection, waiting.home, "x", 1, Approval("bob", "too many complaints")
    )
    waiting.night(5, waiting.merged)

    assert (event.status, event.as_of) == ("champion", day(5))
    assert [waiting.in_force(number) for number in (3, 4, 5)] == [1, 2, 1]
    assert {version: segment_ids(waiting.connection, "x", version, 3) for version in (1, 2)} == ids
    found = {version: {*segments} for version, segments in ids.items()}
    assert found[2] - found[1]  # the second model had one that the first didn't know
    assert ids_on(waiting, 4) == found[2]
    assert ids_on(waiting, 5) <= found[1]
    changed = waiting.connection.execute(
        "SELECT DISTINCT reason FROM x.segment_history WHERE valid_from >= DATE '2025-01-04'"
    ).fetchall()
    assert changed == [("model",)]


def ids_on(world, number):
    return {
        segment_id
        for (segment_id,) in world.connection.execute(
            "SELECT segment_id FROM x.segment_history WHERE valid_from <= ?"
            " AND (valid_to IS NULL OR valid_to > ?)",
            [day(number)] * 2,
        ).fetchall()
    }


def test_who_is_rejected_is_watched_no_more_and_the_next_refit_fits_another(waiting):
    reject(waiting.connection, waiting.home, "x", None, Approval("ann", "a campaign runs"))

    assert waiting.night(3, waiting.merged).standing is None
    assert waiting.statuses() == {1: "champion", 2: "rejected"}
    assert waiting.night(4, waiting.merged, "refit").standing.model_version == 3
    # By then it was still watched.
    assert waiting.night(2, waiting.merged, "refit").standing.model_version == 2
    with pytest.raises(ClusteringError, match="model 2 of x is no challenger: it is rejected"):
        reject(waiting.connection, waiting.home, "x", 2, Approval("ann", "again"))
    with pytest.raises(ClusteringError, match="model 1 of x is no challenger: it is champion"):
        reject(waiting.connection, waiting.home, "x", 1, Approval("ann", "again"))


def test_decisions_that_cannot_hold_are_refused(waiting):
    def decide(how, version, who="ann", reason="why", first=None):
        return how(waiting.connection, waiting.home, "x", version, Approval(who, reason, first))

    with pytest.raises(ClusteringError, match="say who decides by --by, and why"):
        decide(promote, 2, reason=" ")
    with pytest.raises(ClusteringError, match="`system` is what decisions by rule"):
        decide(promote, 2, who="system")
    with pytest.raises(ClusteringError, match="x has no model 9: there are 1, 2"):
        decide(promote, 9)
    with pytest.raises(ClusteringError, match="was in force before: `segmentation rollback x"):
        decide(promote, 1)
    with pytest.raises(ClusteringError, match="was never in force: `segmentation promote x"):
        decide(roll_back, 2)
    with pytest.raises(ClusteringError, match="model 1 of x is in force on 2025-01-03"):
        decide(roll_back, 1)
    with pytest.raises(ClusteringError, match=r"fitted on customers of 2025-01-02: it can't be"):
        decide(promote, 2, first=day(1))
    decide(promote, 2)
    decide(roll_back, 1, first=day(5))
    with pytest.raises(ClusteringError, match="from 2025-01-05 on, model 1 of x is in force"):
        decide(roll_back, 1, first=day(4))
    with pytest.raises(ClusteringError, match="there is no challenger on 2025-01-03"):
        decide(reject, None)


def test_the_files_of_a_model_are_looked_at_before_it_is_in_force(waiting):
    (waiting.home.models / "x" / "2" / "prototypes.npy").write_bytes(b"0")

    with pytest.raises(ClusteringError, match="is not the file that was saved"):
        promote(waiting.connection, waiting.home, "x", 2, Approval("ann", "why"))
