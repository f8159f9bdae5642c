"""A home's life without any network: made, run, verified, scored, reported.

    python -m benchmarks.no_network

Every command runs in a network namespace of its own, in which there is not even a loopback address
(`unshare -n`: Linux, root).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = ["unshare", "-n", sys.executable, "-m", "segmentation_pipeline.cli"]

WHICH = ("--segmentation", "profession")


def main() -> None:
    """Run the commands one after the other; the exit status is 1 where one of them failed."""
    if shutil.which("unshare") is None:
        sys.exit("`unshare` is not on this machine")
    with tempfile.TemporaryDirectory() as folder:
        home = str(Path(folder) / "home")
        crm = str(Path(home) / "sources" / "crm" / "crm_2025-06-30.csv")
        scores = str(Path(folder) / "scores.parquet")
        for words in (
            ["demo", "--home", home, "--customers", "100", "--days", "1"],
            ["check", "--home", home],
            ["run", "--home", home],
            ["verify", "--home", home],
            ["report", "--home", home],
            ["score", "--home", home, *WHICH, "--input", crm, "--output", scores],
        ):
            done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
            sys.stdout.write(f"{words[0]}: ended with {done.returncode}\n")
            if done.returncode:
                sys.exit(done.stderr)


if __name__ == "__main__":
    main()
