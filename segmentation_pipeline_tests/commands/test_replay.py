"""`segmentation replay` tells of each of its nights, as `run` does of its own."""

import json
import subprocess
import sys

from segmentation_pipeline.demo import make_demo

TELLING = "import sys; open('told.jsonl', 'a').write(sys.stdin.read() + '\\n')"


def test_a_night_of_a_replay_that_fails_is_told_of(tmp_path):
    home = tmp_path / "home"
    make_demo(home, customers=50, days=1, seed=3)
    with (home / "customers.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nalerts: {json.dumps({'command': [sys.executable, '-c', TELLING]})}\n")
    for source in (home / "sources" / "crm").glob("*.csv"):
        source.write_text("", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "replay", "--from", "2025-06-30",
         "--to", "2025-06-30", "--approximate", "--home", str(home)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    said = " ".join(done.stderr.split())
    assert "The night of 2025-06-30 failed, 0 before it are done" in said
    assert f"--from 2025-06-30 --to 2025-06-30 --approximate --home {home}" in said
    (told,) = (home / "told.jsonl").read_text(encoding="utf-8").splitlines()
    found = json.loads(told)
    assert (found["as_of"], found["kind"], found["is_published"]) == ("2025-06-30", "failed", False)
    assert found["messages"]
