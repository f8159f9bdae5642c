"""Answers in words, or with words around the number, are read as declared, or set aside."""

import pytest

from segmentation_pipeline.ingestion import scales_sql, typing_sql
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import literal, open_in_memory

AGREEMENT = {
    "strongly disagree": 1,
    "disagree": 2,
    "neither": 3,
    "agree": 4,
    "strongly agree": 5,
}
NO_NUMBER = scales_sql.NO_NUMBER
SEVERAL = scales_sql.MORE_THAN_ONE_NUMBER
NOT_WHOLE = typing_sql.NOT_A_WHOLE_NUMBER
NOT_A_NUMBER = typing_sql.NOT_A_NUMBER


@pytest.fixture(scope="module")
def connection():
    with open_in_memory(memory_limit="100MB", threads=1) as opened:
        yield opened


@pytest.fixture
def read(connection):
    """The value of an answer, or the one reason why there is none."""

    def _read(text, column, marks=None):
        typed = typing_sql.typed_text(
            ColumnSpec.model_validate(column), "t", marks or typing_sql.Marks()
        )
        unread = (typed.unread or "false").format(value="value")
        whens = [f"CASE WHEN {sql} THEN {literal(why)} END" for why, sql in typed.reasons]
        reasons = ", ".join(whens)
        value, is_unread, told = connection.execute(
            f"SELECT value, {unread}, [{reasons}] FROM"
            f" (SELECT t, {typed.sql} AS value FROM (SELECT CAST({literal(text)} AS VARCHAR) AS t))"
        ).fetchall()[0]
        if not is_unread:
            return value
        (why,) = (one for one in told if one is not None)
        return why

    return _read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("agree", 4),
        ("AGREE", 4),
        ("Strongly \t agree", 5),
        ("strongly\u00a0disagree", 1),
        ("3", 3),
        ("3.0", 3),
        (None, None),
        ("agreed", NO_NUMBER),
        ("I agree", NO_NUMBER),
        ("4 of 5", NOT_WHOLE),
        ("4.5", NOT_WHOLE),
    ],
)
def test_words_are_worth_what_was_declared_and_nothing_else_is_guessed(read, text, value):
    assert read(text, {"type": "integer", "words": AGREEMENT}) == value


@pytest.mark.parametrize(
    ("text", "first", "last", "only"),
    [
        ("5 - strongly agree", 5, 5, 5),
        ("4/5", 4, 5, SEVERAL),
        ("about 30 minutes", 30, 30, 30),
        ("10+", 10, 10, 10),
        ("10-20", 10, 20, SEVERAL),
        ("between 3 and 4.5", 3, 4.5, SEVERAL),
        ("-3 degrees", -3, -3, -3),
        ("it fell to -3", -3, -3, -3),
        ("\u22123 degrees", -3, -3, -3),
        ("(4)", 4, 4, 4),
        ("about .5 hours", 0.5, 0.5, 0.5),
        ("no.5", 5, 5, 5),
        ("3rd", 3, 3, 3),
        ("1e3 or so", 1000, 1000, 1000),
        ("7", 7, 7, 7),
        ("some", NO_NUMBER, NO_NUMBER, NO_NUMBER),
        # Never a part of a number: what belongs together is read as one, or not at all.
        ("1,500 euros", NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER),
        ("1.2.2024", NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER),
        ("3_4", NOT_A_NUMBER, NOT_A_NUMBER, NOT_A_NUMBER),
    ],
)
def test_the_number_among_words(read, text, first, last, only):
    found = [read(text, {"type": "number", "number": one}) for one in ("first", "last", "only")]

    assert found == [first, last, only]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ca. 1.234,5 EUR", 1234.5),
        ("1,5 h", 1.5),
        ("1.5 h", NOT_A_NUMBER),
        ("1.234.567", 1234567),
        ("12.34,5 EUR", NOT_A_NUMBER),
    ],
)
def test_marks_of_numbers_among_words_are_the_declared_ones(read, text, value):
    column = {"type": "number", "number": "first"}
    assert read(text, column, typing_sql.Marks(",", ".")) == value


def test_blanks_between_thousands_hold_a_number_together_only_where_declared(read):
    column = {"type": "number", "number": "first"}

    assert read("about 1 500 euros", column, typing_sql.Marks(".", " ")) == 1500
    assert read("about 1 500 euros", column) == 1
    assert read("5 10", column, typing_sql.Marks(".", " ")) == NOT_A_NUMBER


def test_a_declared_word_goes_before_the_number_in_it(read):
    column = {"type": "integer", "words": {"10 or more": 12, "20-30": 25}, "number": "first"}

    assert [read(text, column) for text in ("10 or more", "20-30", "10 or so")] == [12, 25, 10]


def test_a_file_is_loaded_and_what_cannot_be_read_is_listed_by_line(workshop, make_source):
    workshop.write("id,q1\na,5 - yes\nb,agree\nc,maybe\nd,\ne,4/5\n")
    scale = {"type": "integer", "words": {"agree": 4}, "number": "only", "maximum_null_share": 1}
    source = make_source(columns={"id": {"type": "text"}, "q1": scale})

    summary = workshop.load(source)

    assert workshop.rows("customer_id, q1") == [
        ("a", 5), ("b", 4), ("c", None), ("d", None), ("e", None),
    ]  # fmt: skip
    assert workshop.rejects() == [(4, "q1", NO_NUMBER), (6, "q1", SEVERAL)]
    assert summary.rejected_values == 2


def test_other_words_read_the_file_again_and_a_scale_turned_around_does_not(workshop, make_source):
    workshop.write("id,q1\na,agree\n")

    def load(day, **scale):
        column = {"type": "integer", "minimum": 1, "maximum": 5, **scale}
        source = make_source(columns={"id": {"type": "text"}, "q1": column})
        return workshop.load(source, day).files_loaded

    assert load(1, words={"agree": 4}) == 1
    assert load(2, words={"agree": 4}, reverse=True) == 0
    assert load(3, words={"agree": 5}) == 1
    assert workshop.rows("q1") == [(5,)]


def test_numbers_of_a_typed_file_need_no_words(workshop, make_source):
    workshop.connection.execute(
        f"COPY (SELECT 'a' AS id, 4 AS q1) TO '{workshop.home}/people.parquet' (FORMAT parquet)"
    )
    scale = {"type": "integer", "words": {"agree": 4}}
    source = make_source(
        columns={"id": {"type": "text"}, "q1": scale}, format="parquet", path="people.parquet"
    )

    workshop.load(source)

    assert workshop.rows("q1") == [(4,)]
