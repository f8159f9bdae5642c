"""Where a feature was learned: asked in the survey, seen on the web, or known in the CRM."""

from typing import Literal

from segmentation_pipeline.features.dependencies import columns_read, features_read
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.home import feature_column
from segmentation_pipeline.specification.segmentation import SegmentationSpec

Origin = Literal["survey", "web", "crm"]
_PRECEDENCE: tuple[Origin, ...] = ("survey", "web", "crm")
"""Of an expression over columns of several: what people say themselves is theirs to say."""


def feature_origin(name: str, spec: SegmentationSpec, customers: CustomersSpec) -> Origin | None:
    """Find where a feature's values come from; None of an expression that reads no column.

    An aggregate is of its source, a column of the most trusted source that has it, an expression
    of all that it reads. Transactions count as CRM: like contracts, they say what somebody is
    worth. So do exposures, which tell what we did. Log-ins are of the web.
    """
    found = _origins(name, spec, customers)
    return next((origin for origin in _PRECEDENCE if origin in found), None)


def _origins(name: str, spec: SegmentationSpec, customers: CustomersSpec) -> set[Origin]:
    feature: FeatureSpec = spec.features[name]
    if feature.aggregate is not None:
        return {_of_source(feature.aggregate.source, customers)}
    by_column = customers.columns_by_source()
    by_column |= {f"has_{source}": [source] for source in customers.sources}
    column = feature_column(name, feature)
    columns = [column] if column is not None else columns_read(name, feature, spec)
    found = {_of_source(by_column[read][0], customers) for read in columns if read in by_column}
    for read in features_read(name, feature, spec):
        found |= _origins(read, spec, customers)
    return found


def _of_source(source: str, customers: CustomersSpec) -> Origin:
    kind = customers.sources[source].kind
    if kind == "identity":
        return "web"
    return "crm" if kind == "transactions" or kind == "exposures" else kind
