"""The errors a user can meet: what, where, why and what to do, and never a customer's values."""


class PipelineError(Exception):
    """Anything that stops a run for a reason the user can act on; then nothing is published."""


class SpecificationError(PipelineError):
    """A file of the home is wrong; raised before anything is written."""


class SourceError(PipelineError):
    """A source file cannot be loaded as it was declared."""


class ValidationFailedError(PipelineError):
    """A blocking expectation failed, or could not run."""


class PreparationError(PipelineError):
    """Customers or features cannot be made from what was loaded."""


class ClusteringError(PipelineError):
    """No segments can be made, or a model cannot be trusted."""


class StaleUpstreamError(PipelineError):
    """A table that a step reads was built for another date, or not at all."""


class LockedError(PipelineError):
    """Another run writes to this home."""


class PublicationError(PipelineError):
    """The audit of what was to be published failed; readers keep the version before."""


class MatchingRefusedError(PipelineError):
    """Two models share too few customers to say which segments are the same: a person decides."""


class MeasurementError(PipelineError):
    """A figure can't be measured from what was handed over: an effect without customers, say."""
