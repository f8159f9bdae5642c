"""Measures by which partitions of different families can be compared.

What belongs here: figures that mean the same for every family, since they look at customers and
labels alone. Silhouettes don't: they favour round segments. Which partition is taken on such
figures belongs to `choice`; what is claimed of it, to `structure`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.link_leak import N_LINKS
from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix
from segmentation_pipeline.clustering.workers import Workers

N_SPLITS = 5
_CROWD = 0.75
_STRAY = 0.9
_MERGED = 0.95
RIDGE = 0.01
"""Added to every variance of a segment's Gaussian, as mixtures do: a column of few values would
otherwise make a likelihood without bound."""

Halves = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """The ten nearest others (n, 10) of each customer, and the distance (n,) of the tenth."""

    links: NDArray[np.intp]
    reach: Matrix


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a partition is worth to customers that had no part in it.

    `agreement` is the median adjusted Rand index, over random halvings, of one half's own segments
    with those that the other half's give it. `gains` has a figure for each half that was held out:
    the mean log-density of its customers under Gaussians of the other half's segments, less that
    under one Gaussian of all. In nats a customer; candidates have them for the same halves.
    """

    agreement: float
    gains: tuple[float, ...]


def neighbourhoods(matrix: Matrix, similarity: Similarity) -> Neighbourhoods:
    """Find the neighbours that the measures of all candidates share.

    Nobody is a neighbour of themselves. With n < 11 customers everyone has all n - 1 others.
    """
    from scipy.spatial import cKDTree

    count = min(N_LINKS, len(matrix) - 1)
    rows = similarity.rows(matrix)
    distances, found = cKDTree(rows).query(rows, k=count + 1, p=similarity.exponent)
    # Of equal customers anyone may come first: who is left out is oneself, or the last if one
    # isn't among the found.
    is_self = found == np.arange(len(rows))[:, np.newaxis]
    is_self[~is_self.any(axis=1), -1] = True
    kept = ~is_self
    return Neighbourhoods(
        links=found[kept].reshape(len(rows), count).astype(np.intp),
        reach=distances[kept].reshape(len(rows), count)[:, -1],
    )


def crowded_leak(around: Neighbourhoods, labels: Labels) -> float:
    """Largest share, by segment, of neighbour links that leave it from where it is crowded.

    That is everywhere but in the quarter of each segment whose tenth neighbours are farthest. A
    border through a valley hardly touches the rest, however long the border and whatever the
    segments' shapes, and the share is near 0; a border through a crowd cuts it. Link leak counts
    the customers of a valley, too: for noisy moons (0.1) it was .009 where K-Means cut them in the
    middle, by a short border, and .007 for their true border; this is .0122 and .0001. Noise has no
    crowd; a link to it leaves. The largest share counts: a speck that breaks off the edge of a
    crowd leaks much, and little of all links. 1 where there are fewer than two segments.

    Strays come first into the quarter that is left out, and links to those there don't count:
    customers of whose neighbours nine in ten are in other segments. They are misplaced, and no
    border: on a straight one half of the neighbours are one's own, and at most one of ten would be
    by a chance of .011. One stray of 430 customers makes a share of .0023, more than a border that
    is good; a segment of more strays than a quarter (a few outliers) keeps their leak.
    """
    segments = np.unique(labels[labels != NOISE])
    if len(segments) < 2:
        return 1.0
    theirs = labels[around.links]
    leaves = theirs != labels[:, np.newaxis]
    elsewhere = (leaves & (theirs != NOISE)).mean(axis=1)
    is_stray = (elsewhere >= _STRAY) & (labels != NOISE)
    crowds, left_out = [], np.zeros(len(labels), np.bool_)
    for segment in segments:
        members = np.flatnonzero(labels == segment)
        ordered = members[np.lexsort((around.reach[members], is_stray[members]))]
        crowd, rest = np.split(ordered, [math.ceil(_CROWD * len(members))])
        crowds.append(crowd)
        left_out[rest] = is_stray[rest]
    leaving = (leaves & ~left_out[around.links]).mean(axis=1)
    return max(float(leaving[crowd].mean()) for crowd in crowds)


def agreement_inside(labels: Labels, others: Labels) -> float:
    """Adjusted Rand index over the customers whom neither partition calls noise."""
    from sklearn.metrics import adjusted_rand_score

    inside = (labels != NOISE) & (others != NOISE)
    return float(adjusted_rand_score(labels[inside], others[inside]))


