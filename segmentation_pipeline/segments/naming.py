"""Names that people give to segments, in the YAML or by `segmentation rename`; they stick.

What belongs here: which name is in force, and who may change it. Names that are made of traits
belong to `trait_names`, and are kept by `identity`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.segments.identity import create_registry
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.segmentation import LONGEST_NAME
from segmentation_pipeline.warehouse import Connection, transaction


@dataclass(frozen=True)
class Renaming:
    """A segment that is called otherwise from now on; `before` is None if it had no name."""

    segment_id: str
    before: str | None
    after: str


def apply_names(
    connection: Connection, segmentation: str, names: Mapping[str, str]
) -> tuple[list[Renaming], list[str]]:
    """Give segments the names of the YAML; returns what changed, and the ids that don't exist.

    A name that is taken out of the YAML stays: it is changed by another name, never by silence.
    Raises SpecificationError where two segments would be called alike.
    """
    with transaction(connection):
        known = _names(connection, segmentation)
        given = {one: name for one, name in names.items() if one in known}
        _check_distinct(_called(connection, segmentation) | given, given)
        changed = [
            _rename(connection, segmentation, segment_id, known[segment_id], name)
            for segment_id, name in names.items()
            if segment_id in known and known[segment_id] != name
        ]
    return changed, [segment_id for segment_id in names if segment_id not in known]


def rename_segment(
    connection: Connection,
    segmentation: str,
    segment_id: str,
    name: str,
    *,
    declared: Mapping[str, str],
) -> Renaming:
    """Give a segment a name, as `segmentation rename` does.

    Raises SpecificationError where there is no such segment, where another one has the name, and
    where the YAML names it (`declared`): the next night would take the new name back.
    """
    known = _names(connection, segmentation)
    if not known:
        raise SpecificationError(f"{segmentation} has no segments yet: `segmentation run` first")
    if segment_id not in known:
        raise SpecificationError(
            f"{segmentation} has no segment `{segment_id}`; {nearest(segment_id, known)}"
        )
    name = name.strip()
    if not name:
        raise SpecificationError(f"{segment_id}: a name has at least one letter")
    if len(name) > LONGEST_NAME:
        raise SpecificationError(
            f"{segment_id}: a name has at most {LONGEST_NAME} letters, and this one {len(name)}"
        )
    if declared.get(segment_id, name) != name:
        raise SpecificationError(
            f"{segment_id} is named in segmentations/{segmentation}.yaml: change `names` there"
        )
    _check_distinct(_called(connection, segmentation) | {segment_id: name}, {segment_id: name})
    with transaction(connection):
        return _rename(connection, segmentation, segment_id, known[segment_id], name)


def _names(connection: Connection, segmentation: str) -> dict[str, str | None]:
    create_registry(connection)
    rows = connection.execute(
        "SELECT segment_id, given_name FROM core.segments_known WHERE segmentation = ?"
        " ORDER BY number",
        [segmentation],
    ).fetchall()
    return dict(rows)


def _called(connection: Connection, segmentation: str) -> dict[str, str]:
    """Segment id -> what it is called, by people or by its traits; those with a name."""
    rows = connection.execute(
        "SELECT segment_id, coalesce(given_name, label) AS called FROM core.segments_known"
        " WHERE segmentation = ? AND called IS NOT NULL ORDER BY number",
        [segmentation],
    ).fetchall()
    return dict(rows)


def _check_distinct(called: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Refuse a name that is given while another segment has it."""
    for segment_id, name in given.items():
        for other, taken in called.items():
            if other != segment_id and taken.casefold() == name.casefold():
                raise SpecificationError(
                    f"{segment_id} can't be named so: {other} is called so already, and two "
                    "segments need two names"
                )


def _rename(
    connection: Connection, segmentation: str, segment_id: str, before: str | None, after: str
) -> Renaming:
    connection.execute(
        "UPDATE core.segments_known SET given_name = ? WHERE segmentation = ? AND segment_id = ?",
        [after, segmentation, segment_id],
    )
    return Renaming(segment_id, before, after)
