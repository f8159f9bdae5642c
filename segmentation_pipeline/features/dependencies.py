"""What a feature's expression reads, and in which order features are made."""

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def columns_read(name: str, feature: FeatureSpec, spec: SegmentationSpec) -> list[str]:
    """Name the columns of `customers` that a feature's expression reads, besides `as_of`.

    A name that both a feature and a column have means the feature, but in the feature's own
    expression the column.
    """
    if feature.expression is None:
        return []
    used = referenced_columns(feature.expression)
    return [
        read for read in used if read != "as_of" and (read == name or read not in spec.features)
    ]


def features_read(name: str, feature: FeatureSpec, spec: SegmentationSpec) -> list[str]:
    """Name the other features whose values a feature's expression reads."""
    if feature.expression is None:
        return []
    used = referenced_columns(feature.expression)
    return [read for read in used if read != name and read in spec.features]


def in_dependency_order(spec: SegmentationSpec) -> list[list[str]]:
    """Group the features with an expression so that each reads features of earlier groups only."""
    waiting = {
        name: set(features_read(name, feature, spec))
        for name, feature in spec.features.items()
        if feature.expression is not None
    }
    groups = []
    while waiting:
        ready = [name for name, reads in waiting.items() if not reads & waiting.keys()]
        if not ready:
            raise PreparationError(f"features in a circle: {', '.join(waiting)}")
        groups.append(ready)
        waiting = {name: reads for name, reads in waiting.items() if name not in ready}
    return groups
