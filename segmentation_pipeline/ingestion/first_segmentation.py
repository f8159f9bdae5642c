"""A first segmentation for a proposed customers.yaml, so that a newcomer's home can run at once."""

import yaml

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.inspecting import BIRTH_WORD
from segmentation_pipeline.ingestion.keys_sql import key_parts
from segmentation_pipeline.ingestion.proposing import on_one_line
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec


def propose_segmentation(customers: str) -> str:
    """Propose a segmentation, as YAML text, over everything in a customers.yaml that can be one.

    Numbers, categories and choices of customers become features, free texts describe, and of events
    there are their count, their recency and the sums of their numbers; keys and what is personal or
    sensitive do not, nor does a column's only category. Counts enter by their logarithm and sums
    within their 1 % and 99 % quantiles: the few customers who buy most would else be segments of
    their own. Raises SourceError where nothing can make segments.
    """
    spec = CustomersSpec.model_validate(yaml.safe_load(customers))
    keys = key_parts(spec.sources[spec.customers.base].key)
    answers = spec.answers()
    parts = {part for name, one in answers.items() for part in one[0].as_columns(name)}
    wanted = {
        name: f"criterion: {_criterion(name, column)}"
        for name, column in spec.customer_columns().items()
        if (column.is_numeric or column.type == "category")
        and (column.categories is None or len(column.categories) > 1)
        and not (column.personal or column.sensitive or name in {*keys, *parts})
    }
    wanted |= {
        name: "criterion: needs" if one[0].type == "choices" else "use: profile"
        for name, one in answers.items()
        if not one[0].sensitive
    }
    features = [f"  {on_one_line(name)}: {{{said}}}" for name, said in wanted.items()]
    for source, declared in spec.sources.items():
        if declared.is_attributes:
            continue
        aggregates = {
            "count": ("function: count", "transform: log1p"),
            "recency": ("function: recency_days", None),
        }
        aggregates |= {
            name: (
                f"function: sum, column: {on_one_line(name)}",
                "clip: {lower_quantile: 0.01, upper_quantile: 0.99}",
            )
            for name, column in declared.columns.items()
            if column.type == "number" and name not in key_parts(declared.key)
        }
        for name, (function, shape) in aggregates.items():
            features += [
                f"  {source}_{name}:",
                "    criterion: behaviour",
                f"    aggregate: {{source: {on_one_line(source)}, {function}}}",
                *([f"    {shape}"] if shape else []),
            ]
    if not any("criterion:" in line for line in features):
        raise SourceError(
            "no column can make segments: no number, no category of several values, no events. "
            "Nothing was written; without --write it shows what the columns seem to be"
        )
    return "\n".join(
        [
            "# Everything that can be a feature. Take away what should not tell customers apart,",
            "# and name for each feature the criterion that it stands for.",
            "title: First look",
            "criteria:",
            "  behaviour: What they do.",
            "  needs: What they are and say.",
            "features:",
            *features,
            "",
        ]
    )


def _criterion(name: str, column: ColumnSpec) -> str:
    """Take a category, or a year of birth, for what customers are; any other number is done."""
    is_said = column.type == "category" or BIRTH_WORD.search(name)
    return "needs" if is_said else "behaviour"
