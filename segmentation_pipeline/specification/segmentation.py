"""`segmentations/<name>.yaml`: one lens on the customers."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.belonging import Typing
from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.clustering import Clustering
from segmentation_pipeline.specification.cron import Cron
from segmentation_pipeline.specification.expressions import Expression
from segmentation_pipeline.specification.features import (
    Criterion,
    FeatureSpec,
    NeuralEncoding,
    Scaling,
)
from segmentation_pipeline.specification.refit import Refit
from segmentation_pipeline.specification.selection import Selection
from segmentation_pipeline.specification.sources import RESERVED_COLUMNS
from segmentation_pipeline.specification.strategies import Strategy

LONGEST_NAME = 80
"""Letters in the name of a segment."""


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
    eligible: Expression | None = None
    """Which of them may be in a segment, as an SQL predicate over the columns of `customers`; the
    others are published as not eligible. Where nothing is said, all of them."""
    typing: Typing | None = None
    """How customers who lack a source get a segment; grouped like everybody, with the centre in
    place of what is missing, where nothing is said."""
    scaling: Scaling = "standard"
    """`standard` (mean, standard deviation), `min_max`, `robust` (median, quartiles) or `none`."""
    features: Annotated[dict[Name, FeatureSpec], Field(min_length=1)]
    """What makes and what describes the segments."""
    selection: Selection = Selection()
    """Which features tell too little, or what others tell already, and are left out."""
    clustering: Clustering = Clustering()
    """Algorithm, distance, and how many segments to try."""
    refit: Refit = Refit()
    """How much drift is too much, and what asks for a new model."""
    names: dict[
        Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*-[1-9][0-9]*$")],
        Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)],
    ] = {}
    """What segments are called, by their id (`engagement-1: Keen readers`), instead of by their
    traits; a name stays with its segment until another one is given."""
    strategies: dict[Name, Strategy] = {}
    """The playbook: what to do with segments that look so. The customers in no segment get none."""
    schedule: Cron | None = None
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
        for name, feature in self.features.items():
            if feature.block in self.features:
                raise ValueError(
                    f"feature `{name}`: its block `{feature.block}` has the name of a feature: "
                    "call it otherwise"
                )
        if not any(feature.use == "clustering" for feature in self.features.values()):
            raise ValueError("no feature has `use: clustering`")
        return self

    @model_validator(mode="after")
    def _neural_encodings_have_others_to_learn_from(self) -> Self:
        clustered = [name for name, one in self.features.items() if one.use == "clustering"]
        for name in clustered:
            if isinstance(self.features[name].encoding, NeuralEncoding) and len(clustered) < 2:
                raise ValueError(
                    f"feature `{name}`: a neural encoding learns from the other features with "
                    "`use: clustering`, and there is none"
                )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({name.casefold() for name in self.names.values()}) < len(self.names):
            raise ValueError("`names`: two segments need two names")
        return self
