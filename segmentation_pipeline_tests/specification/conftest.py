from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_home(tmp_path) -> Callable[..., Path]:
    """Write a home: its customers.yaml, and a segmentation under each name; returns its folder."""

    def write(customers: str, *, folder: Path = tmp_path, **segmentations: str) -> Path:
        (folder / "segmentations").mkdir(parents=True, exist_ok=True)
        (folder / "customers.yaml").write_text(customers, encoding="utf-8")
        for name, segmentation in segmentations.items():
            file = folder / "segmentations" / f"{name}.yaml"
            file.write_text(segmentation, encoding="utf-8")
        return folder

    return write
