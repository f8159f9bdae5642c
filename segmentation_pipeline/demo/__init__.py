"""The seeded example: hospital staff in three sources, with planted segments, at any size."""

from segmentation_pipeline.demo.generator import make_demo
from segmentation_pipeline.demo.summary import DemoSummary

__all__ = ["DemoSummary", "make_demo"]
