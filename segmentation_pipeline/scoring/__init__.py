"""Customers never seen: the segments that one would put them into.

`published_model` finds the model that readers see the segments of; `columns` says what an input may
have; `looking` finds what it has, and `customers` reads it as a night reads a source; `engineering`
makes features of it; `deciding` tells which of them decide; `scores` puts that into words;
`scoring` brings it together for a file and for a frame; `centroids_sql` writes the same assignment
as SQL. What is scored here goes through the night's own SELECT and assigner, and needs neither the
warehouse nor its lock.
"""

from segmentation_pipeline.scoring.centroids_sql import segments_view_sql
from segmentation_pipeline.scoring.published_model import PublishedModel, load_published_model
from segmentation_pipeline.scoring.scoring import Scored, score_file, score_frame

__all__ = [
    "PublishedModel",
    "Scored",
    "load_published_model",
    "score_file",
    "score_frame",
    "segments_view_sql",
]
