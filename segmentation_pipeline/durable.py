"""What was written is on the disk, and not just on its way there."""

import os
from pathlib import Path


def synchronise(path: Path) -> None:
    """Have the disk confirm a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
