"""The seeded example: hospital staff in three sources, with planted segments, at any size."""

from segmentation_pipeline.demo.generator import make_demo
from segmentation_pipeline.demo.scenario import Drift
from segmentation_pipeline.demo.summary import DemoSummary
from segmentation_pipeline.demo.truth import PlantedMove, planted_moves

__all__ = ["DemoSummary", "Drift", "PlantedMove", "make_demo", "planted_moves"]
