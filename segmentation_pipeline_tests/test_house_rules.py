"""The rules of the house that a reader relies on: which room may import what."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import segmentation_pipeline

PACKAGE = Path(segmentation_pipeline.__file__).parent
REPOSITORY = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def modules_outside(*places: str) -> list[str]:
    found = []
    for path in MODULES:
        relative = path.relative_to(PACKAGE).as_posix()
        if not relative.startswith(places):
            dotted = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            found.append(f"segmentation_pipeline.{dotted}".removesuffix(".__init__"))
    return found


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("dagster", ("assets/", "definitions.py")),
        ("great_expectations", ("validation/", "assets/", "definitions.py")),
        (
            "sklearn",
            ("features/", "clustering/", "segments/", "measurement/", "assets/", "definitions.py"),
        ),
        ("matplotlib", ("assets/", "definitions.py")),
    ],
)
def test_a_library_is_loaded_by_its_rooms_alone(library, rooms):
    names = modules_outside(*rooms)
    assert len(names) > 20
    script = "\n".join(
        [
            *(f"import {name}" for name in names),
            "import sys",
            f"sys.exit({library!r} in sys.modules)",
        ]
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, f"{library} is loaded outside {rooms}\n{done.stderr}"


def test_only_the_warehouse_opens_duckdb():
    importing = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if re.search(r"^\s*(import|from) duckdb\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert importing == ["warehouse.py"]


def test_the_domain_reads_neither_clock_nor_environment():
    reading = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if re.search(
            r"datetime\.now|date\.today|time\.time\(|os\.environ|os\.getenv",
            path.read_text(encoding="utf-8"),
        )
    ]

    # The command line asks for today's date and sets switches; `definitions` asks which home;
    # `night` asks for Dagster's own folder; `resources` and `schedules` lend the environment to
    # sources that are databases, and with `alert_sensors` and `erase` to what
    # needs a secret; Great Expectations reads its switch at import.
    assert set(reading) <= {
        "cli.py",
        "commands/check.py",
        "commands/erase.py",
        "commands/telling.py",
        "commands/terminal.py",
        "commands/ui.py",
        "definitions.py",
        "assets/alert_sensors.py",
        "assets/night.py",
        "assets/resources.py",
        "assets/schedules.py",
        "validation/quiet_great_expectations.py",
    }


def test_stage_rooms_import_only_rooms_before_them():
    order = ["ingestion", "validation", "preparation", "features", "clustering", "segments",
             "measurement", "publication", "reports"]  # fmt: skip
    offences = []
    for path in MODULES:
        room = path.relative_to(PACKAGE).parts[0]
        if room not in order:
            continue
        used = re.findall(r"from segmentation_pipeline\.(\w+)", path.read_text(encoding="utf-8"))
        later = {other for other in used if other in order[order.index(room) + 1 :]}
        later |= {
            other for other in used if other in ("assets", "definitions", "cli", "commands", "demo")
        }
        offences += [f"{path.name} of {room} imports {other}" for other in sorted(later)]

    assert offences == []


def test_the_lock_file_pins_everything_and_names_no_index():
    text = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9._-]+)==\S+", text, re.MULTILINE)

    assert len(pins) > 80
    assert {"dagster", "duckdb", "great-expectations", "scikit-learn", "pandas", "pyarrow"} <= {
        *pins
    }
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text
