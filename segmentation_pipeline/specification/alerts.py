"""Who is told when a night fails, or ends with warnings."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel


class Alerts(ClosedModel):
    """Where an alert goes: a command, a webhook, or both.

    An alert is a JSON object: home, as_of, run_id, kind (`failed` or `warning`), is_published and
    messages. It names tables, checks, files and counts, never a customer's values.
    """

    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """A program and its arguments, such as [/usr/local/bin/page-somebody, --team, data]. It is
    started without a shell, in the home's folder, and reads the alert from its standard input."""
    webhook_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The environment variable that holds a URL (http or https), to which the alert is posted.
    Never the URL itself: it often holds a secret."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """How long to wait for the command, and for the webhook."""
    on_warnings: bool = True
    """Whether a night that was published with warnings is told of, too: a check that only warns, a
    refit that wants a person, a challenger that waits."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.command is None and self.webhook_variable is None:
            raise ValueError("`alerts` needs a `command`, a `webhook_variable` or both")
        return self
