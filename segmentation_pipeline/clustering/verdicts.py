"""Each model's verdict, kept with it in `core.structure_verdicts`.

A verdict is of a model, not of a night: nights that keep a model show the verdict that it got, and
a date whose model is an older one shows that one's.
"""

import json

from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.clustering.structure.verdict import StructureVerdict
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_table

_DECLARATIONS = {
    "verdict": "VARCHAR NOT NULL",
    "sentence": "VARCHAR NOT NULL",
    "segments": "INTEGER NOT NULL",
    "examined_customers": "BIGINT NOT NULL",
    "examined_date": "DATE NOT NULL",
    "candidates": "INTEGER NOT NULL",
    "is_separated": "BOOLEAN NOT NULL",
    "border_p": "DOUBLE",
    "border_depth": "DOUBLE",
    "null_z": "DOUBLE",
    "null_p": "DOUBLE",
    "lowest_jaccard": "DOUBLE",
    "jaccards": "VARCHAR",
    "stability_scheme": "VARCHAR",
    "one_split_rule": "VARCHAR",
    "one_split_fidelity": "DOUBLE",
    "one_split_recall": "DOUBLE",
}
_COLUMNS = ", ".join(_DECLARATIONS)
_VERDICTS_SQL = f"""
CREATE TABLE IF NOT EXISTS core.structure_verdicts (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    {", ".join(f"{name} {type_}" for name, type_ in _DECLARATIONS.items())},
    PRIMARY KEY (segmentation, model_version)
)
"""
_Value = str | int | float | bool | None


def keep_verdict(
    connection: Connection, record: ModelRecord, verdict: StructureVerdict, build: Build
) -> None:
    """Keep the verdict of a model, which was examined on the customers of the build's date."""
    create_verdicts(connection)
    values = {
        "segmentation": record.segmentation,
        "model_version": record.model_version,
        "segments": record.k,
        "examined_date": build.as_of,
        **_figures(verdict),
    }
    marks = ", ".join("?" for _ in values)
    connection.execute(
        f"INSERT INTO core.structure_verdicts ({', '.join(values)}) VALUES ({marks})",
        list(values.values()),
    )


def is_judged(connection: Connection, record: ModelRecord) -> bool:
    """Whether a model has its verdict."""
    create_verdicts(connection)
    found = connection.execute(f"SELECT 1 FROM {_of_model_sql(record)}").fetchall()
    return bool(found)


def verdict_of(connection: Connection, record: ModelRecord) -> tuple[str, float | None]:
    """Read a model's verdict, a word, and the Jaccard index of its least stable segment.

    The model must be judged (`is_judged`); the index is None of one segment.
    """
    found = connection.execute(
        f"SELECT verdict, lowest_jaccard FROM {_of_model_sql(record)}"
    ).fetchall()
    return str(found[0][0]), found[0][1]


def make_structure_verdict(connection: Connection, record: ModelRecord, build: Build) -> int:
    """Write the night's `structure_verdict`: one row, the verdict of the model in force."""
    query = f"SELECT {_COLUMNS} FROM {_of_model_sql(record)}"
    return write_table(connection, Table(record.segmentation, "structure_verdict"), query, build)


def create_verdicts(connection: Connection) -> None:
    """Create the table of verdicts where there is none."""
    connection.execute(_VERDICTS_SQL)


def _of_model_sql(record: ModelRecord) -> str:
    return (
        f"core.structure_verdicts WHERE segmentation = {literal(record.segmentation)}"
        f" AND model_version = {literal(record.model_version)}"
    )


def _figures(verdict: StructureVerdict) -> dict[str, _Value]:
    """Every figure behind the verdict; None where there is nothing to compute it from."""
    figures: dict[str, _Value] = {
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "examined_customers": verdict.n_customers,
        "candidates": verdict.n_tried,
        "is_separated": verdict.separated,
    }
    if verdict.evidence is not None:
        border, stability = verdict.evidence.border, verdict.evidence.stability
        figures |= {
            "border_p": border.p,
            "border_depth": border.depth,
            "lowest_jaccard": stability.worst,
            "jaccards": json.dumps([round(jaccard, 4) for jaccard in stability.jaccards]),
            "stability_scheme": stability.scheme,
        }
        if verdict.evidence.null is not None:
            figures |= {"null_z": verdict.evidence.null.z, "null_p": verdict.evidence.null.p}
    if verdict.one_split is not None:
        figures |= {
            "one_split_rule": verdict.one_split.rule,
            "one_split_fidelity": verdict.one_split.fidelity,
            "one_split_recall": verdict.one_split.recall,
        }
    return figures
