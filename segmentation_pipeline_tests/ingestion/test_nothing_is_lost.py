"""Whatever a file holds, each row of it comes back as it was written, or is counted and told.

Or the file is refused as a whole, with an error of ours. Rows are made by hypothesis, always the
same ones, written by the standard library or pyarrow, and loaded as a night does.
"""

import csv
import datetime as dt
import io
import json
import math
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

NIGHT = Build(dt.date(2025, 1, 1), "run-1")
BLANKS = re.compile(r"^[\t\n\r\s\u00a0]+|[\t\n\r\s\u00a0]+$")
NULL_WORDS = ("", "NA", "N/A", "null", "NULL")
TYPES = {"id": "text", "amount": "number", "words": "text"}
examples = settings(
    max_examples=30, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(float),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([0.0, -0.5, 1e-300, 1e300, 1234.5]),
)
ids = st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True)


def texts(encoding):
    """Texts that an encoding has, with quotes, delimiters and blanks, without control signs."""
    signs = st.characters(codec=encoding, exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp", "Zs"))
    return st.text(st.one_of(signs, st.sampled_from(" ,;|'\"\t.")), max_size=12)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with open_warehouse(home / "warehouse.duckdb", threads=1) as connection:

        def load(content, parts, types=TYPES):
            """Load a file; returns its rows, what was rejected, and the summary."""
            (home / "people").write_bytes(content)
            source = SourceSpec.model_validate({
                "kind": "survey", "path": "people", "key": "id", "maximum_rejected_share": 1,
                "columns": {name: {"type": kind} for name, kind in types.items()}, **parts,
            })  # fmt: skip
            summary = load_source(connection, home, "people", source, NIGHT)
            rows = connection.execute(
                f"SELECT source_row, {', '.join(types)} FROM raw.raw_people"
            ).fetchall()
            rejected = connection.execute(
                "SELECT column_name FROM core.rejected_rows WHERE load_id IN"
                " (SELECT max(load_id) FROM core.source_loads)"
            ).fetchall()
            assert summary.rows == len(rows)
            return {row[0]: row[1:] for row in rows}, [name for (name,) in rejected], summary

        yield load


def as_read(text):
    """What a text of a file is, by the declaration: trimmed, and no word for "no value"."""
    trimmed = None if text is None else BLANKS.sub("", text)
    return None if trimmed in NULL_WORDS else trimmed


def require_all(written, rows, rejected, summary):
    """Each written row is loaded with its values, or counted; each lost value is counted."""
    assert summary.rows + summary.rejected_rows == len(written)
    assert rejected.count(None) == summary.rejected_rows
    lost = 0
    for number, values in enumerate(written, 1):
        if number in rows:
            for value, found in zip(values, rows[number], strict=True):
                lost += value is not None and found is None
                assert found is None or found == value or math.isclose(found, value), number
    assert lost == summary.rejected_values == len(rejected) - rejected.count(None)


@examples
@given(data=st.data())
def test_delimited_text(load, data):
    delimiter = data.draw(st.sampled_from([",", ";", "\t", "|", "~", "\u00a7"]))
    quote = data.draw(st.sampled_from(['"', "'"]))
    marks = data.draw(st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " ")]))
    encoding = data.draw(st.sampled_from(["utf-8", "cp1252", "utf-16", "iso-8859-15"]))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    people = data.draw(st.lists(st.tuples(ids, numbers, texts(encoding)), min_size=1, max_size=8))
    assume(marks[1] != delimiter)
    content = io.StringIO(newline="")
    writer = csv.writer(
        content, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=csv.QUOTE_MINIMAL
    )
    writer.writerow(TYPES)
    for name, number, words in people:
        plain = f"{number:,.3f}" if marks[1] and abs(number) >= 1 else repr(number)
        marked = plain.translate(str.maketrans({",": marks[1], ".": marks[0]}))
        writer.writerow([name, marked, words])
    decimal, thousands = marks
    parts = {"delimiter": delimiter, "quote": quote, "encoding": encoding}
    parts |= {"decimal_mark": decimal, "thousands_mark": thousands}
    found = load(content.getvalue().encode(encoding), parts)
    written = [
        (as_read(name), round(number, 3) if thousands and abs(number) >= 1 else number, as_read(w))
        for name, number, w in people
    ]
    require_all(written, *found)


@examples
@given(lines=st.lists(st.lists(texts("utf-8"), min_size=1, max_size=5), min_size=1, max_size=8))
def test_ragged_lines_are_loaded_or_counted(load, lines):
    content = io.StringIO(newline="")
    writer = csv.writer(content, lineterminator="\n")
    writer.writerows([[*TYPES], *lines])
    is_good = [len(line) == len(TYPES) and as_read(line[0]) is not None for line in lines]
    try:
        rows, rejected, summary = load(content.getvalue().encode(), {})
    except SourceError:
        rows = {}
    assert len(rows) == sum(is_good)
    if not rows:
        return
    assert summary.rows + summary.rejected_rows == len(lines)
    assert rejected.count(None) == summary.rejected_rows
    for number, (name, _, words) in rows.items():
        assert (name, words) == (as_read(lines[number - 1][0]), as_read(lines[number - 1][2]))


@examples
@given(content=st.binary(max_size=80))
def test_any_bytes_are_loaded_counted_or_refused(load, content):
    lines = content.count(b"\n") + content.count(b"\r") + 1
    try:
        _, rejected, summary = load(b"id,amount,words\n" + content, {"encoding": "latin-1"})
    except SourceError:
        return
    assert 1 <= summary.rows + summary.rejected_rows <= lines
    assert rejected.count(None) <= summary.rejected_rows


@examples
@given(
    people=st.lists(
        st.tuples(ids, st.none() | numbers, st.none() | texts("utf-8")), min_size=1, max_size=8
    ),
    is_ascii=st.booleans(),
)
def test_json_lines(load, people, is_ascii):
    lines = [
        json.dumps(dict(zip(TYPES, row, strict=True)), ensure_ascii=is_ascii) for row in people
    ]
    found = load("\n".join(lines).encode(), {"format": "ndjson"})
    require_all([(as_read(name), number, as_read(w)) for name, number, w in people], *found)


@examples
@given(
    people=st.lists(
        st.tuples(
            st.none() | ids,
            st.none() | st.floats(),
            st.none() | texts("utf-8"),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.datetimes(),
        ),
        min_size=1, max_size=8,
    ),
)  # fmt: skip
def test_parquet(load, people):
    types = {**TYPES, "count": "integer", "seen": "timestamp"}
    kinds = [pa.string(), pa.float64(), pa.string(), pa.int64(), pa.timestamp("us")]
    columns = zip(*people, strict=True)
    table = pa.table(
        {
            name: pa.array(values, kind)
            for name, values, kind in zip(types, columns, kinds, strict=True)
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content)
    try:
        found = load(content.getvalue(), {"format": "parquet"}, types)
    except SourceError:
        # The one reason: not one row has an id.
        is_refused = True
    else:
        is_refused = False
    readable = sum(as_read(row[0]) is not None for row in people)
    assert is_refused == (readable == 0)
    if is_refused:
        return
    written = [(as_read(row[0]), row[1], as_read(row[2]), *row[3:]) for row in people]
    require_all(written, *found)
    assert len(found[0]) == readable
