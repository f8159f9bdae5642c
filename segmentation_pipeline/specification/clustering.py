"""How customers are grouped: families of algorithms, distances, and the choice among them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression

Algorithm = Literal[
    "k_means", "k_medoids", "dbscan", "hdbscan", "gaussian_mixture", "autoencoder", "rules"
]
Metric = Literal["euclidean", "manhattan", "minkowski", "cosine"]
Covariance = Literal["full", "tied", "diagonal", "spherical"]

_ALL: tuple[Metric, ...] = ("euclidean", "manhattan", "minkowski", "cosine")
METRICS: dict[Algorithm, tuple[Metric, ...]] = {
    "k_means": ("euclidean", "cosine"),
    "k_medoids": _ALL,
    "dbscan": _ALL,
    "hdbscan": _ALL,
    "gaussian_mixture": ("euclidean",),
    "autoencoder": ("euclidean",),
    "rules": ("euclidean",),
}
"""The distances that each family can be fitted with."""

_REASONS: dict[Algorithm, str] = {
    "k_means": "its centres are means, which minimise squared Euclidean distances only (cosine "
    "becomes Euclidean on rows of length 1)",
    "gaussian_mixture": "it has no distance to choose: each component measures by its own "
    "covariance",
    "autoencoder": "its latent vectors are learned so that Euclidean K-Means suits them",
    "rules": "it has no distance",
}


class DensitySettings(ClosedModel):
    """What DBSCAN and HDBSCAN call dense."""

    radius: Annotated[float, Field(gt=0)] | None = None
    """DBSCAN's neighbourhood, in scaled units of the metric; from the curve of the distances to
    the k-th neighbour where nothing is said."""
    neighbours: Annotated[int, Field(ge=2)] | None = None
    """How many customers, oneself included, make a neighbourhood dense; where nothing is said,
    it follows from the number of columns and customers."""


class MixtureSettings(ClosedModel):
    """What a Gaussian mixture may look like."""

    covariances: Annotated[list[Covariance], Field(min_length=1)] = ["full", "diagonal"]
    """The shapes to try: `full` (any ellipsoid), `tied` (one for all), `diagonal`, `spherical`."""
    regularisation: Annotated[float, Field(ge=0.01)] = 0.01
    """Added to every variance: below 0.01, BIC rewards a column with few values without end."""


class AutoencoderSettings(ClosedModel):
    """The network that compresses customers before K-Means groups them."""

    latent: Annotated[int, Field(ge=1, le=32)] = 2
    """The number of latent dimensions."""
    hidden: Annotated[int, Field(ge=2, le=512)] = 32
    """The width of the hidden layer before and after them."""


class Rule(ClosedModel):
    """A segment that business defines."""

    name: str
    """What the segment is called."""
    where: Expression
    """Who belongs to it, as an SQL predicate over the segmentation's features; a customer belongs
    to the first segment whose predicate holds."""


class RfmGrid(ClosedModel):
    """Recency, frequency and money, each cut into equally frequent levels."""

    recency: Name
    """The feature that counts the days since the last time; fewer is better."""
    frequency: Name
    """The feature that counts how often."""
    monetary: Name
    """The feature that sums how much."""
    levels: Annotated[int, Field(ge=2, le=5)] = 3
    """Levels of each, cut at quantiles of the customers of the first night, and kept from then
    on."""


class Clustering(ClosedModel):
    """How customers are grouped."""

    algorithm: Algorithm | Annotated[list[Algorithm], Field(min_length=1)] = "k_means"
    """The family of clustering, or several among which evidence decides."""
    metric: Metric = "euclidean"
    """The distance between customers."""
    minkowski_p: Annotated[float, Field(ge=1, le=16)] | None = None
    """The exponent of `minkowski`; 1 is `manhattan`, 2 is `euclidean`."""
    segments: Annotated[int, Field(ge=2)] | None = None
    """A fixed number of segments, instead of a search; density families find their own."""
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
    pairwise_customers: Annotated[int, Field(ge=500, le=20_000)] = 4_000
    """How many customers K-Medoids, DBSCAN and HDBSCAN are fitted on; time and memory grow with
    the square."""
    density: DensitySettings = DensitySettings()
    """For `dbscan` and `hdbscan`: what counts as a crowd."""
    mixture: MixtureSettings = MixtureSettings()
    """For `gaussian_mixture`: the shapes of its components."""
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    """For `autoencoder`: the size of its network."""
    rules: list[Rule] | RfmGrid | None = None
    """The segments of `algorithm: rules`: predicates, or a grid."""
    noise: Literal["keep", "nearest"] = "keep"
    """What becomes of a customer whom no segment holds: in a row of its own (`keep`), or in the
    `nearest` segment."""
    handicap: dict[Algorithm, Annotated[float, Field(ge=1)]] = {}
    """How many times clearer a family's evidence must be before it is taken instead of a simpler
    one; 1 where nothing is said."""
    if_continuum: Literal["publish", "keep_model"] = "publish"
    """Where no candidate is stable, or none is more than a cut through a continuum: publish the
    best one, marked so, or go on with the model in force (also where none keeps to the limits)."""
    time_budget_seconds: Annotated[int, Field(ge=1)] = 600
    """No further family is begun after so long; the first one named is always finished, and the
    table says which were left out."""
    seed: int = 0
    """Of every random choice."""

    @property
    def algorithms(self) -> tuple[Algorithm, ...]:
        """The families to try, each once."""
        named = self.algorithm if isinstance(self.algorithm, list) else [self.algorithm]
        return tuple(dict.fromkeys(named))

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.minimum_segments > self.maximum_segments:
            raise ValueError("`minimum_segments` is above `maximum_segments`")
        return self

    @model_validator(mode="after")
    def _metric_suits(self) -> Self:
        for algorithm in self.algorithms:
            if self.metric not in METRICS[algorithm]:
                others = [name for name, known in METRICS.items() if self.metric in known]
                raise ValueError(
                    f"`{algorithm}` can't use `metric: {self.metric}`: {_REASONS[algorithm]}; "
                    f"with {self.metric} there are {', '.join(others)}; {algorithm} takes "
                    f"{' or '.join(METRICS[algorithm])}"
                )
        if (self.metric == "minkowski") != (self.minkowski_p is not None):
            raise ValueError("`metric: minkowski` and `minkowski_p` belong together")
        return self

    @model_validator(mode="after")
    def _rules_stand_alone(self) -> Self:
        if ("rules" in self.algorithms) != (self.rules is not None):
            raise ValueError("`algorithm: rules` and the key `rules` belong together")
        names = [rule.name for rule in self.rules] if isinstance(self.rules, list) else []
        if self.rules == [] or len(set(names)) < len(names):
            raise ValueError("`rules` names each segment once, and at least one")
        if self.rules is not None and len(self.algorithms) > 1:
            raise ValueError(
                "rules are given, not found: `algorithm: rules` doesn't stand beside others"
            )
        return self
