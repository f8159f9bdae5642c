"""Streams customers through a saved model, each batch made when it is asked for, none kept.

    python -m benchmarks.assignment_stream FOLDER DIGEST 1000000 2

`assignment` runs it to measure the memory of a process that does nothing else: it prints the peak
in MB (10^6 bytes), as the kernel knows it. (`measure` would count what its own process had when it
forked, if that is more.) Linux.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import outlier_distance
from segmentation_pipeline.clustering.model import load_model

BATCH_ROWS = 131_072


def batches(centres: np.ndarray, rows: int, rng: np.random.Generator) -> Iterator[pa.RecordBatch]:
    """Customers around centres (k, d), as float32 columns `f0`, `f1`..., in batches."""
    names = ["customer_id", *(f"f{i}" for i in range(centres.shape[1]))]
    for start in range(0, rows, BATCH_ROWS):
        count = min(BATCH_ROWS, rows - start)
        labels = rng.integers(0, len(centres), count)
        columns = [
            pa.array(rng.standard_normal(count, np.float32) + column[labels])
            for column in centres.T.astype(np.float32)
        ]
        yield pa.record_batch([pa.array(np.arange(start, start + count)), *columns], names)


def main() -> None:
    folder, digest, rows, threads = sys.argv[1:]
    model = load_model(Path(folder), digest)
    centres = np.load(Path(folder).with_suffix(".npy"))
    stream = assign_rows(
        assigner_of(model),
        model.feature_names,
        outlier_distance(model),
        batches(centres, int(rows), np.random.default_rng(1)),
        threads=int(threads),
    )
    assigned = sum(batch.num_rows for batch in stream)
    if assigned != int(rows):
        raise RuntimeError(f"{assigned} of {rows} customers were assigned")
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    print(int(kilobytes) * 1024 / 1e6)


if __name__ == "__main__":
    main()
