"""Try everything that can go wrong, and print a line for each: pass, fail, or not run and why.

    make faults
    python -m benchmarks.faults [--with-commands] [--write]

Runs the tests that `matrix.toml` names for each fault, once, and reads their outcomes. `--write`
makes docs/reliability.md of it. Commands that take long or need the package index are run with
`--with-commands` only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TESTS = "segmentation_pipeline_tests"
PAGE = REPOSITORY / "docs" / "reliability.md"
WORDS = HERE / "reliability.md"
PLACE = "<!-- the matrix -->"


@dataclass(frozen=True)
class Fault:
    """A row of the matrix; `rows` are its numbers in the list that the design began with."""

    rows: str
    fault: str
    does: str
    tests: Sequence[str] = ()
    command: str | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a fault: pass, fail or not run; and what was seen."""

    word: str
    seen: str


def main() -> None:
    """Run the matrix; the exit status is 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with-commands", action="store_true", help="run the long commands, too")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    faults = read_matrix()
    outcomes = run_tests(sorted({test for fault in faults for test in fault.tests}))
    judged = [(fault, judge(fault, outcomes, runs=options.with_commands)) for fault in faults]
    for fault, outcome in judged:
        line = f"{fault.rows:>6}  {outcome.word:<8} {fault.fault}: {outcome.seen}\n"
        sys.stdout.write(line)
    if options.write:
        words = WORDS.read_text(encoding="utf-8")
        PAGE.write_text(words.replace(PLACE, table(judged)), encoding="utf-8")
    sys.exit(any(outcome.word == "fail" for _, outcome in judged))


def read_matrix() -> list[Fault]:
    """Read matrix.toml."""
    text = (HERE / "matrix.toml").read_text(encoding="utf-8")
    return [Fault(**row) for row in tomllib.loads(text)["fault"]]


def run_tests(names: Sequence[str]) -> dict[str, list[str]]:
    """Run tests; returns the outcomes (passed, skipped, failed) of each name's cases."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        paths = [f"{TESTS}/{name}" for name in names]
        options = ["-q", "--numprocesses", "2", "--junitxml", str(report)]
        command = [sys.executable, "-m", "pytest", *options, *paths]
        # The suite kills at the steps of some tables of each kind; here it is those of all.
        thorough = {**os.environ, "KILL_AT_ALL_TABLES": "yes"}
        # Outcomes are read from the report: a test that fails is no failure of this command.
        done = subprocess.run(command, cwd=REPOSITORY, env=thorough, stdout=sys.stderr, check=False)
        if not report.exists():
            sys.exit(f"pytest ended with {done.returncode} and without a report")
        cases = list(ET.parse(report).iter("testcase"))
    outcomes: dict[str, list[str]] = {name: [] for name in names}
    for case in cases:
        module = f"{case.get('classname', '').replace('.', '/')}.py"
        file = module.removeprefix(f"{TESTS}/")
        function = str(case.get("name")).partition("[")[0]
        for name in {file, f"{file}::{function}"} & outcomes.keys():
            outcomes[name].append(_outcome(case))
    return outcomes


def judge(fault: Fault, outcomes: Mapping[str, Sequence[str]], *, runs: bool) -> Outcome:
    """Judge a fault by its tests, or by its command."""
    if fault.command is not None:
        if not runs:
            kept = HERE.parent / "results" / f"{fault.command.rpartition('.')[2]}.md"
            last = f"; [its last run](../{kept.relative_to(REPOSITORY)})" if kept.exists() else ""
            return Outcome("not run", f"takes long: `python -m {fault.command}`{last}")
        command = [sys.executable, "-m", fault.command]
        done = subprocess.run(command, cwd=REPOSITORY, stdout=sys.stderr, check=False)
        seen = f"`python -m {fault.command}` ended with {done.returncode}"
        return Outcome("fail" if done.returncode else "pass", seen)
    if not fault.tests:
        return Outcome("not run", fault.not_run or "no test tries it")
    for name in fault.tests:
        found = outcomes[name]
        if not found or "failed" in found:
            return Outcome("fail", f"{name} " + ("failed" if found else "is not there"))
        if "passed" not in found:
            return Outcome("not run", f"{name} is skipped on this machine")
    cases = sum(len(outcomes[name]) for name in fault.tests)
    return Outcome("pass", f"{cases} cases passed")


def table(judged: Sequence[tuple[Fault, Outcome]]) -> str:
    """Write the matrix as a table of the documentation."""
    lines = ["| what goes wrong | what the pipeline does | tried |", "|---|---|---|"]
    for fault, outcome in judged:
        tried = outcome.word if outcome.word == "pass" else f"{outcome.word}: {outcome.seen}"
        lines.append(f"| {fault.fault} | {fault.does} | {tried} |")
    return "\n".join(lines)


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


if __name__ == "__main__":
    main()
