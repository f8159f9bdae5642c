"""The manners that every model of a specification file shares: closed, frozen, described."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from segmentation_pipeline.warehouse import is_plain_identifier


class ClosedModel(BaseModel):
    """A model that refuses unknown keys and never changes once loaded."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def _plain_name(name: str) -> str:
    if not is_plain_identifier(name) or name != name.lower():
        raise ValueError(
            "a name is made of lower-case letters, digits and underscores, and begins with a letter"
        )
    return name


Name = Annotated[str, AfterValidator(_plain_name)]
"""The name of a source, a column, a feature or a segmentation."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share between 0 and 1."""
