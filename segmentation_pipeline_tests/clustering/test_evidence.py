"""What is gathered of a candidate is measured in the metric that was asked for."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from segmentation_pipeline.clustering.evidence import gather_evidence, share_sample
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.structure.border import dithered_splits
from segmentation_pipeline.clustering.structure.raw_features import RawFeature

ROWS = 150


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_the_silhouette_is_in_the_metric_that_was_asked_for(metric):
    rng = np.random.default_rng(0)
    matrix = np.repeat([[6.0, 0.0, 1.0], [0.0, 6.0, 1.0]], ROWS // 2, axis=0)
    matrix = matrix + rng.normal(size=matrix.shape) * [1.0, 1.0, 4.0]
    splits = dithered_splits(
        [RawFeature(f"f{i}", column, "continuous") for i, column in enumerate(matrix.T)],
        lambda raw: np.column_stack([one.values for one in raw]),
        seed=0,
    )
    family = KMedoids([2], metric=metric, starts=2)
    (fit,) = family.fit(matrix, seed=0)
    labels = family.assigner(fit.arrays, fit.parameters).query(list(matrix.T)).own
    found = gather_evidence(
        share_sample(matrix, Similarity(metric), splits, seed=0),
        "k_medoids",
        fit.parameters,
        labels,
        family.refits(fit),
        reason="",
    )
    assert found.silhouette == pytest.approx(silhouette_score(matrix, labels, metric=metric))
