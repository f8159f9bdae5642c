"""What the command line says of a night, and by which status it ends."""

import datetime as dt

from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import current_version, kept_versions

LAST = dt.date(2025, 6, 30)


def test_the_command_line_refuses_a_locked_home_and_says_who_holds_it(home, command):
    with hold_lock(home / "warehouse.lock", "another-night", timeout_seconds=0):
        done = command("run", "--home", str(home), "--as-of", LAST.isoformat())

    assert done.returncode == 1
    assert "held by run another-night" in " ".join(done.stderr.split())


def test_wrong_usage_has_status_2(command):
    assert command("run", "--home", "/nowhere").returncode == 2
    assert command("fly").returncode == 2


def test_the_command_line_verifies_what_is_published_and_finds_what_was_altered(home, command):
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


def test_rollback_puts_the_version_before_back(home_of_two, command):
    published = home_of_two / "published"
    newest, before = (manifest.version for manifest in kept_versions(published))
    assert current_version(published).version == newest

    assert command("rollback", "--home", str(home_of_two)).returncode == 0

    assert current_version(published).version == before
