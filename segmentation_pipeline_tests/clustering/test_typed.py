"""Typing: planted segments, and silence that depends on them."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.typed.fitting import TypingSample, fit_typing
from segmentation_pipeline.clustering.typed.judging import kappa, measure, reasons_to_refuse
from segmentation_pipeline.clustering.typed.model import TypingModel, typing_of, with_typing
from segmentation_pipeline.features.preparation import Preparation

NOTHING = Preparation((), (), ())
SEGMENTS = 3


class World:
    """Customers of three segments, seen through four columns, some of whom are silent."""

    def __init__(self, seed, *, separation, silence, customers=6_000):
        rng = np.random.default_rng([seed, int(10 * separation)])
        self.segments = rng.choice(SEGMENTS, customers, p=[0.4, 0.35, 0.25])
        centres = rng.normal(size=(SEGMENTS, 4))
        centres *= separation / np.linalg.norm(centres, axis=1)[:, np.newaxis]
        self.columns = centres[self.segments] + rng.normal(size=(customers, 4))
        by_segment = np.array([0.8, 0.5, 0.2])[rng.permutation(SEGMENTS)][self.segments]
        slopes = 0.7 * rng.normal(size=4)
        chances = {
            "segments": by_segment,
            "features": 1 / (1 + np.exp(-self.columns @ slopes)),
            "chance": np.full(customers, 0.6),
        }
        self.answers = rng.random(customers) < chances[silence]
        self.held = self.answers & (rng.random(customers) < 0.2)

    def sample(self):
        visible = self.answers & ~self.held
        labels = self.segments.astype(np.int32)
        return TypingSample(
            columns=self.columns[visible],
            labels=labels[visible],
            held_columns=self.columns[self.held],
            held_labels=labels[self.held],
            silent_columns=self.columns[~self.answers],
            silent_customers=int(np.count_nonzero(~self.answers)),
        )

    def truth_of_the_silent(self, model):
        found = model.probabilities(list(self.columns[~self.answers].T)).argmax(axis=1)
        return cohen_kappa_score(self.segments[~self.answers], model.classes[found])


@pytest.mark.parametrize("silence", ["segments", "features", "chance"])
def test_weighted_kappa_is_near_the_truth_among_the_silent_or_typing_is_refused(silence):
    accepted = errors = 0.0
    for seed in range(4):
        for separation in (1.5, 2.5, 4.0):
            world = World(seed, separation=separation, silence=silence, customers=12_000)
            found = fit_typing(world.sample(), NOTHING, SEGMENTS, seed=0)
            assert (found.model is None) == bool(found.assessment.refusals)
            if found.model is None:
                continue
            accepted += 1
            error = found.assessment.weighted.kappa - world.truth_of_the_silent(found.model)
            errors += error
            assert abs(error) < 0.1, (seed, separation)
            assert found.assessment.answering == silence

    assert accepted >= 6
    assert abs(errors / accepted) < 0.03


def test_probabilities_of_the_silent_are_calibrated_though_one_segment_answers_less():
    world = World(3, separation=2.5, silence="segments", customers=20_000)
    found = fit_typing(world.sample(), NOTHING, SEGMENTS, seed=0)

    probabilities = found.model.probabilities(list(world.columns[~world.answers].T))
    truth = world.segments[~world.answers]

    came_true = probabilities.argmax(axis=1) == truth
    assert came_true.mean() == pytest.approx(probabilities.max(axis=1).mean(), abs=0.02)
    sizes = np.bincount(truth, minlength=SEGMENTS)
    assert probabilities.sum(axis=0) == pytest.approx(sizes, rel=0.05)
    assert found.assessment.weighted.calibration_error < 0.04


def test_what_can_not_be_told_is_refused_with_the_reason():
    hopeless = World(0, separation=0.1, silence="chance")
    few = World(0, separation=4.0, silence="chance", customers=120)

    for world, reason in (
        (hopeless, "the weighted kappa is"),
        (few, "customers kept aside, fewer"),
    ):
        found = fit_typing(world.sample(), NOTHING, SEGMENTS, seed=0)
        assert found.model is None
        assert reason in "; ".join(found.assessment.refusals)


def test_a_segment_that_is_never_recognised_is_a_reason_to_refuse():
    truth = np.repeat([0, 1, 2], [450, 450, 100])
    probabilities = np.eye(3)[np.where(truth == 2, 0, truth)] * 0.8 + 0.2 / 3

    figures = measure(truth, probabilities, np.ones(1000), least=0.6, seed=0)

    assert figures.lowest_recall == 0
    assert figures.kappa > 0.8
    (reason,) = reasons_to_refuse(figures, figures)
    assert "only 0% of the customers" in reason


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    truth, weights = rng.integers(0, 4, 500), rng.uniform(0.1, 3, 500)
    probabilities = rng.dirichlet(np.ones(4), 500)
    probabilities[np.arange(500), truth] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    found = probabilities.argmax(axis=1)

    figures = measure(truth, probabilities, weights, least=0.6, seed=0)

    assert figures.kappa == pytest.approx(cohen_kappa_score(truth, found, sample_weight=weights))
    assert figures.balanced_accuracy == pytest.approx(
        balanced_accuracy_score(truth, found, sample_weight=weights)
    )
    assert figures.effective_customers == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    known = probabilities.max(axis=1) >= 0.6
    assert figures.unknown_share == pytest.approx(weights[~known].sum() / weights.sum())
    assert sum(row[1] for row in figures.bins) == pytest.approx(1)
    assert kappa(np.zeros(5, int), np.zeros(5, int), np.ones(5), 1) is None


def test_calibration_is_the_distance_of_confidence_from_what_came_true():
    probabilities = np.array([[0.75, 0.25]] * 4 + [[0.45, 0.55]] * 4)
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 1])

    figures = measure(truth, probabilities, np.ones(8), least=0.6, seed=0)

    # Three of four at .75 are as promised; four of four at .55 are .45 too many, in half of all.
    assert figures.calibration_error == pytest.approx(0.225)
    assert figures.unknown_share == 0.5
    assert figures.known_accuracy == 0.75


def test_a_probability_depends_on_its_row_alone():
    world = World(1, separation=2.5, silence="segments")
    model = fit_typing(world.sample(), NOTHING, SEGMENTS, seed=0).model
    columns = list(world.columns.T)

    whole = model.probabilities(columns)

    parts = [model.probabilities([c[at : at + 7] for c in columns]) for at in range(0, 6_000, 7)]
    assert np.array_equal(whole, np.concatenate(parts))
    order = np.random.default_rng(0).permutation(len(whole))
    assert np.array_equal(whole[order], model.probabilities([c[order] for c in columns]))
    assert whole.sum(axis=1) == pytest.approx(1)


def test_noise_is_a_class_where_there_is_enough_of_it():
    world = World(2, separation=4.0, silence="chance")
    sample = world.sample()
    far = np.full((400, 4), 9.0) + np.random.default_rng(0).normal(size=(400, 4))
    noisy = TypingSample(
        columns=np.concatenate([sample.columns, far[:300]]),
        labels=np.concatenate([sample.labels, np.full(300, -1, np.int32)]),
        held_columns=np.concatenate([sample.held_columns, far[300:]]),
        held_labels=np.concatenate([sample.held_labels, np.full(100, -1, np.int32)]),
        silent_columns=sample.silent_columns,
        silent_customers=sample.silent_customers,
    )

    found = fit_typing(noisy, NOTHING, SEGMENTS, seed=0)

    assert found.model.classes.tolist() == [0, 1, 2, -1]
    recognised = found.model.probabilities(list(far.T)).argmax(axis=1) == 3
    assert recognised.mean() > 0.9


def test_one_segment_needs_no_proof():
    world = World(0, separation=1.5, silence="chance")
    sample = world.sample()
    one = TypingSample(
        **{**vars(sample), "labels": sample.labels * 0, "held_labels": sample.held_labels * 0}
    )

    found = fit_typing(one, NOTHING, 1, seed=0)

    assert found.assessment.refusals == []
    assert np.all(found.model.probabilities(list(world.columns.T)) == 1)


def test_typing_goes_with_the_model_to_its_folder_and_back(tmp_path):
    world = World(1, separation=4.0, silence="segments")
    typed = fit_typing(world.sample(), NOTHING, SEGMENTS, seed=0)
    plain = SegmentModel("k_means", "euclidean", ("x",), {"prototypes": np.eye(1)}, {"segments": 1})

    digest = save_model(with_typing(plain, typed), tmp_path / "1")
    back = load_model(tmp_path / "1", digest)

    found = typing_of(back)
    assert json.dumps(asdict(found.assessment)) == json.dumps(asdict(typed.assessment))
    columns = list(world.columns.T)
    assert np.array_equal(found.model.probabilities(columns), typed.model.probabilities(columns))
    assert typing_of(plain) is None
    assert typing_of(with_typing(back, None)) is None
    assert set(with_typing(back, None).arrays) == {"prototypes"}


def test_a_refusal_goes_with_the_model_too(tmp_path):
    refused = fit_typing(
        World(0, separation=0.1, silence="chance").sample(), NOTHING, SEGMENTS, seed=0
    )
    plain = SegmentModel("k_means", "euclidean", ("x",), {"prototypes": np.eye(1)}, {"segments": 1})

    digest = save_model(with_typing(plain, refused), tmp_path / "1")

    found = typing_of(load_model(tmp_path / "1", digest))
    assert found.model is None
    assert list(found.assessment.refusals) == list(refused.assessment.refusals)


def test_two_segments_are_told_apart_by_the_logistic_curve():
    model = TypingModel(
        NOTHING, np.arange(2, dtype=np.int32), np.array([[0.0, 2.0]]), np.array([0.0, -1.0])
    )

    found = model.probabilities([np.array([0.0, 0.5, 3.0])])

    assert found[:, 1] == pytest.approx(1 / (1 + np.exp(-(2 * np.array([0.0, 0.5, 3.0]) - 1))))
