"""Demo homes of sixty nights, replayed as a user would, and what can be found in them."""

import datetime as dt
import json
import re
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scipy import special

from segmentation_pipeline.demo import Drift, make_demo, planted
from segmentation_pipeline.demo.truth import TRUTH_NAME
from segmentation_pipeline.measurement.power import ALPHA, POWER, power
from segmentation_pipeline.publication import current_version, read_published
from segmentation_pipeline.warehouse import literal

DAYS = 60
FIRST = planted.LAST_NIGHT - dt.timedelta(days=DAYS - 1)
JOINED, CHANGED = FIRST + dt.timedelta(days=20), FIRST + dt.timedelta(days=40)
EXPERIMENT_DAYS = 56
WORKS, DOES_NOTHING = planted.LIFTED_STRATEGY, "news_by_mail"
PLANTED_EFFECT = 0.08
Rows = list[tuple[Any, ...]]


class Home:
    """A demo home, and what is published of it."""

    def __init__(self, path: Path, customers: int, seed: int, drift: Drift) -> None:
        """Make it, with other settings for its experiments, or go on with what there is."""
        self.path = path
        if path.exists():
            return
        make_demo(path, customers, DAYS, seed, "parquet", drift=drift)
        (path / "segmentations" / "profession.yaml").unlink()
        engagement = path / "segmentations" / "engagement.yaml"
        of_strategy = rf"(\n  {WORKS}:\n(?:    .*\n)*?    experiment: .*days: )30"
        _edit(engagement, of_strategy, rf"\g<1>{EXPERIMENT_DAYS}")
        _edit(engagement, r"(\n  ask_what_is_wrong:\n(?:    .*\n)*?)    experiment: .*\n", r"\1")
        of_kpi = r"(\n  online_services:\n(?:    .*\n)*?)    unit: .*\n((?:    .*\n)*?)"
        _edit(
            path / "customers.yaml",
            rf"{of_kpi}    window_days: 30",
            rf"\1    unit: uses/{EXPERIMENT_DAYS} days\n\2    window_days: {EXPERIMENT_DAYS}",
        )

    def replay(self, first: dt.date, last: dt.date) -> None:
        """Run `segmentation replay` on nights that aren't done yet.

        Raises CalledProcessError where it fails.
        """
        if current_version(self.path / "published") is not None:
            newest = self.ask("SELECT max(as_of) FROM segmentation_runs")[0][0]
            first = max(first, newest + dt.timedelta(days=1))
        if first > last:
            return
        command = [sys.executable, "-m", "segmentation_pipeline.cli", "replay"]
        dates = ["--from", str(first), "--to", str(last)]
        before = _children_seconds()
        subprocess.run([*command, "--home", str(self.path), *dates], check=True)
        spent = self.cpu_seconds + _children_seconds() - before
        self._spent_file.write_text(json.dumps(spent), encoding="utf-8")

    @property
    def _spent_file(self) -> Path:
        return self.path.with_suffix(".seconds")

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all replays."""
        file = self._spent_file
        return float(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else 0.0

    @property
    def nights(self) -> int:
        """Nights that were run."""
        return int(self.ask("SELECT count(DISTINCT as_of) FROM segmentation_runs")[0][0])

    def ask(self, query: str) -> Rows:
        """Query what is published."""
        return read_published(self.path / "published", query)

    @property
    def truth(self) -> Path:
        """Where the planted truth is."""
        return self.path / TRUTH_NAME


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _edit(file: Path, pattern: str, replacement: str) -> None:
    text, times = re.subn(pattern, replacement, file.read_text(encoding="utf-8"))
    if times != 1:
        raise RuntimeError(f"{file.name}: {times} places look like {pattern}")
    file.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Plan:
    """What an experiment can find, foreseen on its first night."""

    strategy: str
    customers: int
    base: float
    unit: str
    smallest_detectable: float
    effect: float
    power: float

    def __str__(self) -> str:
        """Say it in a sentence."""
        told = (
            f"`{self.strategy}`: {self.customers:,} customers, of {self.base:.3g} {self.unit}; "
            f"smallest detectable {self.smallest_detectable:.3g}"
        )
        if self.effect:
            told += f"; {PLANTED_EFFECT:.0%} are {self.effect:.3g}, power {self.power:.3f}"
        return told


def plans_of(home: Home) -> dict[str, Plan]:
    """Foresee what the experiments can find; it is kept, since later nights know more.

    Raises RuntimeError where more than the first night was run before it was foreseen.
    """
    file = home.path.with_suffix(".plans")
    if not file.exists():
        if home.nights > 1:
            raise RuntimeError(f"{home.path}: what was foreseen on its first night wasn't kept")
        found = [asdict(_plan(home, strategy)) for strategy in (WORKS, DOES_NOTHING)]
        file.write_text(json.dumps(found), encoding="utf-8")
    kept = [Plan(**one) for one in json.loads(file.read_text(encoding="utf-8"))]
    return {one.strategy: one for one in kept}


def _plan(home: Home, strategy: str) -> Plan:
    customers, smallest, comparisons, kpi, segment = home.ask(
        "SELECT treated_count + hold_out_count, smallest_detectable, comparisons, e.goal_kpi,"
        " s.segment_id FROM strategy_effects e JOIN segment_strategies s USING (strategy)"
        f" WHERE strategy = '{strategy}' AND e.segment_id = 'all'"
    )[0]
    base, unit = home.ask(
        "SELECT value, coalesce(unit, 'as a share') FROM segment_kpis"
        f" WHERE kpi = '{kpi}' AND segment_id = '{segment}' AND kpi_date = {literal(FIRST)}"
    )[0]
    effect = PLANTED_EFFECT * base if strategy == WORKS else 0.0
    critical = -special.ndtri(ALPHA / comparisons / 2)
    error = smallest / (critical + special.ndtri(POWER))
    chance = power(effect, error, comparisons=comparisons) if effect else 0.0
    return Plan(strategy, customers, base, unit, smallest, effect, chance)
