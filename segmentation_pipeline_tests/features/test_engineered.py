import datetime as dt
import itertools

import pyarrow as pa
import pytest

from segmentation_pipeline.errors import PreparationError, StaleUpstreamError
from segmentation_pipeline.features.engineered import make_engineered_features
from segmentation_pipeline.warehouse import (
    Build,
    DatabaseError,
    Table,
    literal,
    open_warehouse,
    record_build,
)

COLUMNS = {
    "age": "integer",
    "clicks": "number",
    "mails": "number",
    "city": "category",
    "born": "date",
    "is_member": "boolean",
}
CUSTOMERS = {
    "customer_id": ["a", "b", "c", "d"],
    "age": [30, 40, None, 20],
    "clicks": [4.0, 1.0, 0.0, None],
    "mails": [2.0, 0.0, 0.0, 5.0],
    "city": ["Rome", "Oslo", None, "Rome"],
    "born": pa.array([dt.date(1990, 5, 1), None, None, None], pa.date32()),
    "is_member": [True, False, None, True],
}


def test_columns_keep_unit_and_category(put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    spec = specify({"age": {}, "town": {"column": "city"}, "is_member": {}})
    summary, made = engineer(spec, COLUMNS)
    assert made == {
        "customer_id": ["a", "b", "c", "d"],
        "age": [30.0, 40.0, None, 20.0],
        "town": ["Rome", "Oslo", None, "Rome"],
        "is_member": [True, False, None, True],
    }
    assert (summary.rows, summary.left_out) == (4, 0)
    assert summary.missing == {"age": 1, "town": 1, "is_member": 1}
    assert summary.undefined == {"age": 0, "town": 0, "is_member": 0}


def test_division_by_zero_is_null_and_counted(put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    spec = specify(
        {
            "rate": {"expression": "clicks / mails"},
            "whole": {"expression": "clicks // mails"},
            "rest": {"expression": "age % mails"},
            "capped": {"expression": "least(clicks / mails, 1)"},
            "with_default": {"expression": "coalesce(clicks / mails, -1)"},
            "band": {"expression": "CASE WHEN clicks / mails > 1 THEN 'high' ELSE 'low' END"},
        }
    )
    summary, made = engineer(spec, COLUMNS)
    assert made["rate"] == [2.0, None, None, None]
    assert made["whole"] == [2.0, None, None, None]
    assert made["rest"] == [0.0, None, None, 0.0]
    assert made["with_default"] == [2.0, -1.0, -1.0, -1.0]
    # Infinity would have made a 1 and a "high" of b, who got no mail.
    assert made["capped"][0] == 1.0
    assert made["band"][1] == "low"
    # d has no clicks: its rate is missing, but nothing was divided by zero.
    assert summary.undefined["rate"] == 2
    assert summary.missing["rate"] == 3
    assert summary.undefined["rest"] == 1
    assert summary.undefined["with_default"] == 0


def test_an_expression_that_fails_for_a_customer_is_null_for_that_customer(
    put_customers, specify, engineer
):
    put_customers(CUSTOMERS)
    spec = specify(
        {
            "logarithm": {"expression": "ln(clicks)"},
            "parsed": {"expression": "CAST(city AS DOUBLE)"},
            "beyond": {"expression": "clicks * 1e15"},
            "not_finite": {"expression": "clicks * 'inf'::DOUBLE"},
        }
    )
    summary, made = engineer(spec, COLUMNS)
    assert made["logarithm"][1:] == [0.0, None, None]
    assert made["parsed"] == [None] * 4
    assert made["beyond"] == [None, 1e15, 0.0, None]
    assert made["not_finite"] == [None] * 4
    assert summary.undefined == {"logarithm": 1, "parsed": 3, "beyond": 1, "not_finite": 3}


def test_settings_of_the_connection_are_put_back(connection, put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    engineer(specify({"rate": {"expression": "clicks / mails"}}), COLUMNS)
    assert connection.sql("SELECT 1e0 / 0").fetchall() == [(float("inf"),)]


def test_expressions_read_columns_features_and_the_date(put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    spec = specify(
        {
            # In its own expression `age` is the column, in the others' it is the feature.
            "double_age": {"expression": "2 * age  -- of the months\n"},
            "quadruple_age": {"expression": "2 * double_age"},
            "age": {"expression": "12 * age"},
            "days": {"expression": "as_of - born"},
            "town": {"column": "city", "use": "profile"},
            "lower_town": {"expression": "lower(town)"},
            "birthday": {"column": "born", "use": "input"},
        }
    )
    _, made = engineer(spec, COLUMNS)
    assert made["age"] == [360.0, 480.0, None, 240.0]
    assert made["double_age"] == [720.0, 960.0, None, 480.0]
    assert made["quadruple_age"] == [1440.0, 1920.0, None, 960.0]
    assert made["days"] == [float((dt.date(2026, 1, 31) - dt.date(1990, 5, 1)).days)] + [None] * 3
    assert made["lower_town"] == ["rome", "oslo", None, "rome"]
    assert made["birthday"][0] == dt.date(1990, 5, 1)


def test_where_chooses_the_customers(put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    spec = specify({"clicks": {}}, where="age >= 30 AND as_of > DATE '2026-01-01' -- adults")
    summary, made = engineer(spec, COLUMNS)
    assert made["customer_id"] == ["a", "b"]
    assert (summary.rows, summary.left_out) == (2, 2)
    with pytest.raises(PreparationError, match="no customer takes part"):
        engineer(specify({"clicks": {}}, where="age > 100"), COLUMNS)


EVENTS = [
    # customer, time, page, pages, euros
    ("a", "2026-01-31 23:59", "shop", 1, 0.1),
    ("a", "2026-01-22 00:00", "help", 2, 0.2),
    ("a", "2026-01-21 23:59", "shop", 3, None),
    ("a", "2026-02-01 00:00", "shop", 100, 100.0),  # tomorrow
    ("a", None, "shop", 100, 100.0),  # at no time
    ("b", "2025-12-31 12:00", "help", 5, 5.0),
    ("x", "2026-01-31 12:00", "shop", 1, 1.0),  # nobody's
]


def put_events(connection, events):
    names = ["customer_id", "seen_at", "page", "pages", "euros"]
    frame = pa.table(dict(zip(names, map(list, zip(*events, strict=True)), strict=True)))
    connection.register("given", frame)
    connection.execute(
        "CREATE OR REPLACE TABLE raw.events AS"
        " SELECT * REPLACE (CAST(seen_at AS TIMESTAMP) AS seen_at) FROM given"
    )
    connection.unregister("given")
    return "SELECT * FROM raw.events"


def aggregate(function, **settings):
    return {"aggregate": {"source": "web", "function": function} | settings}


def test_aggregates(connection, put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    ten_days = {"window_days": 10}
    spec = specify(
        {
            "n": aggregate("count"),
            "n_10d": aggregate("count", **ten_days),
            "n_1d": aggregate("count", window_days=1),
            "n_shop": aggregate("count", where="page = 'shop' -- not help"),
            "pages": aggregate("sum", column="pages"),
            "euros": aggregate("sum", column="euros"),
            "euros_10d": aggregate("sum", column="euros", **ten_days),
            "euros_mean": aggregate("mean", column="euros"),
            "most": aggregate("maximum", column="pages", **ten_days),
            "least": aggregate("minimum", column="pages"),
            "kinds": aggregate("distinct", column="page"),
            "recency_days": aggregate("recency_days"),
            "help_recency_days": aggregate("recency_days", where="page = 'help'"),
            "per_day": aggregate("rate", **ten_days),
            "shop_share": aggregate("share", where="page = 'shop'"),
            "shop_share_10d": aggregate("share", where="page = 'shop'", **ten_days),
        }
    )
    summary, made = engineer(spec, COLUMNS, put_events(connection, EVENTS))
    a, b, c, d = ({n: values[i] for n, values in made.items()} for i in range(4))
    assert a == {
        "customer_id": "a",
        "n": 3.0,
        "n_10d": 2.0,  # 22 January is the first of the ten days, 21 January isn't
        "n_1d": 1.0,
        "n_shop": 2.0,
        "pages": 6.0,
        "euros": 0.3,  # exactly, though 0.1 + 0.2 is 0.30000000000000004
        "euros_10d": 0.3,
        "euros_mean": 0.15,
        "most": 2.0,
        "least": 1.0,
        "kinds": 2.0,
        "recency_days": 0.0,
        "help_recency_days": 9.0,
        "per_day": 0.2,
        "shop_share": 2 / 3,
        "shop_share_10d": 0.5,
    }
    assert b == {
        "customer_id": "b",
        "n": 1.0,
        "n_10d": 0.0,
        "n_1d": 0.0,
        "n_shop": 0.0,
        "pages": 5.0,
        "euros": 5.0,
        "euros_10d": 0.0,
        "euros_mean": 5.0,
        "most": None,
        "least": 5.0,
        "kinds": 1.0,
        "recency_days": 31.0,
        "help_recency_days": 31.0,
        "per_day": 0.0,
        "shop_share": 0.0,
        "shop_share_10d": None,
    }
    zero = {"n", "n_10d", "n_1d", "n_shop", "pages", "euros", "euros_10d", "kinds", "per_day"}
    nobody = {name: 0.0 if name in zero else None for name in spec.features}
    assert c == {"customer_id": "c"} | nobody
    assert d == {"customer_id": "d"} | nobody
    assert set(summary.undefined.values()) == {0}
    assert summary.missing["euros_mean"] == 2


def test_aggregates_of_a_window_only(connection, put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    spec = specify(
        {
            "week": aggregate("count", window_days=7),
            "month": aggregate("count", window_days=31),
            "month_ratio": {"expression": "week / month"},
        }
    )
    summary, made = engineer(spec, COLUMNS, put_events(connection, EVENTS))
    assert made["week"] == [1.0, 0.0, 0.0, 0.0]
    assert made["month"] == [3.0, 0.0, 0.0, 0.0]
    assert made["month_ratio"] == [1 / 3, None, None, None]
    assert summary.undefined["month_ratio"] == 3


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"x": {"expression": "no_such_function(age)"}}, "feature `x` .*no_such_function"),
        ({"x": {"expression": "age + city"}}, "feature `x` cannot be evaluated"),
        ({"x": {"expression": "sum(age)"}}, "feature `x` .*aggregates are not allowed"),
        ({"x": {"expression": "born"}}, "`x` is of type DATE"),
        ({"x": {"expression": "age", "encoding": {"kind": "one_hot"}}}, "`x` is no category"),
        ({"x": {"expression": "city", "transform": "log1p"}}, "`x` is a category"),
        ({"x": aggregate("count", where="nonsense(page)")}, "aggregates of `web` .*nonsense"),
    ],
)
def test_what_cannot_be_evaluated_names_the_feature(
    features, message, connection, put_customers, specify, engineer
):
    put_customers(CUSTOMERS)
    with pytest.raises(PreparationError, match=message):
        engineer(specify(features), COLUMNS, put_events(connection, EVENTS))


def test_an_error_does_not_show_a_value(connection, put_customers, specify, engineer):
    put_customers(CUSTOMERS)
    events = put_events(connection, [("a", "2026-01-01 00:00", "secret", 1, 1.0)])
    spec = specify({"x": aggregate("count", where="CAST(page AS INTEGER) > 1")})
    with pytest.raises(PreparationError) as raised:
        engineer(spec, COLUMNS, events)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_sum_beyond_all_reason_stops_and_too_little_memory_keeps_its_words(
    connection, put_customers, specify, engineer
):
    put_customers(CUSTOMERS)
    events = put_events(connection, [("a", "2026-01-01", "shop", 1, 1e18)])
    spec = specify({"x": aggregate("sum", column="euros")})
    with pytest.raises(PreparationError, match="below 10\\^18"):
        engineer(spec, COLUMNS, events)
    connection.execute("SET max_temp_directory_size = '0KB'; SET memory_limit = '20MB'")
    many = "SELECT 'c' || i AS customer_id, TIMESTAMP '2026-01-01' AS seen_at, 'x' AS page,"
    many += " 1 AS pages, 1e0 AS euros FROM range(3000000) AS numbers(i)"
    with pytest.raises(DatabaseError, match=r"[Oo]ut of [Mm]emory"):
        engineer(spec, COLUMNS, many)


def test_customers_of_another_date_are_refused(connection, put_customers, specify, customers_spec):
    put_customers(CUSTOMERS)
    with pytest.raises(StaleUpstreamError, match=r"core\.customers was made for 2026-01-31"):
        make_engineered_features(
            connection,
            "lens",
            specify({"age": {}}),
            customers_spec(COLUMNS),
            {},
            Build(dt.date(2026, 2, 1), "run"),
        )


def test_neither_row_order_nor_threads_change_a_bit(tmp_path, specify, customers_spec, build):
    # A few customers with many events each: then parts of one sum meet in any order.
    spec = specify(
        {
            "total": aggregate("sum", column="euros"),
            "mean": aggregate("mean", column="euros", where="page = 'shop'"),
            "ratio": {"expression": "total / mean"},
        }
    )
    results = {}
    for threads, order in itertools.product([1, 2], ["i", "-i", "hash(i)"]):
        events = f"""
            SELECT 'c' || (i % 5) AS customer_id, {literal(build.as_of)} AS seen_at,
                if(i % 3 = 0, 'shop', 'help') AS page, 1 AS pages, hash(i) / 1e15 AS euros
            FROM range(300000) AS numbers(i) ORDER BY {order}
        """
        path = tmp_path / f"{threads} {order}.duckdb"
        with open_warehouse(path, threads=threads) as connection:
            connection.execute(f"CREATE TABLE raw.events AS {events}")
            connection.execute(
                "CREATE TABLE core.customers AS SELECT 'c' || i AS customer_id, 1 AS age"
                f" FROM range(5) AS numbers(i) ORDER BY {order}"
            )
            record_build(connection, Table("core", "customers"), build)
            customers = customers_spec({"age": "integer"})
            selects = {"web": "FROM raw.events"}
            make_engineered_features(connection, "lens", spec, customers, selects, build)
            query = "SELECT * FROM lens.engineered_features ORDER BY customer_id"
            results[threads, order] = connection.sql(query).fetchall()
    first, *others = results.values()
    assert all(other == first for other in others)
    assert all(total > 0 and mean > 0 for _, total, mean, _ in first)
