"""The planted truth as data is what it says it is."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.ceiling import adjusted_rand_index
from segmentation_pipeline.demo.generator import make_demo
from segmentation_pipeline.demo.observation import Category


@pytest.mark.parametrize("one", planted.SEGMENTATIONS, ids=lambda one: one.name)
def test_segments_differ_in_size_and_none_is_small(one):
    assert sum(one.shares) == pytest.approx(1)
    assert len(one.shares) == len(one.segments) == len(set(one.segments))
    assert min(one.shares) >= 0.12
    assert max(one.shares) > 1.2 * min(one.shares)


@pytest.mark.parametrize(
    "name", [name for name, value in vars(planted).items() if isinstance(value, Category)]
)
def test_percentages_add_up_and_nothing_is_impossible(name):
    category = getattr(planted, name)
    assert category.shares.sum(axis=1) == pytest.approx(np.ones(len(category.percent)))
    assert (category.shares > 0).all()
    assert category.shares.shape[1] == len(category.values)


def test_no_spelling_means_two_things():
    for column, spellings in mess.SPELLINGS.items():
        words = [
            word.lower() for name, others in spellings.items() for word in {name.lower(), *others}
        ]
        meanings = {
            (word.lower(), name) for name, others in spellings.items() for word in (name, *others)
        }
        assert len(meanings) == len(set(words)), column


def test_adjusted_rand_index_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 500)
    found = np.where(rng.random(500) < 0.8, truth, rng.integers(0, 3, 500))
    assert adjusted_rand_index(truth, found) == pytest.approx(adjusted_rand_score(truth, found))
    assert adjusted_rand_index(truth, (truth + 1) % 4) == 1.0


def test_best_possible_agreement_is_about_97_percent(tmp_path):
    made = make_demo(tmp_path, 20_000, 1, 1, "parquet")
    assert set(made.best_possible_ari) == {"engagement", "profession"}
    for best in made.best_possible_ari.values():
        assert 0.96 < best < 0.985
