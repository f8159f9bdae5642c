"""Open what is published with older DuckDB clients, each in a virtual environment of its own.

    python -m benchmarks.clients [HOME]

Each reads all rows of every table of a home, or of an example that is made and run for it. Needs
the package index, so it is no test. BI tools' drivers lag behind DuckDB by years: the published
file is written in the storage format of version 1.2.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.demo import make_demo, planted

VERSIONS = ("1.2.2", "1.4.4", "1.5.0", "2.0.0")
READ = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
tables = connection.execute("SELECT table_name, comment FROM duckdb_tables() ORDER BY 1").fetchall()
rows = sum(len(connection.execute(f'SELECT * FROM "{name}"').fetchall()) for name, _ in tables)
assert all(comment for _, comment in tables), tables
segments = connection.execute("SELECT count(*) FROM segments").fetchone()[0]
found = f"{len(tables)} tables with comments, {rows} rows, {segments} segments"
print(f"duckdb {duckdb.__version__}: {found}")
"""


def main() -> None:
    """Install each version and read every table with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", nargs="?", type=Path, help="one that has published; an example")
    home: Path | None = parser.parse_args().home
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        published = (home or make_example(Path(folder))) / "published" / "segments.duckdb"
        for version in VERSIONS:
            place = Path(folder) / version
            venv.create(place, with_pip=True)
            python = str(place / "bin" / "python")
            install = [python, "-m", "pip", "install", "--quiet", f"duckdb=={version}"]
            subprocess.run(install, check=True)
            done = subprocess.run(
                [python, "-c", READ, str(published)], capture_output=True, text=True, check=False
            )
            print(done.stdout.strip() or f"duckdb {version}: {done.stderr.strip()}")
            if done.returncode:
                failed.append(version)
    sys.exit(f"cannot be read by {', '.join(failed)}" if failed else 0)


def make_example(folder: Path) -> Path:
    """Make an example, and run a night of it; raises RuntimeError where it fails."""
    home = folder / "home"
    make_demo(home, customers=5_000, days=1, seed=7)
    night = run_night(home, planted.LAST_NIGHT, progress=lambda *_: None)
    if not night.success:
        raise RuntimeError("; ".join(night.failures))
    return home


if __name__ == "__main__":
    main()
