"""The rule among families, on evidence that is made up."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.choice import choose_among_families, choose_within_family
from segmentation_pipeline.clustering.evidence import CandidateEvidence
from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import BorderTest
from segmentation_pipeline.clustering.validity import HeldOut
from segmentation_pipeline.errors import ClusteringError

ROWS = np.arange(120)


def candidate(algorithm, segments, **known):
    """A stable candidate that cuts 120 customers into equal blocks."""
    figures = {
        "labels": ROWS * segments // len(ROWS),
        "jaccard": 0.9,
        "agreement": 0.9,
        "gain": 0.0,
        "leak": 0.02,
        "silhouette": 0.4,
        "separated": False,
        "border": None,
        "crowded_border_p": 0.001,
        "held_out": None,
        "noise": 0.0,
        "reason": "",
        **known,
    }
    return CandidateEvidence(
        algorithm=algorithm,
        parameters={"segments": segments},
        segments=segments,
        labels=figures["labels"],
        noise_share=figures["noise"],
        smallest_share=0.2,
        silhouette=figures["silhouette"],
        stability=Stability((figures["jaccard"],) * segments, "bootstrap"),
        border=figures["border"]
        or (BorderTest(1e-6, 0.8) if figures["separated"] else BorderTest(1.0, 0.0)),
        crowded_border_p=figures["crowded_border_p"],
        held_out=figures["held_out"] or HeldOut(figures["agreement"], (figures["gain"],) * 10),
        crowded_leak=figures["leak"],
        reason=figures["reason"],
    )


def striped(segments):
    """Labels that have nothing to do with those of equal blocks."""
    return ROWS % segments


def test_k_means_takes_the_most_segments_that_are_stable_and_separated():
    three = candidate("k_means", 3, separated=True)
    rest = [
        candidate("k_means", 2, separated=True, silhouette=0.8),
        candidate("k_means", 4, separated=True, jaccard=0.7),
        candidate("k_means", 5),
    ]
    assert choose_within_family([*rest, three]).candidate is three


def test_without_separated_segments_the_highest_silhouette_of_the_stable_ones_is_taken():
    two = candidate("k_means", 2, silhouette=0.5)
    rest = [candidate("k_means", 3), candidate("k_means", 4, silhouette=0.9, jaccard=0.6)]
    assert choose_within_family([two, *rest]).candidate is two


def test_without_stable_segments_the_most_stable_ones_are_taken():
    three = candidate("k_means", 3, jaccard=0.6)
    assert choose_within_family([candidate("k_means", 2, jaccard=0.5), three]).candidate is three


def test_a_mixture_has_the_fewest_components_that_describe_held_out_customers_best():
    gains = {2: 0.3, 3: 1.0, 4: 1.01}
    tried = {k: candidate("gaussian_mixture", k, gain=gain) for k, gain in gains.items()}
    assert choose_within_family([*tried.values()]).candidate is tried[3]


@pytest.mark.parametrize("flaw", [{"jaccard": 0.5}, {"reason": "inadmissible: too small"}])
def test_a_mixture_whose_best_components_are_no_segments_has_no_answer(flaw):
    best = candidate("gaussian_mixture", 8, gain=2.0, **flaw)
    pick = choose_within_family([candidate("gaussian_mixture", 2, gain=1.0), best])
    assert pick.candidate is None
    assert pick.reason.startswith("8 components describe held-out customers best")


def test_a_mixture_that_gets_better_to_the_end_has_no_answer_unless_its_number_is_fixed():
    best = candidate("gaussian_mixture", 4, gain=2.0)
    tried = [candidate("gaussian_mixture", 3, gain=1.0), best]
    assert choose_within_family(tried).candidate is None
    assert choose_within_family([best]).candidate is best


def test_a_density_family_has_the_most_stable_segments_with_the_least_crowded_borders():
    three = candidate("dbscan", 3, leak=0.0004)
    rest = [
        candidate("dbscan", 2, leak=0.0),
        candidate("dbscan", 5, leak=0.002),
        candidate("dbscan", 6, leak=0.0, jaccard=0.84),
    ]
    assert choose_within_family([*rest, three]).candidate is three


def test_nearly_the_same_segments_go_to_the_simpler_family():
    simple = candidate("k_means", 3)
    choice = choose_among_families([candidate("dbscan", 3, leak=0.0), simple])
    assert choice.chosen is simple
    assert choice.reasons[0] == (
        "lost to k_means with 3 segments: nearly the same segments (adjusted Rand index 1.00), "
        "and simpler"
    )
    assert choice.reasons[1].startswith("chosen: no segments are separated")


def test_borders_through_less_of_a_crowd_win_whatever_the_silhouette():
    simple = candidate("k_means", 2, silhouette=0.52)
    dense = candidate("dbscan", 2, labels=striped(2), leak=0.0, silhouette=0.33)
    choice = choose_among_families([simple, dense])
    assert choice.chosen is dense
    assert choice.reasons[0] == (
        "lost to dbscan with 2 segments: its borders run through less of a crowd than those of "
        "k_means with 2 segments (crowded leak 0.0000, theirs 0.0200)"
    )


def test_a_handicap_asks_for_clearer_evidence():
    simple = candidate("k_means", 2, leak=0.02)
    dense = candidate("dbscan", 2, labels=striped(2), leak=0.0005)
    assert choose_among_families([simple, dense]).chosen is dense
    assert choose_among_families([simple, dense], handicap={"dbscan": 3.0}).chosen is simple


@pytest.mark.parametrize("flaw", [{"jaccard": 0.74}, {"agreement": 0.49}])
def test_who_is_not_repeatable_never_takes_the_place(flaw):
    simple = candidate("k_means", 2)
    other = candidate("k_medoids", 2, labels=striped(2), leak=0.0, **flaw)
    assert choose_among_families([simple, other]).chosen is simple


def test_fewer_segments_must_leak_less_than_as_many_of_the_simpler_family():
    simple = [
        candidate("k_means", 4, separated=True, leak=0.02),
        candidate("k_means", 2, leak=0.0005),
    ]
    merged = candidate("dbscan", 2, labels=striped(2), leak=0.0)
    assert choose_among_families([*simple, merged]).chosen is simple[0]


def test_more_segments_with_clean_borders_win_where_the_simpler_family_has_none_so_many():
    simple = [
        candidate("k_means", 2, separated=True, leak=0.0),
        candidate("k_means", 3, reason="inadmissible: a segment of one outlier"),
    ]
    robust = candidate("k_medoids", 3, separated=True, leak=0.0)
    choice = choose_among_families([*simple, robust])
    assert choice.chosen is robust
    assert choice.reasons[1] == "inadmissible: a segment of one outlier"


def test_a_mixture_wins_by_held_out_likelihood_against_as_many_segments_too():
    simple = [candidate("k_means", 2, separated=True), candidate("k_means", 3, gain=0.5)]
    mixture = candidate("gaussian_mixture", 3, labels=striped(3), gain=0.6, leak=0.03)
    assert choose_among_families([*simple, mixture]).chosen is mixture
    close = candidate("gaussian_mixture", 3, labels=striped(3), gain=0.51, leak=0.0)
    assert choose_among_families([*simple, close]).chosen is simple[0]


@pytest.mark.parametrize(("gain", "wins"), [(0.53, True), (0.51, False)])
def test_a_mixture_wins_with_nearly_the_same_segments_where_it_describes_customers_better(
    gain, wins
):
    simple = candidate("k_means", 3, separated=True, gain=0.5)
    mixture = candidate("gaussian_mixture", 3, gain=gain)
    choice = choose_among_families([simple, mixture])
    assert choice.chosen is (mixture if wins else simple)
    assert "held-out customers clearly better than k_means" in choice.reasons[1 - wins]


@pytest.mark.parametrize(("worse", "wins"), [(1, True), (2, False)])
def test_a_mixture_describes_nearly_every_half_better(worse, wins):
    simple = candidate("k_means", 3, gain=0.5)
    gains = HeldOut(0.9, (0.49,) * worse + (0.6,) * (10 - worse))
    mixture = candidate("gaussian_mixture", 2, labels=striped(2), held_out=gains)
    choice = choose_among_families([simple, mixture])
    assert choice.chosen is (mixture if wins else simple)
    assert f"better in {10 - worse} of 10 halves" in choice.reasons[1 - wins]


def test_a_mixture_describes_customers_better_than_one_gaussian_too():
    simple = candidate("k_means", 3, gain=-0.5)
    mixture = candidate("gaussian_mixture", 2, labels=striped(2), gain=0.01)
    choice = choose_among_families([simple, mixture])
    assert choice.chosen is simple
    assert "not describe held-out customers clearly better than one Gaussian" in choice.reasons[1]


def test_a_mixture_is_not_left_for_merged_components():
    simple = candidate("k_means", 3)
    mixture = candidate("gaussian_mixture", 3, labels=striped(3), gain=1.0, leak=0.01)
    merged = candidate("dbscan", 2, labels=striped(2), gain=0.4, leak=0.0)
    choice = choose_among_families([simple, mixture, merged])
    assert choice.chosen is mixture
    assert "describe held-out customers worse (-0.600 nats each)" in choice.reasons[2]


def test_segments_that_are_separated_are_not_merged():
    simple = candidate("k_means", 4, separated=True, leak=0.02)
    merged = candidate("dbscan", 2, leak=0.0)
    choice = choose_among_families([simple, merged])
    assert choice.chosen is simple
    assert choice.reasons[1].endswith(
        "it merges segments of k_means with 4 segments that are apart"
    )


def test_what_a_former_holder_kept_apart_is_not_merged_by_steps():
    # Borders that a verdict of "supported" would not do for, and no two of them in one.
    simple = candidate("k_means", 12, border=BorderTest(0.02, 0.45), leak=0.03)
    merged = [
        candidate("hdbscan", 6, leak=0.0005),
        candidate("dbscan", 3, leak=0.0),
    ]
    choice = choose_among_families([simple, *merged])
    assert choice.chosen is simple
    assert [reason.split(": ")[1] for reason in choice.reasons[1:]] == [
        "it merges segments of k_means with 12 segments that are apart"
    ] * 2


def test_a_border_that_is_hardly_emptier_protects_nobody():
    simple = candidate("k_means", 4, border=BorderTest(0.001, 0.2), leak=0.03)
    merged = candidate("dbscan", 2, leak=0.0)
    assert choose_among_families([simple, merged]).chosen is merged


@pytest.mark.parametrize(("p", "is_kept"), [(0.01, True), (0.02, False)])
def test_pieces_of_a_strand_are_merged_where_the_cut_is_as_crowded_as_their_centres(p, is_kept):
    simple = candidate("k_means", 5, border=BorderTest(0.006, 0.42), crowded_border_p=p, leak=0.05)
    merged = candidate("autoencoder", 2, labels=ROWS * 5 // len(ROWS) // 3, leak=0.0003)
    assert choose_among_families([simple, merged]).chosen is (simple if is_kept else merged)


def test_a_challenger_is_compared_with_everyone_who_held_the_place():
    first = candidate("k_means", 4, leak=0.0015)
    second = candidate("gaussian_mixture", 3, labels=striped(3), gain=0.5, leak=0.03)
    third = candidate("dbscan", 3, labels=ROWS // 5 % 3, gain=0.5, leak=0.0004)
    choice = choose_among_families([first, second, third])
    assert choice.chosen is second
    assert choice.reasons[0].startswith("lost to gaussian_mixture with 3 segments")
    assert choice.reasons[2].endswith(
        "not clearly through less of a crowd than those of k_means with 4 segments "
        "(crowded leak 0.0004, theirs 0.0015)"
    )


def test_borders_through_a_crowd_never_win_however_much_worse_the_others_are():
    simple = candidate("k_means", 2, leak=0.1)
    dense = candidate("dbscan", 2, labels=striped(2), leak=0.0026)
    choice = choose_among_families([simple, dense])
    assert choice.chosen is simple
    assert choice.reasons[1].endswith("its borders run through a crowd (crowded leak 0.0026)")


@pytest.mark.parametrize("flaw", [{"jaccard": 0.74}, {"agreement": 0.49}])
def test_what_is_not_repeatable_does_not_count_against_another(flaw):
    # Two segments hold the place; three that don't come back are the challenger's own.
    simple = [
        candidate("k_means", 2, separated=True, leak=0.0, silhouette=0.8),
        candidate("k_means", 3, leak=0.0, **flaw),
    ]
    robust = candidate("k_medoids", 3, separated=True, leak=0.0)
    choice = choose_among_families([*simple, robust])
    assert choice.chosen is robust
    assert "no simpler family has 3 repeatable segments" in choice.reasons[2]


def test_a_holder_that_is_not_repeatable_gives_way_to_the_same_segments_that_are():
    simple = candidate("k_means", 3, leak=0.0, jaccard=0.7)
    robust = candidate("k_medoids", 3, separated=True, leak=0.0)
    assert choose_among_families([simple, robust]).chosen is robust


def test_noise_does_not_make_a_partition_another_one():
    labels = np.where(ROWS % 10 == 0, -1, ROWS * 3 // len(ROWS))
    simple = candidate("k_means", 3)
    dense = candidate("dbscan", 3, labels=labels, leak=0.0, noise=0.1)
    assert choose_among_families([simple, dense]).chosen is simple


def test_where_nothing_is_admissible_the_reasons_are_told():
    with pytest.raises(ClusteringError, match="k_means with 2 segments: inadmissible: tiny"):
        choose_among_families([candidate("k_means", 2, reason="inadmissible: tiny")])


def test_where_no_family_has_an_answer_what_reappears_most_surely_is_taken():
    """A mixture or a density family alone: a partition is published, never an error."""
    mixtures = [candidate("gaussian_mixture", k, gain=k, jaccard=k / 10) for k in (2, 3, 4)]
    unstable = candidate("hdbscan", 3, jaccard=0.5)
    tiny = candidate("hdbscan", 5, reason="inadmissible: tiny")
    choice = choose_among_families([*mixtures, unstable, tiny])
    assert choice.chosen is unstable
    *lost, chosen, inadmissible = choice.reasons
    assert {reason.partition(",")[0] for reason in lost} == {
        "lost: 4 components describe held-out customers best"
    }
    assert chosen == (
        "chosen: no family has an answer; of the admissible candidates it reappears most surely "
        "(lowest Jaccard 0.50)"
    )
    assert inadmissible == "inadmissible: tiny"
    assert choose_among_families(mixtures).chosen is mixtures[2]
