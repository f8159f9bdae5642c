"""Customers -> engineered features -> the matrix that is clustered.

`engineered` makes every feature of a segmentation in its original unit; `fitting` learns from a
sample how they enter the distance, and `preparation` is what it learned, as rows of two small
tables; `transform` writes the one SELECT that applies it; `matrix` runs it for all customers, and
`applying` does the same to a sample in memory.
What is learned about segments belongs to `clustering`.
"""

from segmentation_pipeline.features.distance_share import sampled_distance_shares
from segmentation_pipeline.features.engineered import EngineeredFeatures, make_engineered_features
from segmentation_pipeline.features.keeping import (
    fit_on_sample,
    keep_preparation,
    kept_preparation,
)
from segmentation_pipeline.features.matrix import FeatureMatrix, make_feature_matrix
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import read_feature_sample, read_sample

__all__ = [
    "EngineeredFeatures",
    "FeatureMatrix",
    "Preparation",
    "fit_on_sample",
    "keep_preparation",
    "kept_preparation",
    "make_engineered_features",
    "make_feature_matrix",
    "read_feature_sample",
    "read_sample",
    "sampled_distance_shares",
]
