"""The example's own customers as files, and published models that are made by hand."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering.families import family_of
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.features.preparation import Preparation, ScalingRow, SelectionRow
from segmentation_pipeline.scoring import PublishedModel
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import open_warehouse

COLUMNS = {
    "number": {"type": "text"},
    "x": {"type": "number", "minimum": -1000},
    "y": {"type": "number"},
    "city": {"type": "category", "categories": ["Bern", "Kiel"], "aliases": {"Kiel": ["KI"]}},
    "born": {"type": "date", "formats": ["%d.%m.%Y"]},
    "email": {"type": "text", "personal": True},
}


@pytest.fixture(scope="session")
def example(published_home):
    return load_home(published_home)


@pytest.fixture
def export(example):
    """Write the example's customers of a segmentation: `columns` and features, by SQL."""

    def _export(segmentation, path, *, features_only=False):
        spec = example.segmentations[segmentation]
        counted = [name for name, feature in spec.features.items() if feature.aggregate]
        listed = "".join(f', e."{name}"' for name in counted)
        engineered = f"{segmentation}.engineered_features"
        query = f"SELECT c.*{listed} FROM core.customers c JOIN {engineered} e USING (customer_id)"
        if features_only:
            query = f"FROM {engineered}"
        options = {
            "csv": "FORMAT csv, HEADER",
            "ndjson": "FORMAT json",
            "parquet": "FORMAT parquet",
        }
        with open_warehouse(example.warehouse, read_only=True) as connection:
            connection.execute(
                f"COPY (FROM ({query}) ORDER BY hash(customer_id)) TO '{path}'"
                f" ({options[path.suffix[1:]]})"
            )
        return path

    return _export


@pytest.fixture
def make_published():
    """Make a published model: features x and y as they are, 2 where they are missing."""

    def _make(algorithm, arrays, *, parameters=None, metric="euclidean", features=None, **settings):
        customers = CustomersSpec.model_validate(
            {
                "name": "test",
                "nights": {"first": "2026-01-01"},
                "customers": {"base": "crm"},
                "sources": {
                    "crm": {"kind": "crm", "path": "crm.csv", "key": "number", "columns": COLUMNS},
                    "web": {
                        "kind": "web",
                        "path": "web.csv",
                        "key": "number",
                        "time": "at",
                        "columns": {"number": {"type": "text"}, "at": {"type": "timestamp"}},
                    },
                },
            }
        )
        described = features or {
            "x": {"criterion": "needs", "description": "How far right", "unit": "m"},
            "y": {"criterion": "needs"},
        }
        spec = SegmentationSpec.model_validate(
            {
                "title": "test",
                "criteria": {"needs": "test"},
                "features": described,
                "clustering": {"algorithm": algorithm, "metric": metric}
                | ({"minkowski_p": 3} if metric == "minkowski" else {}),
                **settings,
            }
        )
        names = [name for name, feature in spec.features.items() if feature.use == "clustering"]
        segments = (parameters or {}).get("segments") or len(
            arrays.get("prototypes", arrays.get("means", arrays.get("reaches", ())))
        )
        model = SegmentModel(
            algorithm=algorithm,
            metric=metric,
            feature_names=tuple(names),
            arrays={"distance_percentiles": np.array([[50.0, 1.0], [99.5, 9.0]]), **arrays},
            parameters={"segments": segments, **(parameters or {})},
        )
        return PublishedModel(
            name="lens",
            spec=spec,
            customers=customers,
            as_of=dt.date(2026, 1, 31),
            model=model,
            preparation=Preparation(
                encodings=(),
                scalings=tuple(
                    ScalingRow(name, name, None, "none", 0.0, 1.0, None, None, 2.0, 1.0)
                    for name in names
                ),
                selection=tuple(
                    SelectionRow(name, name, True, None, 0.0, 9, None) for name in names
                ),
            ),
            segment_ids=tuple(f"lens-{7 + number}" for number in range(segments)),
            labels={"lens-7": "Left", "lens-8": "Right", "lens-noise": "in no segment"},
            means={("lens-7", "x"): 0.25, ("lens-8", "x"): 4.0},
            shares={},
        )

    return _make


@pytest.fixture
def autoencoder_arrays():
    """The arrays of a small network that was trained on something."""
    rng = np.random.default_rng(5)
    points = rng.normal(size=(60, 2)) + 4.0 * (np.arange(60) % 2)[:, np.newaxis]
    spec = SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"needs": "test"},
            "features": {"x": {"criterion": "needs"}},
            "clustering": {"algorithm": "autoencoder", "autoencoder": {"latent": 1, "hidden": 4}},
        }
    )
    model = SegmentModel("autoencoder", "euclidean", ("x", "y"), {}, {"segments": 2})
    (fit,) = family_of(spec.clustering, model).fit(points, seed=1)
    return fit.arrays
