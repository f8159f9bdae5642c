"""Customers who lack the survey, or are not eligible, get what the night gave them."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.registry import Registration, register_champion
from segmentation_pipeline.clustering.typed.learning import learn_typing
from segmentation_pipeline.clustering.typed.model import typing_of
from segmentation_pipeline.features import (
    fit_on_sample,
    make_engineered_features,
    make_feature_matrix,
    read_sample,
)
from segmentation_pipeline.features.participation import (
    fitting_matrix,
    grouped_features,
    make_fitting_matrix,
)
from segmentation_pipeline.scoring import PublishedModel, score_file, segments_view_sql
from segmentation_pipeline.segments.nightly import make_customer_segments
from segmentation_pipeline.segments.outside import outside_labels
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    open_warehouse,
    record_build,
    write_batches,
)

NIGHT = Build(dt.date(2026, 1, 31), "run")
CUSTOMERS, SEGMENTS = 3_000, 3
CRM, SURVEY = ("c0", "c1", "c2"), ("s0", "s1")


def customers_spec():
    numbers = {"type": "number"}
    crm = {"cid": {"type": "text"}, "country": {"type": "category"}, **dict.fromkeys(CRM, numbers)}
    survey = {"cid": {"type": "text"}, "said_at": {"type": "timestamp"}, "why": {"type": "text"}}
    return CustomersSpec.model_validate(
        {
            "name": "test",
            "nights": {"first": "2026-01-01"},
            "customers": {"base": "crm"},
            "sources": {
                "crm": {"kind": "crm", "path": "crm.csv", "key": "cid", "columns": crm},
                "survey": {
                    "kind": "survey", "path": "survey.csv", "key": "cid", "time": "said_at",
                    "keep": "latest", "columns": survey | dict.fromkeys(SURVEY, numbers),
                },
            },
        }
    )  # fmt: skip


def segmentation_spec(**settings):
    features = {name: {"criterion": "needs"} for name in SURVEY}
    features |= {name: {"use": "profile"} for name in CRM}
    content = {"title": "test", "criteria": {"needs": "test"}, "features": features}
    content["clustering"] = {"segments": SEGMENTS}
    content["typing"] = {"sources": ["survey"]}
    return SegmentationSpec.model_validate(content | settings)


def frame(separation):
    """Customers whose segment shows sharply in the survey, and by `separation` in the CRM."""
    rng = np.random.default_rng(4)
    segments = rng.integers(0, SEGMENTS, CUSTOMERS)
    survey = np.array([[0, 0], [8, 0], [0, 8]])[segments] + rng.normal(size=(CUSTOMERS, 2))
    crm = separation * np.eye(SEGMENTS)[segments] + rng.normal(size=(CUSTOMERS, SEGMENTS))
    crm[rng.random(crm.shape) < 0.02] = np.nan
    answers = rng.random(CUSTOMERS) < 0.6
    columns = {"customer_id": [f"k{number:05}" for number in range(CUSTOMERS)]}
    columns["country"] = np.where(rng.random(CUSTOMERS) < 0.05, "XX", "DE")
    columns |= dict(zip(CRM, crm.T, strict=True))
    columns |= {
        name: np.where(answers, one, np.nan) for name, one in zip(SURVEY, survey.T, strict=True)
    }
    columns["why"] = np.where(answers, "asked", None)
    columns |= {"has_crm": np.ones(CUSTOMERS, bool), "has_survey": answers}
    return pa.table({name: pa.array(one, from_pandas=True) for name, one in columns.items()})


@pytest.fixture(scope="module", params=[2.5, 0.0], ids=["typed", "refused"])
def night(request, tmp_path_factory):
    """A night's published model, its rows by customer, and the customers as an input."""
    path = tmp_path_factory.mktemp("night")
    spec, customers = segmentation_spec(eligible="country <> 'XX'"), customers_spec()
    home, table = Home(path, customers, {"x": spec}), frame(request.param)
    with open_warehouse(path / "warehouse.duckdb", threads=2) as connection:
        everybody = Table("core", "customers")
        write_batches(connection, everybody, table.schema, table.to_batches(), NIGHT)
        make_engineered_features(connection, "x", spec, customers, {}, NIGHT)
        preparation = fit_on_sample(connection, "x", spec, customers.limits)
        grouped = grouped_features("x", spec)
        make_feature_matrix(connection, "x", preparation, customers.limits, NIGHT, features=grouped)
        make_fitting_matrix(connection, "x", spec, NIGHT)
        names = preparation.column_names
        _, matrix = read_sample(connection, fitting_matrix("x", spec), names, 0, CUSTOMERS)
        matrix = matrix.astype(np.float64)
        family = KMeansFamily(ks=[SEGMENTS], starts=3)
        (fit,) = family.fit(matrix, seed=0)
        assigner = family.assigner(fit.arrays, fit.parameters)
        parameters = {"preparation": preparation.to_json(), "silhouette": None}
        model = make_model(fit, assigner, matrix, names, parameters)
        model = learn_typing(connection, home, "x", model)
        told = Registration(
            segmentation="x",
            specification_digest="",
            preparation_digest=preparation.digest,
            reason="",
        )
        record = register_champion(connection, home.models, model, told, NIGHT)
        record_build(connection, Table("x", "feature_matrix"), NIGHT)
        make_customer_segments(connection, home, "x", Champion(record, model), NIGHT)
        rows = connection.execute(
            "SELECT customer_id, raw_segment_id, runner_up_segment_id, is_borderline, is_outlier,"
            " coalesce(typing_confidence, CASE WHEN margin > 1 THEN 1 ELSE margin END)"
            " FROM x.customer_segments ORDER BY ALL"
        ).fetchall()
    assert (typing_of(model).model is None) == (request.param == 0.0)
    found = PublishedModel(
        name="x", spec=spec, customers=customers, as_of=NIGHT.as_of, model=model,
        preparation=preparation, segment_ids=("x-1", "x-2", "x-3"), labels=outside_labels("x"),
        means={}, shares={},
    )  # fmt: skip
    return found, rows, table


