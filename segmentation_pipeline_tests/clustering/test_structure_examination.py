import csv
from pathlib import Path

import numpy as np
import pytest

from segmentation_pipeline.clustering.structure.examination import (
    examine,
    kmeans_candidates,
    structure_sample,
    structure_verdict,
)
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.errors import ClusteringError

HOSPITAL = Path(__file__).resolve().parents[3] / "shared/reference/hospital/hospital.csv"


def columns(features):
    return np.column_stack([feature.values for feature in features])


def numbers(matrix):
    return [RawFeature(f"x{i}", column, "continuous") for i, column in enumerate(matrix.T)]


def test_planted_segments_are_supported_and_counted():
    rng = np.random.default_rng(0)
    centroids = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 3.0], [0.0, 6.0, 3.0]])
    features = numbers(centroids[rng.integers(0, 3, 600)] + rng.normal(size=(600, 3)))
    verdict = structure_verdict(features, columns, seed=0, ks=(2, 3, 4))
    assert (verdict.word, verdict.n_segments, verdict.n_tried) == ("supported", 3, 3)
    assert verdict.sentence.startswith("The data support 3 segments.")
    assert verdict.evidence is not None
    assert verdict.evidence.null is not None
    assert verdict.evidence.null.p == 0.005
    assert verdict.one_split is None


def test_one_correlated_gaussian_is_a_continuum_whose_halves_are_stable():
    rng = np.random.default_rng(1)
    features = numbers(rng.normal(size=(600, 1)) * 2.0 + rng.normal(size=(600, 4)))
    verdict = structure_verdict(features, columns, seed=0, ks=(2, 3))
    assert (verdict.word, verdict.n_segments) == ("continuum", 2)
    assert verdict.evidence is not None
    assert verdict.evidence.stability.stable


def test_groups_in_one_feature_are_at_most_weak_and_told_as_one_cut():
    rng = np.random.default_rng(2)
    spend = np.r_[rng.normal(20.0, 3.0, 300), rng.normal(60.0, 3.0, 300)]
    features = [RawFeature("spend", spend, "continuous"), *numbers(rng.normal(size=(600, 2)))]
    verdict = structure_verdict(features, columns, seed=0, n_segments=2)
    assert (verdict.word, verdict.separated) == ("weak", True)
    assert verdict.one_split is not None
    feature, threshold = verdict.one_split.rule.split(" >= ")
    assert feature == "spend"
    assert spend[:300].max() < float(threshold) <= spend[300:].min()
    assert f"Nearly the same as {verdict.one_split.rule}" in verdict.sentence


def test_customers_that_are_all_alike_are_one_segment():
    alike = numbers(np.full((50, 2), 0.1))
    verdict = structure_verdict(alike, columns, seed=0)
    assert (verdict.word, verdict.n_segments) == ("no structure", 1)
    assert "alike" in verdict.sentence


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_a_handful_of_customers_is_too_few(n):
    rng = np.random.default_rng(n)
    verdict = structure_verdict(numbers(rng.normal(size=(n, 2))), columns, seed=0)
    assert verdict.word == ("no structure" if n == 1 else "too few to tell")
    assert verdict.n_customers == n


def test_there_are_no_more_candidates_than_distinct_customers():
    levels = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 20, axis=0)
    sample = structure_sample(numbers(levels), columns, seed=0, ks=(2, 3, 4))
    assert sample is not None
    assert sorted(kmeans_candidates(sample, range(2, 9))) == [2, 3]


def test_candidates_of_another_family_are_examined_with_the_same_sample():
    rng = np.random.default_rng(3)
    matrix = np.r_[rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 8.0, [[99.0, 99.0]]]
    sample = structure_sample(numbers(matrix), columns, seed=0, ks=(2,))
    assert sample is not None

    def with_noise(rows, seed, k):
        return np.where(rows[:, 0] > 50.0, -1, (rows.sum(axis=1) > 8.0).astype(int))

    labels = with_noise(sample.matrix, 0, 2)
    found = examine(sample, labels, with_noise, n_resamples=10)
    assert (found.n_segments, found.stability.jaccards) == (2, (1.0, 1.0))
    assert found.border.separates(1)
    assert found.smallest_share == pytest.approx(200 / 401)
    nobody = examine(sample, np.full(401, -1), with_noise, n_resamples=2)
    assert (nobody.n_segments, nobody.silhouette) == (0, 0.0)


def test_threads_and_runs_do_not_change_the_verdict():
    features = numbers(np.random.default_rng(4).normal(size=(150, 3)))
    verdicts = [structure_verdict(features, columns, seed=5, ks=(2, 3), workers=w) for w in (1, 2)]
    assert verdicts[0] == verdicts[1]


def test_large_data_are_judged_on_a_sample():
    features = numbers(np.random.default_rng(5).normal(size=(20_000, 2)))
    sample = structure_sample(features, columns, seed=0, ks=(2,))
    assert sample is not None
    assert len(sample.rows) == len(np.unique(sample.rows)) == len(sample.matrix) == 5000
    assert sample.null.n_customers == 1000


