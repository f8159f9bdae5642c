"""Under what a load's unreadable rows, and what else is said of it, are noted."""

from dataclasses import dataclass

from segmentation_pipeline.warehouse import literal


@dataclass(frozen=True)
class Audit:
    """Which load it is: of which file of which source."""

    load_id: int
    source: str
    file: str

    @property
    def sql(self) -> str:
        """The three as a SELECT's columns."""
        return f"{self.load_id}, {literal(self.source)}, {literal(self.file)}"
