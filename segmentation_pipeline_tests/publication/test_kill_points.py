"""A run that dies anywhere leaves the version before or the new one, and nothing to repair."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from segmentation_pipeline.publication import current_version, publish, verify

SCRIPT = Path(__file__).with_name("dying_publisher.py")
STEPS_AFTER_THE_SWAP = ["delete versions that are no longer kept"]


# The very first publication is not killed once more while it writes its tables.
@pytest.mark.parametrize("nights_before", [0, 1])
def test_whatever_step_it_dies_at_readers_see_the_version_before_or_the_new_one(
    workbench, night, few_tables, nights_before
):
    table_steps = 2 * len(few_tables)
    first_step = 0 if nights_before else table_steps
    if nights_before:
        workbench.publish(night(1))
    with workbench.open() as connection:
        workbench.make_night(connection, night(2))

    home = workbench.home.path
    arguments = [sys.executable, str(SCRIPT), str(home), "2025-06-02", "run-2", str(first_step)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    steps = [line["step"] for line in lines if "step" in line]
    seen = [line for line in lines if "version" in line]
    # The last life is survived, and finds that the one before had put its version in force.
    assert len(seen) == len(steps) + 1
    assert len(steps) > table_steps - first_step
    assert len(set(steps)) == len(steps)
    for step, found in zip([*steps, None], seen, strict=True):
        if step is None or step in STEPS_AFTER_THE_SWAP:
            assert found["dates"] == ["2025-06-02"]
            assert found["faults"] == []
        elif nights_before:
            assert found == {"version": "000001-run-1", "faults": [], "dates": ["2025-06-01"]}
        else:
            assert found == {"version": None, "faults": None, "dates": None}
    assert steps[-1] in STEPS_AFTER_THE_SWAP

    following = workbench.publish(night(3))

    published = workbench.home.published
    assert verify(published) == []
    assert sorted(path.name for path in (published / "versions").iterdir()) == sorted(
        [
            *["000001-run-1"] * nights_before,
            seen[-1]["version"],
            following.manifest.version,
        ]
    )
    assert {path.name for path in published.iterdir()} == {
        "current",
        "segments.duckdb",
        "versions",
    }


LIMITED = """
import datetime as dt, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from dying_publisher import live
from segmentation_pipeline.warehouse import Build
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
live(Path(sys.argv[2]), Build(dt.date(2025, 6, 2), "run-2"), 1000)
"""


def test_a_file_that_grows_too_large_leaves_the_version_before(workbench, night):
    first = workbench.publish(night(1))
    with workbench.open() as connection:
        workbench.make_night(connection, night(2))
        connection.execute("CHECKPOINT")

    arguments = [sys.executable, "-c", LIMITED, str(SCRIPT.parent), str(workbench.home.path)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "File too large" in ended.stderr
    assert current_version(workbench.home.published) == first.manifest
    assert verify(workbench.home.published) == []
    assert not (workbench.home.published / ".staging").exists()
    assert workbench.publish(night(2)).is_news


def test_an_error_within_a_step_leaves_the_warehouse_usable(workbench, night):
    first = workbench.publish(night(1))
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(2))

        class InterruptedStepError(Exception):
            pass

        def interrupt(step: str) -> None:
            if step == "write segment_profiles":
                raise InterruptedStepError

        with pytest.raises(InterruptedStepError):
            publish(
                connection,
                workbench.home,
                night(2),
                workbench.ready(),
                validated,
                on_step=interrupt,
            )
        assert current_version(workbench.home.published) == first.manifest
        assert not (workbench.home.published / ".staging").exists()
        again = publish(connection, workbench.home, night(2), workbench.ready(), validated)
    assert again.manifest.version == "000002-run-2"