@pytest.mark.parametrize(
    ("features", "prepare", "message"),
    [
        ([], columns, "found 0 features"),
        (numbers(np.ones((3, 1))) + numbers(np.ones((4, 1))), columns, r"\[3, 4\] customers"),
        (numbers(np.eye(3)), lambda features: columns(features)[:2], r"shape \(2, 3\) of 3"),
        (numbers(np.array([[1.0], [np.nan]])), columns, "missing or infinite"),
    ],
)
def test_what_cannot_be_examined_is_refused(features, prepare, message):
    with pytest.raises(ClusteringError, match=message):
        structure_verdict(features, prepare, seed=0)


# The published preparation of hospital.csv: what an analyst declares in a segmentation file.
EDUCATION = {"Bachelor": 1.0, "Master": 2.0, "Doctor": 3.0, "PhD": 3.0}
PRESCRIPTION = {"Negative": -1.0, "Neutral": 0.0, "Positive": 1.0}
COLLABORATION = {"Unwilling": -0.5, "Willing": 0.5, **PRESCRIPTION}
ROLES = {
    "nurse": (0.1, 0.5),
    "medicalassistant": (0.1, 0.1),
    "nursepractitioner": (0.0, 0.0),
    "physicianassistant": (0.1, 0.9),
    "registerednurse": (0.1, 1.0),
    "pharmacist": (0.2, 1.1),
    "intern": (0.9, 0.3),
    "dentist": (0.95, 0.4),
    "resident": (1.0, 0.5),
    "chiefofsurgery": (1.0, 1.1),
    "physician": (0.9, 0.8),
    "chiefofmedicine": (1.0, 1.2),
    "surgeon": (0.9, 0.7),
    "medicaldirector": (1.0, 1.5),
}
RATES = ("ClickthroughRate", "OpenRate")
COUNTS = (
    "Age",
    "AvgVisitDuration",
    "PublicationsNumber",
    "CongressesAttended",
    "PartnershipsPhC",
    "AvgOpenedEmail",
    "VisitsLandingPageLY",
    "AccessOnlineServiceLY",
    "AttendedEventsLY",
)


def hospital_features():
    with HOSPITAL.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))

    def level(column, levels):
        return np.array(
            [next(v for k, v in levels.items() if row[column].startswith(k)) for row in rows]
        )

    def text(column):
        return np.array([row[column].replace(" ", "").lower() for row in rows], dtype=object)

    return [
        *(RawFeature(c, np.array([float(r[c]) for r in rows]), "integer") for c in COUNTS),
        *(RawFeature(c, np.array([float(r[c]) for r in rows]), "continuous") for c in RATES),
        RawFeature("Education", level("Education", EDUCATION), "ordinal"),
        RawFeature("PrescriptionAttitude", level("PrescriptionAttitude", PRESCRIPTION), "ordinal"),
        RawFeature("CollabAttitudePhC", level("CollabAttitudePhC", COLLABORATION), "ordinal"),
        RawFeature("Gender", text("Gender"), "categorical"),
        RawFeature("Role", text("Role"), "categorical"),
    ]


def prepare_hospital(features):
    blocks = []
    for feature in features:
        if feature.name == "Gender":
            blocks.append(np.column_stack([feature.values == "f", feature.values == "m"]))
        elif feature.name == "Role":
            blocks.append(np.array([ROLES[role] for role in feature.values]))
        else:
            blocks.append(feature.values[:, None])
    matrix = np.hstack(blocks).astype(float)
    return (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)


@pytest.mark.skipif(not HOSPITAL.exists(), reason="the reference data are not on this machine")
def test_hospital_is_one_gradient_with_a_repeatable_cut():
    verdict = structure_verdict(hospital_features(), prepare_hospital, seed=0, workers=2)
    assert (verdict.word, verdict.n_segments, verdict.n_customers) == ("continuum", 2, 283)
    found = verdict.evidence
    assert found is not None
    assert found.null is not None
    assert found.smallest_share == pytest.approx(82 / 283)
    assert found.silhouette == pytest.approx(0.3060, abs=5e-5)
    assert min(found.stability.jaccards) >= 0.85
    assert -1.0 < found.null.z < 1.0
    assert found.border.p == pytest.approx(0.99, abs=0.02)
    assert verdict.one_split is not None
    assert verdict.one_split.rule == "PublicationsNumber >= 10"
    assert verdict.one_split.fidelity == pytest.approx(0.989, abs=5e-4)
    assert "Nearly the same as PublicationsNumber >= 10" in verdict.sentence


@pytest.mark.skipif(not HOSPITAL.exists(), reason="the reference data are not on this machine")
def test_only_two_segments_of_hospital_are_stable():
    sample = structure_sample(hospital_features(), prepare_hospital, seed=0, ks=())
    assert sample is not None
    stable = [
        k
        for k, labels in kmeans_candidates(sample, range(2, 6)).items()
        if examine(sample, labels, kmeans_labels, n_resamples=60).stability.stable
    ]
    assert stable == [2]
