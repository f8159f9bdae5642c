"""Features over answers: one feature of a segmentation's file -> the features that it becomes.

What belongs here: several options as a block of yes/no features, a free text as counts that
describe, and why anything else cannot be made of them. Which columns of `customers` answers become
belongs to `answers`.
"""

from collections.abc import Iterable, Mapping

from segmentation_pipeline.specification.answers import COUNT, AnswerPart
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.references import refuse_guarded
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def with_answer_features(
    document: Document, spec: SegmentationSpec, customers: CustomersSpec
) -> SegmentationSpec:
    """Put what a feature over an answer becomes in its place.

    Of choices, that is a feature for each option, all in one block, and their count, which only
    describes. Of a free text, with `use: profile`, it is what is counted of it. Raises
    SpecificationError where a feature asks for anything else of an answer.
    """
    answers = {name: declared[0] for name, declared in customers.answers().items()}
    if not answers:
        return spec
    features: dict[str, FeatureSpec] = {}
    made: dict[str, list[str]] = {}
    for name, feature in spec.features.items():
        is_column = feature.expression is None and feature.aggregate is None
        column = feature.column or name
        if not is_column or column not in answers:
            features[name] = feature
            continue
        place = ["features", name]
        _check(document, place, feature, column, answers[column], customers)
        told_of = feature.description or answers[column].description or name.replace("_", " ")
        feature = feature.model_copy(update={"description": told_of})
        found: dict[str, FeatureSpec] = {}
        for part, told in _parts(customers, column).items():
            made_of = f"{column}__{part}"
            found[f"{name}__{part}"] = _feature(name, feature, made_of, told, is_first=not found)
        own_count = f"{name}__{COUNT}"
        if answers[column].type == "choices" and own_count in spec.features:
            del found[own_count]
        for part in found:
            if part in spec.features:
                raise document.error(
                    ["features", part], f"`{name}` makes a feature of this name: leave one out"
                )
        made[name] = [part for part in found if part != own_count]
        features |= found
    return _named(spec, features, made)


def refuse_answers(
    document: Document, place: Place, used: Iterable[str], customers: CustomersSpec
) -> None:
    """Refuse an answer where SQL over `customers` names it: only its parts are columns there."""
    for name in used:
        answers = customers.answers().get(name)
        if answers is not None:
            raise document.error(place, f"`{name}` {_reason(name, answers[0])}")


def _check(
    document: Document,
    place: Place,
    feature: FeatureSpec,
    name: str,
    column: ColumnSpec,
    customers: CustomersSpec,
) -> None:
    if column.type == "free_text":
        if feature.encoding is not None or feature.use != "profile":
            raise document.error(place, f"`{name}` {_reason(name, column)}")
    else:
        refuse_guarded(document, place, [name], {name: column})
    refuse_guarded(document, place, column.as_columns(name), customers.customer_columns())
    for setting, is_set in {
        "encoding": feature.encoding is not None,
        "transform": feature.transform != "none",
        "clip": feature.clip is not None,
    }.items():
        if is_set:
            raise document.error(
                [*place, setting],
                f"`{setting}` makes no sense for {column.type}: each option is yes or no"
                if column.type == "choices"
                else f"a free text has several counts: give `{setting}` to a feature over one",
            )
    known = {part.option for part in column.parts if part.option is not None}
    for word in feature.words:
        if word not in known:
            hint = nearest(word, known) if known else "a free text has no options"
            raise document.error([*place, "words"], f"`{word}`: {hint}")


def _reason(name: str, column: ColumnSpec) -> str:
    """Say why something cannot be made of an answer, and what can, after its name."""
    parts = ", ".join(f"`{part}`" for part in column.as_columns(name))
    if column.type == "choices":
        return f"holds several options, which are columns of their own: {parts}"
    return (
        "is free text: it is personal, and has no categories to make segments by. Use a count of "
        f"it as a feature ({parts}), say `use: profile` to describe segments by all of them, or "
        "sort the answers into a category where they come from"
    )


def _parts(customers: CustomersSpec, column: str) -> Mapping[str, AnswerPart]:
    """List what an answer becomes in any of its sources, by name; the count is last."""
    found = {part.name: part for declared in customers.answers()[column] for part in declared.parts}
    return dict(sorted(found.items(), key=lambda item: item[0] == COUNT))


def _feature(
    name: str, feature: FeatureSpec, column: str, part: AnswerPart, *, is_first: bool
) -> FeatureSpec:
    words = feature.words.get(part.option) if part.option is not None else None
    is_member = part.option is not None and feature.use == "clustering"
    # Who gave no answer lacks every part of it: one column says so.
    says_missing = is_first or feature.missing != "indicator"
    return feature.model_copy(
        update={
            "column": column,
            "description": f"{feature.description}: {part.description}",
            "unit": part.unit,
            "words": {"high": words} if words is not None else {},
            "block": name if is_member else None,
            "missing": feature.missing if says_missing else "centre",
            "use": feature.use if is_member or feature.use == "input" else "profile",
        }
    )


def _named(
    spec: SegmentationSpec, features: Mapping[str, FeatureSpec], made: Mapping[str, list[str]]
) -> SegmentationSpec:
    update: dict[str, object] = {"features": features}
    if spec.typing is not None and spec.typing.features is not None:
        listed = [one for name in spec.typing.features for one in made.get(name, [name])]
        update["typing"] = spec.typing.model_copy(update={"features": listed})
    return spec.model_copy(update=update)