def scored(found, table, tmp_path):
    path, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(table, path)
    done = score_file(found, path, output)
    rows = sorted(pq.read_table(output).to_pylist(), key=lambda row: row["customer_id"])
    return done, rows


def as_published(rows):
    names = ("customer_id", "segment_id", "runner_up_segment_id", "is_borderline", "is_outlier",
             "confidence")  # fmt: skip
    return [tuple(row[name] for name in names) for row in rows]


def test_everybody_gets_what_the_night_gave(night, tmp_path):
    found, expected, table = night

    done, rows = scored(found, table, tmp_path)

    assert as_published(rows) == expected
    assert done.customers == done.taking_part == CUSTOMERS
    kinds = {row["confidence_kind"] for row in rows if not row["segment_id"].endswith("eligible")}
    assert kinds == ({"margin", None} if found.typing is None else {"margin", "typing"})
    unknown = [row for row in rows if row["segment_id"] == "x-unknown"]
    assert len(unknown) > (1000 if found.typing is None else 10)
    assert {(row["segment"], row["is_noise"]) for row in unknown} == {("segment unknown", True)}


def test_whether_a_customer_has_the_survey_follows_from_its_columns(night, tmp_path):
    found, expected, table = night
    told = table.drop_columns(["has_crm", "has_survey"])

    assert as_published(scored(found, told, tmp_path)[1]) == expected
    # One answer of nothing but a remark is an answer: the customer is grouped.
    remark = table.slice(0, 1).set_column(table.column_names.index("why"), "why", [["said"]])
    remark = remark.drop_columns(["has_crm", "has_survey", *SURVEY, "country"])
    _, (row,) = scored(found, remark, tmp_path)
    assert row["confidence_kind"] == "margin"


def test_without_a_column_of_the_survey_everybody_is_typed(night, tmp_path):
    found, expected, table = night
    typed = table.select(["customer_id", "country", *CRM])

    _, rows = scored(found, typed, tmp_path)

    silent = [not has for has in table["has_survey"].to_pylist()]
    is_same = [one == other for one, other in zip(as_published(rows), expected, strict=True)]
    assert all(same for same, is_silent in zip(is_same, silent, strict=True) if is_silent)
    assert {row["confidence_kind"] for row in rows} <= {"typing", None}
    lacking = np.isnan(np.column_stack([table[name].to_numpy() for name in CRM])).sum(axis=1)
    told = [row["missing_features"] for row in rows if row["confidence_kind"] == "typing"]
    is_told = [row["confidence_kind"] == "typing" for row in rows]
    assert told == lacking[is_told].tolist()


def test_the_view_says_whom_it_does_not_know(night):
    assert "-- Who has no survey is typed by a night" in segments_view_sql(night[0])
