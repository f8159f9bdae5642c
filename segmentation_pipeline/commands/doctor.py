"""`segmentation doctor`: what a bug report needs."""

import platform
import shutil
from importlib.metadata import version
from pathlib import Path

from rich.table import Table as RichTable

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
)
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import lock_holder, rehearsal_state
from segmentation_pipeline.specification.home import load_home


def doctor(home: HomeOption = CURRENT) -> None:
    """Tell what a bug report needs: versions, lock, free space, file system."""
    with errors_to_exit_status():
        spec = load_home(home)
        facts = {"python": platform.python_version(), "system": platform.platform()}
        for package in ("segmentation-pipeline", "dagster", "duckdb", "great-expectations",
                        "scikit-learn", "pandas", "pyarrow", "numpy"):  # fmt: skip
            facts[package] = version(package)
        free = shutil.disk_usage(spec.path).free
        size = spec.warehouse.stat().st_size if spec.warehouse.exists() else 0
        facts |= {
            "home": str(spec.path),
            "file system": _file_system(spec.path),
            "free space": f"{free / 1e9:.1f} GB",
            "warehouse": f"{size / 1e6:.1f} MB",
            "lock": lock_holder(spec.lock) or "free",
            "rehearsal": rehearsal_state(spec.path),
            "published": str(spec.published.joinpath("current").resolve().name)
            if spec.published.joinpath("current").exists()
            else "nothing yet",
        }
        table = RichTable(show_header=False, box=None)
        for name, fact in facts.items():
            table.add_row(name, fact)
        console.print(table)
        if free < 3 * size:
            raise PipelineError(
                f"{spec.path}: {free / 1e9:.1f} GB free, and a night wants three times the "
                f"warehouse's {size / 1e9:.1f} GB: make room first"
            )


def _file_system(path: Path) -> str:
    """Name the type of the file system below a path (Linux); flock needs a local one."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    found = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    inside = [(point, kind) for point, kind in found if path.is_relative_to(point)]
    return max(inside, key=lambda mount: len(mount[0]))[1] if inside else "unknown"
