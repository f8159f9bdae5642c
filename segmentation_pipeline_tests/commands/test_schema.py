"""`segmentation schema` writes where it is told to, or says why it can't."""

import subprocess
import sys

import pytest


def schema(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "schema", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_schemas_are_written_into_a_folder_that_is_made(tmp_path):
    done = schema("--folder", str(tmp_path / "new"))

    assert done.returncode == 0
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == [
        "customers.schema.json", "segmentation.schema.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("below", "status"), [("", 2), ("/folder", 1)])
def test_a_file_where_the_folder_should_be_is_said(tmp_path, below, status):
    (tmp_path / "file").touch()

    done = schema("--folder", f"{tmp_path}/file{below}")

    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert (
        "Invalid value" if status == 2 else "it cannot be written (Not a directory)"
    ) in done.stderr
