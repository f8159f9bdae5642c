"""A disk that fills up while a version is built leaves the version before."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import publish, verify
from segmentation_pipeline.publication.versions import current_version
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import DatabaseError

MEGABYTES = 96


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(folder, *, leave):
    """Take all but so many bytes of a disk."""
    free = shutil.disk_usage(folder).free
    with (folder / "filler").open("wb") as file:
        file.write(b"\0" * max(free - leave, 0))


def test_a_disk_that_fills_leaves_the_version_before(
    workbench, after_first_night, small_disk, night
):
    home = small_disk / "home"
    shutil.copytree(workbench.home.path, home, symlinks=True)
    bench = replace(workbench, home=load_home(home))
    before = current_version(bench.home.published)
    with bench.open() as connection:
        bench.make_night(connection, night(2))

    fill(small_disk, leave=100_000)
    with pytest.raises(PublicationError, match="MB are free, publishing may need"):
        bench.publish(night(2))
    assert current_version(bench.home.published) == before
    assert verify(bench.home.published) == []
    (small_disk / "filler").unlink()

    def fill_late(step):
        if step == "write segment_profiles":
            fill(small_disk, leave=0)

    with bench.open() as connection:
        validated = bench.make_night(connection, night(2))
        connection.execute("CHECKPOINT")
        with pytest.raises((DatabaseError, OSError)):
            publish(connection, bench.home, night(2), bench.ready(), validated, on_step=fill_late)
        assert current_version(bench.home.published) == before
        assert verify(bench.home.published) == []
    (small_disk / "filler").unlink()

    assert bench.publish(night(2)).is_news
    assert verify(bench.home.published) == []
