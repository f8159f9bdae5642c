"""From which features a segment can be learned for customers who lack a source."""

from collections.abc import Mapping
from typing import Any

from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.reading import Document, nearest
from segmentation_pipeline.specification.segmentation import SegmentationSpec

_HAS = "has_"


def sources_read(name: str, spec: SegmentationSpec, customers: CustomersSpec) -> frozenset[str]:
    """Name the sources that a feature's value comes from, by whatever way.

    A column that several sources have comes from all of them. Features must not run in a circle.
    """
    feature = spec.features[name]
    if feature.aggregate is not None:
        return frozenset({feature.aggregate.source})
    if feature.expression is None:
        return _sources_of_column(feature.column or name, customers)
    found: frozenset[str] = frozenset()
    for used in referenced_columns(feature.expression):
        # In its own expression, a feature's name is that of the column.
        if used != name and used in spec.features:
            found |= sources_read(used, spec, customers)
        else:
            found |= _sources_of_column(used, customers)
    return found


def typing_features(spec: SegmentationSpec, customers: CustomersSpec) -> Mapping[str, FeatureSpec]:
    """List the features that a typing model learns from; none where nobody is typed."""
    if spec.typing is None:
        return {}
    if spec.typing.features is not None:
        return {name: spec.features[name] for name in spec.typing.features}
    lacking = set(spec.typing.sources)
    return {
        name: feature
        for name, feature in spec.features.items()
        if feature.use != "input" and lacking.isdisjoint(sources_read(name, spec, customers))
    }


def check_typing(document: Document, spec: SegmentationSpec, customers: CustomersSpec) -> None:
    """Raise SpecificationError where `typing` names what there is not, or what those typed lack."""
    if spec.typing is None:
        return
    for index, source in enumerate(spec.typing.sources):
        if source not in customers.sources:
            hint = nearest(source, customers.sources)
            raise document.error(["typing", "sources", index], f"no source `{source}`; {hint}")
        if source == customers.customers.base:
            raise document.error(
                ["typing", "sources", index], f"every customer has `{source}`: it is the `base`"
            )
    for index, name in enumerate(spec.typing.features or []):
        if name not in spec.features:
            hint = nearest(name, spec.features)
            raise document.error(["typing", "features", index], f"no feature `{name}`; {hint}")
        if spec.features[name].use == "input":
            raise document.error(
                ["typing", "features", index], f"`{name}` is an input: give it `use: profile`"
            )
        lacking = sources_read(name, spec, customers) & set(spec.typing.sources)
        if lacking:
            raise document.error(
                ["typing", "features", index],
                f"`{name}` reads {', '.join(sorted(lacking))}, which those who are typed lack",
            )
    if not typing_features(spec, customers):
        raise document.error(
            ["typing"],
            "every feature reads a source that the customers to be typed lack: declare some that "
            "don't, with `use: profile`",
        )


def belonging_parts(spec: SegmentationSpec) -> list[Any]:
    """Tell what a fitted model depends on by `eligible` and `typing`, for its digest.

    Nothing where neither is there, so that a home that says nothing of them refits nothing.
    """
    parts: list[Any] = []
    if spec.eligible is not None:
        parts.append({"eligible": spec.eligible})
    if spec.typing is not None:
        parts.append({"typing": spec.typing.model_dump(mode="json", exclude={"in_profiles"})})
        features = sorted(spec.features.items())
        parts.append(
            {name: one.model_dump(mode="json", exclude={*one.unfitted}) for name, one in features}
        )
    return parts


def _sources_of_column(column: str, customers: CustomersSpec) -> frozenset[str]:
    if column.startswith(_HAS) and column.removeprefix(_HAS) in customers.sources:
        return frozenset({column.removeprefix(_HAS)})
    return frozenset(customers.columns_by_source().get(column, ()))
