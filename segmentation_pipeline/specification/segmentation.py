"""`segmentations/<name>.yaml`: one lens on the customers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression
from segmentation_pipeline.specification.features import Criterion, FeatureSpec, Scaling
from segmentation_pipeline.specification.sources import RESERVED_COLUMNS


class Clustering(ClosedModel):
    """How customers are grouped."""

    algorithm: Literal["k_means"] = "k_means"
    """The family of clustering."""
    metric: Literal["euclidean"] = "euclidean"
    """The distance between customers."""
    segments: Annotated[int, Field(ge=1)] | None = None
    """A fixed number of segments, instead of a search."""
    minimum_segments: Annotated[int, Field(ge=2)] = 2
    """The smallest number of segments to try."""
    maximum_segments: Annotated[int, Field(ge=2)] = 8
    """The largest number of segments to try."""
    starts: Annotated[int, Field(ge=1)] = 10
    """How often each number is tried from other starting points; the best is taken."""
    smallest_share: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    """A candidate with a smaller segment is not taken; where nothing is said, the smaller of
    1 % and 0.2 / k. The privacy floor always holds."""
    silhouette_customers: Annotated[int, Field(ge=100, le=10_000)] = 5_000
    """How many customers the silhouette is computed on."""
    seed: int = 0
    """Of every random choice."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.minimum_segments > self.maximum_segments:
            raise ValueError("`minimum_segments` is above `maximum_segments`")
        return self


class SegmentationSpec(ClosedModel):
    """A file of `segmentations/`; the file's name is the segmentation's name."""

    title: str
    """What it is called, for people."""
    description: str = ""
    """What it is for."""
    criteria: Annotated[dict[Criterion, str], Field(min_length=1)]
    """By what customers are grouped (demographics, behaviour, needs, preferences), in a sentence
    each; features name the criterion that they stand for."""
    where: Expression | None = None
    """Which customers take part, as an SQL predicate over the columns of `customers`."""
    scaling: Scaling = "standard"
    """`standard` (mean, standard deviation), `min_max`, `robust` (median, quartiles) or `none`."""
    features: Annotated[dict[Name, FeatureSpec], Field(min_length=1)]
    """What makes and what describes the segments."""
    clustering: Clustering = Clustering()
    """Algorithm, distance, and how many segments to try."""
    schedule: str | None = None
    """A cron of its own, besides the home's night; this segmentation alone is then refreshed."""

    @model_validator(mode="after")
    def _features_fit_together(self) -> Self:
        for name, feature in self.features.items():
            if name in RESERVED_COLUMNS:
                raise ValueError(f"a feature can't be called `{name}`: the pipeline uses that name")
            if feature.criterion is not None and feature.criterion not in self.criteria:
                raise ValueError(
                    f"feature `{name}` stands for {feature.criterion}, which `criteria` doesn't "
                    "describe"
                )
            if feature.use == "clustering" and feature.criterion is None:
                raise ValueError(f"feature `{name}` makes segments: say for which `criterion`")
        if not any(feature.use == "clustering" for feature in self.features.values()):
            raise ValueError("no feature has `use: clustering`")
        return self
