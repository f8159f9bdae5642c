"""Source files -> raw tables: found, verified, read as declared, typed, audited.

`files` finds them and `databases` copies them out of a database; `decoding`, `csv_text` and
`headers` verify them; `lines` and `sheets` part what is no CSV; `typing_sql` and `incoming` read
them, `numbering` knows which line a row stood on, `loads` remembers what was loaded, and `loading`
does the night's work. `inspecting` proposes a declaration for files that have none: the one place
that guesses. What values are possible, and what becomes of those that are not, belongs to
`validation` and `preparation`.
"""

from segmentation_pipeline.ingestion.files import source_files
from segmentation_pipeline.ingestion.first_segmentation import propose_segmentation
from segmentation_pipeline.ingestion.inspecting import propose_customers
from segmentation_pipeline.ingestion.loading import LoadSummary, load_source
from segmentation_pipeline.ingestion.loads import (
    REJECTED_ROWS,
    SOURCE_LOADS,
    raw_table,
    snapshot_in_force,
)
from segmentation_pipeline.ingestion.looking import check_source, latest_date
from segmentation_pipeline.ingestion.volumes import usual_rows

__all__ = [
    "REJECTED_ROWS",
    "SOURCE_LOADS",
    "LoadSummary",
    "check_source",
    "latest_date",
    "load_source",
    "propose_customers",
    "propose_segmentation",
    "raw_table",
    "snapshot_in_force",
    "source_files",
    "usual_rows",
]
