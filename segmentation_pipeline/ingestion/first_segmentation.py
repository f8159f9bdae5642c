"""A first segmentation for a proposed customers.yaml, so that a newcomer's home can run at once."""

import yaml

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.specification.customers import CustomersSpec


def propose_segmentation(customers: str) -> str:
    """Propose a segmentation, as YAML text, over everything in a customers.yaml that can be one.

    Numbers and categories of customers become features, and of events their count, their recency
    and the sums of their numbers; what is personal or sensitive does not. Raises SourceError where
    nothing can be a feature.
    """
    spec = CustomersSpec.model_validate(yaml.safe_load(customers))
    features = [
        f"  {name}: {{criterion: {'needs' if column.type == 'category' else 'behaviour'}}}"
        for name, column in spec.customer_columns().items()
        if (column.is_numeric or column.type == "category")
        and not (column.personal or column.sensitive)
    ]
    for source, declared in spec.sources.items():
        if declared.is_attributes:
            continue
        sums = [
            f"{source}_{name}: function: sum, column: {name}"
            for name, column in declared.columns.items()
            if column.is_numeric and column.type == "number" and name not in declared.key_columns
        ]
        counts = [f"{source}_count: function: count", f"{source}_recency: function: recency_days"]
        features += [
            f"  {one.partition(': ')[0]}:\n    criterion: behaviour\n"
            f"    aggregate: {{source: {source}, {one.partition(': ')[2]}}}"
            for one in (*counts, *sums)
        ]
    if not features:
        raise SourceError(
            "no column can be a feature: no number, no category and no events; correct the types "
            "in customers.yaml"
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