def merges(labels: Labels, others: Labels) -> bool:
    """Whether segments are unions of those of another partition, which has more.

    They are if 95 % of the customers, noise apart, are with most of their segment of the other.

    >>> merges(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 7]))
    True
    >>> merges(np.array([0, 0, 1, 1]), np.array([5, 6, 6, 7]))
    False
    """
    segments, other_segments = (np.unique(part[part != NOISE]) for part in (labels, others))
    inside = (labels != NOISE) & (others != NOISE)
    if len(segments) >= len(other_segments) or not inside.any():
        return False
    shared = np.zeros((len(other_segments), len(segments)))
    place = np.searchsorted(other_segments, others[inside])
    np.add.at(shared, (place, np.searchsorted(segments, labels[inside])), 1.0)
    return bool(shared.max(axis=1).sum() >= _MERGED * shared.sum())


def random_halves(rows: int, *, seed: int, n_splits: int = N_SPLITS) -> list[Halves]:
    """Random halvings of this many customers, for all candidates alike."""
    found = []
    for number in range(n_splits):
        drawn = np.random.default_rng([seed, number]).permutation(rows)
        found.append((np.sort(drawn[: rows // 2]), np.sort(drawn[rows // 2 :])))
    return found


def held_out(
    matrix: Matrix,
    segments: int,
    fit_predict: FitPredict,
    halves: Sequence[Halves],
    similarity: Similarity,
    *,
    seed: int,
    workers: int = 1,
) -> HeldOut:
    """Fit each half anew, and look at it from the other.

    A half gives the other's customers the segment of their nearest neighbour in it, which serves
    every family (the transfer of Lange et al. 2004, doi:10.1162/089976604773717621). Its Gaussians
    have each segment's share, mean and covariance; noise is one more. They describe no family's
    own density but what its labels say, by one yardstick: for mixtures it is within .01 of their
    own likelihood where components overlap little.

    Args:
        matrix: what was clustered, shape (n, d).
        segments: the number of segments that `fit_predict` is asked for.
        fit_predict: refits the candidate; called from several threads.
        halves: from `random_halves`, of the same customers.
        similarity: the metric that was clustered in.
        seed: same seed, same result, whatever `workers` is.
        workers: threads.

    """
    from scipy.spatial import cKDTree
    from sklearn.metrics import adjusted_rand_score

    def look(number: int) -> tuple[float, list[float]]:
        halved = [matrix[half] for half in halves[number]]
        labels = [fit_predict(rows, seed + number, segments) for rows in halved]
        first, second = (similarity.rows(rows) for rows in halved)
        nearest = cKDTree(first).query(second, p=similarity.exponent)[1]
        agreement = float(adjusted_rand_score(labels[0][nearest], labels[1]))
        gains = [
            _gain(halved[0], labels[0], halved[1]),
            _gain(halved[1], labels[1], halved[0]),
        ]
        return agreement, gains

    looks = Workers(workers).map(look, range(len(halves)))
    return HeldOut(
        agreement=float(np.median([agreement for agreement, _ in looks])),
        gains=tuple(gain for _, gains in looks for gain in gains),
    )


def segments_log_density(rows: Matrix, labels: Labels, others: Matrix) -> Matrix:
    """Log-density (m,) of `others` (m, d) under one Gaussian a segment of `rows` (n, d).

    But for a constant that is the same for every partition.
    """
    logs = [
        np.log(np.mean(labels == label)) + _log_density(rows[labels == label], others)
        for label in np.unique(labels)
    ]
    density: Matrix = np.logaddexp.reduce(logs, axis=0)
    return density


def _gain(rows: Matrix, labels: Labels, others: Matrix) -> float:
    """How much more likely `others` are under one Gaussian a segment than under one of all."""
    apart = segments_log_density(rows, labels, others)
    return float(np.mean(apart - _log_density(rows, others)))


def _log_density(rows: Matrix, others: Matrix) -> Matrix:
    """Log-density (m,) of `others` (m, d) under the Gaussian of `rows`, but for its constant."""
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / len(rows) + RIDGE * np.eye(rows.shape[1])
    factor = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(factor, (others - rows.mean(axis=0)).T)
    density: Matrix = -0.5 * np.einsum("ij,ij->j", scaled, scaled) - np.log(factor.diagonal()).sum()
    return density
