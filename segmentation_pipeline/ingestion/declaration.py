"""What of a source's declaration decides how its files are read, as a digest."""

import hashlib
import json

from segmentation_pipeline.specification.sources import SourceSpec

_ALWAYS = (
    "kind", "format", "delimiter", "encoding", "null_words", "key", "time", "snapshot_date",
    "columns", "maximum_rejected_share",
)  # fmt: skip
_ALWAYS_OF_COLUMNS = ("type", "header", "formats", "null_words")
_WHERE_USED = (
    "quote", "has_header", "column_count", "decimal_mark", "thousands_mark", "sheet", "database",
    "visitors", "identity", "long", "ignore_rows",
)  # fmt: skip
_WHERE_USED_OF_COLUMNS = ("position", "start", "width")
_ANSWERS = ("words", "number", "blank")
"""Settings that came later: a home of an earlier release, which says nothing of them, must not read
all its files again. The order of names counts, in all of them."""


def reading_digest(source: SourceSpec) -> str:
    """Digest what in a source's declaration decides how its files are read.

    Descriptions, expectations and ranges don't: they change nothing in the raw table.
    """
    given = source.model_dump(mode="json")
    used = source.model_dump(mode="json", exclude_defaults=True)
    declared = {name: given[name] for name in _ALWAYS}
    declared["columns"] = {
        name: {part: column[part] for part in _ALWAYS_OF_COLUMNS}
        | {part: column[part] for part in _WHERE_USED_OF_COLUMNS if column[part] is not None}
        | {part: column[part] for part in _ANSWERS if part in used["columns"][name]}
        for name, column in given["columns"].items()
    }
    declared |= {name: used[name] for name in _WHERE_USED if name in used}
    return hashlib.sha256(json.dumps(declared).encode()).hexdigest()
