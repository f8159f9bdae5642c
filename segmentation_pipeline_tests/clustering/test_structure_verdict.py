import pytest

from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import BorderTest
from segmentation_pipeline.clustering.structure.null_test import NullComparison
from segmentation_pipeline.clustering.structure.one_split import OneSplit
from segmentation_pipeline.clustering.structure.verdict import (
    Evidence,
    OtherSegments,
    choose_segment_count,
    judge,
)

CLEAR, HALF, FULL = BorderTest(1e-6, 0.9), BorderTest(0.4, 0.1), BorderTest(0.97, -0.4)


def evidence(k=2, border=CLEAR, null_p=0.005, jaccard=0.9, silhouette=0.4, share=0.2):
    return Evidence(
        n_segments=k,
        smallest_share=share,
        silhouette=silhouette,
        border=border,
        stability=Stability((0.95,) * (k - 1) + (jaccard,), "bootstrap"),
        null=None if null_p is None else NullComparison(silhouette, 2.0, null_p),
    )


@pytest.mark.parametrize(
    ("border", "null_p", "jaccard", "n", "word"),
    [
        (CLEAR, 0.005, 0.90, 2000, "supported"),
        (CLEAR, 0.010, 0.75, 300, "supported"),
        (CLEAR, 0.005, 0.74, 2000, "weak"),
        (CLEAR, 0.015, 0.90, 2000, "weak"),
        (BorderTest(1e-6, 0.49), 0.300, 0.90, 2000, "continuum"),
        (CLEAR, None, 0.90, 2000, "weak"),
        (HALF, 0.005, 0.90, 300, "weak"),
        # Stability alone is no evidence, nor is the lack of it.
        (HALF, 0.300, 0.99, 2000, "continuum"),
        (HALF, 0.300, 0.50, 500, "continuum"),
        (HALF, 0.300, 0.99, 499, "too few to tell"),
        (FULL, 0.300, 0.99, 499, "continuum"),
        (BorderTest(1.0, 0.0), 0.300, 0.99, 499, "too few to tell"),
    ],
)
def test_the_word_follows_the_rule(border, null_p, jaccard, n, word):
    verdict = judge(
        evidence(border=border, null_p=null_p, jaccard=jaccard), n_customers=n, n_tried=7
    )
    assert verdict.word == word


def test_separation_allows_for_the_numbers_that_were_tried():
    border = BorderTest(0.002, 0.5)
    assert judge(evidence(border=border), n_customers=900, n_tried=1).word == "supported"
    assert judge(evidence(border=border), n_customers=900, n_tried=7).word == "weak"


def test_the_sentence_tells_an_analyst_what_was_found():
    verdict = judge(
        evidence(border=FULL, null_p=0.95),
        n_customers=283,
        n_tried=7,
        one_split=OneSplit("publications >= 10", 0.989, 0.96),
        others=[
            OtherSegments("k_medoids", 0.02, OneSplit("gender = Female", 1.0, 1.0)),
            OtherSegments("dbscan", 0.33),
            OtherSegments("gaussian_mixture", 0.8),
        ],
    )
    assert verdict.sentence == (
        "The customers form a continuum that is cut into 2 parts: useful perhaps, but the borders "
        "are a choice. Customers are not rarer between the segments: the border is fuller than "
        "the emptier of two centres (p = .970). Correlations between features explain the "
        "grouping (z = 2.0, p = .950). Every segment reappears when customers are resampled "
        "(lowest Jaccard 0.90, bootstrap). Nearly the same as publications >= 10 (cross-validated "
        "fidelity 0.989). Other algorithms find other segments: k_medoids (ARI 0.02, nearly the "
        "same as gender = Female); dbscan (ARI 0.33)."
    )


def test_a_rule_that_is_not_faithful_is_not_told():
    verdict = judge(
        evidence(), n_customers=900, n_tried=7, one_split=OneSplit("age >= 40", 0.94, 0.9)
    )
    assert "age" not in verdict.sentence
    assert verdict.one_split is not None


def test_one_segment_has_no_structure():
    assert judge(evidence(k=1), n_customers=900, n_tried=7).word == "no structure"


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        (
            [evidence(2, silhouette=0.6), evidence(3), evidence(4), evidence(5, border=HALF)],
            (4, "separated and stable"),
        ),
        (
            [evidence(2), evidence(3, jaccard=0.7), evidence(4, share=0.01)],
            (2, "separated and stable"),
        ),
        (
            [evidence(2, HALF, silhouette=0.3), evidence(3, HALF), evidence(4, jaccard=0.6)],
            (3, "stable, highest silhouette"),
        ),
        ([evidence(2, jaccard=0.7), evidence(3, jaccard=0.6)], (2, "nothing stable")),
        ([evidence(2, share=0.01), evidence(3, share=0.001)], (2, "nothing big enough")),
    ],
)
def test_the_number_of_segments_follows_the_rule(candidates, chosen):
    found = choose_segment_count(candidates, smallest_share=0.02)
    assert (found.n_segments, found.reason) == chosen
