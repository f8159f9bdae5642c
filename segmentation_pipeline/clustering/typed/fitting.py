"""Learn a segment from features that every customer has, and judge what was learned."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.typed.answering import Answering, explain_answering
from segmentation_pipeline.clustering.typed.judging import (
    Assessment,
    confusion,
    measure,
    reasons_to_refuse,
)
from segmentation_pipeline.clustering.typed.model import LEAST_PROBABILITY, Typed, TypingModel
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.features.preparation import Preparation

Numbers = NDArray[np.float64]
Labels = NDArray[np.int32]

FEWEST_CUSTOMERS = 10
"""Fewer customers of a segment, learned from or kept aside, tell nothing about it."""


@dataclass(frozen=True, eq=False)
class TypingSample:
    """Prepared columns (n, d) of customers, and labels (n,) of the segment model.

    `columns` are learned from, `held_columns` are kept aside, `silent_columns` are of customers who
    lack the source, so that they have no labels; `silent_customers` is how many these are, drawn or
    not.
    """

    columns: Numbers
    labels: Labels
    held_columns: Numbers
    held_labels: Labels
    silent_columns: Numbers
    silent_customers: int


def fit_typing(
    sample: TypingSample, preparation: Preparation, segments: int, *, seed: int
) -> Typed:
    """Learn the labels 0 to `segments` - 1 (and noise) from prepared columns, and judge it.

    Multinomial logistic regression with an L2 penalty (C = 1 on standardised columns). Noise is
    a class like others where enough customers are noise, else they are left out. The result depends
    on the rows and the seed alone, and not on threads.
    """
    classes = np.arange(segments, dtype=np.int32)
    if np.count_nonzero(sample.held_labels == NOISE) >= FEWEST_CUSTOMERS:
        classes = np.append(classes, np.int32(NOISE))
    learned = np.isin(sample.labels, classes)
    held = np.isin(sample.held_labels, classes)
    truth = _places(sample.labels[learned], classes)
    held_truth = _places(sample.held_labels[held], classes)
    few = _too_few(truth, held_truth, len(classes))
    if few is not None:
        return refused(few, sample)
    if len(classes) == 1:
        only = TypingModel(
            preparation, classes, np.zeros((sample.columns.shape[1], 1)), np.zeros(1)
        )
        return Typed(only, _unmeasured([], sample))
    columns, held_columns = sample.columns[learned], sample.held_columns[held]

    def learn() -> tuple[TypingModel, Answering]:
        plain = _regression(columns, truth, preparation, classes)
        everybody = np.concatenate([columns, held_columns])
        answering = explain_answering(
            np.concatenate([truth, held_truth]),
            plain.probabilities(list(everybody.T)),
            everybody,
            plain.probabilities(list(sample.silent_columns.T)),
            sample.silent_columns,
        )
        biases = plain.biases + np.log(answering.ratios)
        return TypingModel(preparation, classes, plain.weights, biases), answering

    model, answering = _on_one_thread(learn)
    probabilities = model.probabilities(list(held_columns.T))
    weights = answering.weights[len(truth) :]
    plain, weighted = (
        measure(held_truth, probabilities, one, least=LEAST_PROBABILITY, seed=seed)
        for one in (np.ones(len(held_truth)), weights)
    )
    found = probabilities.argmax(axis=1)
    counts, shares = (
        confusion(held_truth, found, one, len(classes))
        for one in (np.ones(len(held_truth)), weights / weights.sum())
    )
    reasons = reasons_to_refuse(plain, weighted)
    assessment = Assessment(
        refusals=reasons,
        learned_customers=len(truth),
        held_out_customers=len(held_truth),
        silent_customers=sample.silent_customers,
        answering=answering.explanation,
        plain=plain,
        weighted=weighted,
        classes=classes.tolist(),
        confusion=counts.astype(np.int64).tolist(),
        weighted_confusion=shares.tolist(),
    )
    return Typed(None if reasons else model, assessment)


def refused(reason: str, sample: TypingSample | None) -> Typed:
    """Say why nothing could be learned, or measured."""
    return Typed(None, _unmeasured([reason], sample))


def _unmeasured(reasons: list[str], sample: TypingSample | None) -> Assessment:
    return Assessment(
        refusals=reasons,
        learned_customers=0 if sample is None else len(sample.labels),
        held_out_customers=0 if sample is None else len(sample.held_labels),
        silent_customers=0 if sample is None else sample.silent_customers,
        answering="not examined",
        plain=None,
        weighted=None,
        classes=[],
        confusion=[],
        weighted_confusion=[],
    )


def _places(labels: Labels, classes: Labels) -> NDArray[np.intp]:
    """Places of labels among the classes, of which noise is the last."""
    return np.where(labels == NOISE, len(classes) - 1, labels).astype(np.intp)


def _too_few(truth: NDArray[np.intp], held: NDArray[np.intp], classes: int) -> str | None:
    for what, places in (("to learn from", truth), ("kept aside", held)):
        smallest = int(np.bincount(places, minlength=classes).min())
        if smallest < FEWEST_CUSTOMERS:
            return (
                f"of one segment there are {smallest} customers {what}, fewer than "
                f"{FEWEST_CUSTOMERS}: too few to tell"
            )
    return None


def _regression(
    columns: Numbers, truth: NDArray[np.intp], preparation: Preparation, classes: Labels
) -> TypingModel:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=5_000, tol=1e-6).fit(columns, truth)
    weights, biases = fitted.coef_.T, fitted.intercept_
    if len(classes) == 2:  # One equation tells two classes apart.
        weights = np.column_stack([np.zeros(len(weights)), weights[:, 0]])
        biases = np.array([0.0, biases[0]])
    return TypingModel(preparation, classes, np.ascontiguousarray(weights), biases)


def _on_one_thread(
    learn: Callable[[], tuple[TypingModel, Answering]],
) -> tuple[TypingModel, Answering]:
    # Workers limit the threads of what is loaded when they are made.
    import sklearn.linear_model  # noqa: F401

    (found,) = Workers(1).map(lambda run: run(), [learn])
    return found
