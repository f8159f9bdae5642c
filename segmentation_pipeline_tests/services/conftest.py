"""A PostgreSQL server of the tests' own: its data in a temporary folder, reached by a socket there.

`make test-services` runs what needs it, `make test` does not. The server refuses to run as root:
there, `setpriv` makes it run as the user `postgres`. On Linux the kernel stops it with the thread
that started it, should the tests be killed before they can.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

USER = "postgres"
PASSWORD = "MARKER of a password"
_START_SECONDS = 60
_NOT_INSTALLED = (
    "PostgreSQL's server is not installed: `apt-get install postgresql` (Debian, Ubuntu) or "
    "`brew install postgresql` (macOS), then run this again"
)


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a running server, whose user may do everything."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(running_server())
        except RuntimeError as cause:
            pytest.exit(str(cause), returncode=1)
        yield url


def find_program(name: str) -> str:
    """Find a program of PostgreSQL: by PATH, or where Debian keeps those of a server."""
    found = shutil.which(name)
    if found:
        return found
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not kept:
        raise RuntimeError(_NOT_INSTALLED)
    return str(kept[-1])


@contextmanager
def running_server() -> Iterator[sa.URL]:
    """Make a cluster, run its server, and yield the URL of its database; then remove both.

    RuntimeError where the server is not installed or does not start.
    """
    initdb, postgres = find_program("initdb"), find_program("postgres")
    # Not below pytest's folder: a socket's path must be shorter than 108 bytes.
    with tempfile.TemporaryDirectory(prefix="postgresql_", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data, password, log = folder / "data", folder / "password", folder / "server.log"
        password.write_text(PASSWORD, encoding="utf-8")
        log.touch()
        as_user = _as_another_user(folder)
        subprocess.run(
            [*as_user, initdb, "--pgdata", data, "--username", USER, "--pwfile", password,
             "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            check=True, cwd=folder, capture_output=True,
        )  # fmt: skip
        settings = {"listen_addresses": "", "unix_socket_directories": name, "fsync": "off"}
        with (
            log.open("wb") as words,
            subprocess.Popen(
                [*as_user, *_stopped_with_us(), postgres, "-D", data,
                 *(f"--{key}={value}" for key, value in settings.items())],
                cwd=folder, stdout=words, stderr=words,
            ) as server,
        ):  # fmt: skip
            try:
                url = sa.URL.create(
                    "postgresql+psycopg", USER, PASSWORD, database="postgres", query={"host": name}
                )
                _wait_until_ready(server, url, log)
                yield url
            finally:
                # Fast: what is connected is cut off.
                server.send_signal(signal.SIGINT)


def _as_another_user(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, USER, USER)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]


def _stopped_with_us() -> list[str]:
    return ["setpriv", "--pdeathsig=INT"] if shutil.which("setpriv") else []


def _wait_until_ready(server: subprocess.Popen[bytes], url: sa.URL, log: Path) -> None:
    address = {"host": url.query["host"], "user": url.username, "password": url.password}
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(**address, dbname=url.database).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the server does not start: {log.read_text()}") from None
            time.sleep(0.1)
        else:
            return
