"""The seeded example: hospital staff in three sources, with planted segments, at any size."""

from segmentation_pipeline.demo.generator import make_demo
from segmentation_pipeline.demo.scenario import Drift
from segmentation_pipeline.demo.summary import DemoSummary
from segmentation_pipeline.demo.truth import ClearMove, PlantedMove, clear_moves, planted_moves

__all__ = [
    "ClearMove",
    "DemoSummary",
    "Drift",
    "PlantedMove",
    "clear_moves",
    "make_demo",
    "planted_moves",
]
