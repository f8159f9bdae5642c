"""The ids of segments: given once, never reused, and never a model's label number.

A model numbers its clusters as it likes; readers join on `segment_id`. The registry
`core.segment_ids` says which id a cluster of a model version has, and keeps the label that a
segment was given when it was born.
"""

from collections.abc import Mapping

from segmentation_pipeline.warehouse import Connection, transaction

NOISE_LABEL = "in no segment"
"""What the customers are called whom no segment holds."""

_REGISTRY_SQL = """
CREATE TABLE IF NOT EXISTS core.segment_ids (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    raw_segment INTEGER NOT NULL,
    segment_id VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    label VARCHAR,
    PRIMARY KEY (segmentation, model_version, raw_segment)
)
"""


def segment_ids(
    connection: Connection, segmentation: str, model_version: int, clusters: int
) -> list[str]:
    """Give each cluster of a model version its segment id, new ones at the first call.

    Returns `clusters` ids in the order of the model's labels, such as `["staff-4", "staff-5"]`.
    """
    connection.execute(_REGISTRY_SQL)
    with transaction(connection):
        known = connection.execute(
            "SELECT segment_id FROM core.segment_ids WHERE segmentation = ? AND model_version = ?"
            " ORDER BY raw_segment",
            [segmentation, model_version],
        ).fetchall()
        if known:
            return [row[0] for row in known]
        last = connection.execute(
            "SELECT coalesce(max(number), 0) FROM core.segment_ids WHERE segmentation = ?",
            [segmentation],
        ).fetchall()[0][0]
        ids = [f"{segmentation}-{last + 1 + label}" for label in range(clusters)]
        for label, segment_id in enumerate(ids):
            connection.execute(
                "INSERT INTO core.segment_ids VALUES (?, ?, ?, ?, ?, NULL)",
                [segmentation, model_version, label, segment_id, last + 1 + label],
            )
    return ids


def noise_id(segmentation: str) -> str:
    """Name the row of customers whom no segment holds; the same under every model."""
    return f"{segmentation}-noise"


def label_segments(
    connection: Connection, segmentation: str, labels: Mapping[str, str]
) -> dict[str, str]:
    """Keep the label of each segment that has none yet; returns all labels now in force."""
    connection.execute(_REGISTRY_SQL)
    for segment_id, label in labels.items():
        connection.execute(
            "UPDATE core.segment_ids SET label = ?"
            " WHERE segmentation = ? AND segment_id = ? AND label IS NULL",
            [label, segmentation, segment_id],
        )
    rows = connection.execute(
        "SELECT DISTINCT segment_id, label FROM core.segment_ids"
        " WHERE segmentation = ? AND label IS NOT NULL",
        [segmentation],
    ).fetchall()
    return dict(rows)
