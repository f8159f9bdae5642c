"""What may be claimed about a segmentation, and how many segments it should have.

Three questions must all be answered yes before segments are called supported. Each alone is
fooled: stability by any smooth cut, the null by heavy tails, the border by a single category.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.clustering.stability import STABLE, Stability
from segmentation_pipeline.clustering.structure.border import BorderTest
from segmentation_pipeline.clustering.structure.link_leak import DISAGREEMENT
from segmentation_pipeline.clustering.structure.null_test import NullComparison
from segmentation_pipeline.clustering.structure.one_split import OneSplit

Word = Literal["supported", "weak", "continuum", "too few to tell", "no structure"]

NULL_SIGNIFICANCE = 0.01
ENOUGH_CUSTOMERS = 500
FULLER_BORDER_P = 0.95
"""At this p, and a depth below 0, the border holds more customers than the emptier centre, at
5 % of the upper tail: a continuum that is seen, not one that is assumed for want of customers."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one partition.

    `null` is the comparison of K-Means at the same number of segments, or None where there are
    too many segments for it.
    """

    n_segments: int
    smallest_share: float
    silhouette: float
    border: BorderTest
    stability: Stability
    null: NullComparison | None

    @property
    def beyond_correlation(self) -> bool:
        """Whether features combine beyond what their correlations explain."""
        return self.null is not None and self.null.p <= NULL_SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """A number of segments and why it was chosen.

    `nothing stable` names the most stable candidate, `nothing big enough` the one with the
    largest smallest segment: whether to publish such a thing is not decided here.
    """

    n_segments: int
    reason: Literal[
        "separated and stable",
        "stable, highest silhouette",
        "nothing stable",
        "nothing big enough",
    ]


@dataclass(frozen=True, slots=True)
class OtherSegments:
    """The best candidate of another family of algorithms.

    `agreement` is its adjusted Rand index with the published segments, `one_split` the one cut
    that it is nearest to, if it has two segments.
    """

    algorithm: str
    agreement: float
    one_split: OneSplit | None = None


@dataclass(frozen=True, slots=True)
class StructureVerdict:
    """The verdict on the published segments, every figure behind it, and a sentence to read.

    `n_customers` are those that the statistics saw, `n_tried` the numbers of segments that were
    tried, which `separated` allows for. `others` are what other families of algorithms found.
    """

    word: Word
    sentence: str
    n_customers: int
    n_tried: int
    n_segments: int
    separated: bool = False
    evidence: Evidence | None = None
    one_split: OneSplit | None = None
    others: tuple[OtherSegments, ...] = ()


def choose_segment_count(candidates: Sequence[Evidence], *, smallest_share: float) -> SegmentCount:
    """The largest separated, stable, big-enough number of segments.

    If none is separated, the stable one with the highest silhouette. On 140 planted numbers this
    found 134, the highest silhouette 114. All candidates count as tried, the too small ones too.

    Args:
        candidates: evidence for at least one number of segments.
        smallest_share: the share of customers that every segment must have.

    """
    big_enough = [c for c in candidates if c.smallest_share >= smallest_share]
    if not big_enough:
        evenest = max(candidates, key=lambda c: c.smallest_share)
        return SegmentCount(evenest.n_segments, "nothing big enough")
    stable = [c for c in big_enough if c.stability.stable]
    separated = [c for c in stable if c.border.separates(len(candidates))]
    if separated:
        largest = max(separated, key=lambda c: c.n_segments)
        return SegmentCount(largest.n_segments, "separated and stable")
    if stable:
        highest = max(stable, key=lambda c: c.silhouette)
        return SegmentCount(highest.n_segments, "stable, highest silhouette")
    most_stable = max(big_enough, key=lambda c: c.stability.worst)
    return SegmentCount(most_stable.n_segments, "nothing stable")


def judge(
    evidence: Evidence,
    *,
    n_customers: int,
    n_tried: int,
    one_split: OneSplit | None = None,
    others: Sequence[OtherSegments] = (),
) -> StructureVerdict:
    """The verdict on one partition.

    `supported` needs separated borders, a null p of at most .01 and every Jaccard at .75; `weak`
    has the first or the second; anything else is a `continuum`. With less than 500 customers
    that is `too few to tell`, unless the border is seen to be fuller than the centre.
    """
    if evidence.n_segments < 2:
        return no_structure("There is only one segment.", n_customers=n_customers)
    separated = evidence.border.separates(n_tried)
    word = _word(evidence, separated=separated, n_customers=n_customers)
    return StructureVerdict(
        word=word,
        sentence=" ".join(
            [
                _claim(word, evidence.n_segments),
                _border_sentence(evidence.border, separated=separated),
                _null_sentence(evidence),
                _stability_sentence(evidence.stability),
                *_remarks(one_split, others),
            ]
        ),
        n_customers=n_customers,
        n_tried=n_tried,
        n_segments=evidence.n_segments,
        separated=separated,
        evidence=evidence,
        one_split=one_split,
        others=tuple(others),
    )


def no_structure(sentence: str, *, n_customers: int) -> StructureVerdict:
    """The verdict on a single segment, with a sentence that says why there is no second."""
    return StructureVerdict(
        word="no structure", sentence=sentence, n_customers=n_customers, n_tried=0, n_segments=1
    )


def _word(evidence: Evidence, *, separated: bool, n_customers: int) -> Word:
    if separated and evidence.beyond_correlation and evidence.stability.stable:
        return "supported"
    if separated or evidence.beyond_correlation:
        return "weak"
    seen_full = evidence.border.p >= FULLER_BORDER_P and evidence.border.depth < 0.0
    return "continuum" if n_customers >= ENOUGH_CUSTOMERS or seen_full else "too few to tell"


def _claim(word: Word, n_segments: int) -> str:
    claims = {
        "supported": f"The data support {n_segments} segments.",
        "weak": f"There are signs of {n_segments} segments, but not all that it takes.",
        "continuum": (
            f"The customers form a continuum that is cut into {n_segments} parts: "
            "useful perhaps, but the borders are a choice."
        ),
        "too few to tell": (
            f"There are too few customers to tell whether the {n_segments} segments are more "
            "than a cut through a continuum."
        ),
    }
    return claims[word]


def _border_sentence(border: BorderTest, *, separated: bool) -> str:
    if separated:
        return (
            f"Customers are rarer between neighbouring segments than in them: {border.depth:.0%} "
            f"fewer at the least clear border ({_p(border.p)})."
        )
    if border.depth < 0.0:
        return (
            f"Customers are not rarer between the segments: the border is fuller than the emptier "
            f"of two centres ({_p(border.p)})."
        )
    return (
        f"Not every border is clearly emptier than the segments: the least clear one by "
        f"{border.depth:.0%} ({_p(border.p)})."
    )


def _null_sentence(evidence: Evidence) -> str:
    if evidence.null is None:
        return f"{evidence.n_segments} segments were not compared with data that have none."
    figures = f"(z = {evidence.null.z:z.1f}, {_p(evidence.null.p)})"
    if evidence.beyond_correlation:
        return f"Features combine beyond what their correlations explain {figures}."
    return f"Correlations between features explain the grouping {figures}."


def _stability_sentence(stability: Stability) -> str:
    scheme = "bootstrap" if stability.scheme == "bootstrap" else "halves of the sample"
    figure = f"(lowest Jaccard {stability.worst:.2f}, {scheme})"
    if stability.stable:
        return f"Every segment reappears when customers are resampled {figure}."
    n_lost = sum(jaccard < STABLE for jaccard in stability.jaccards)
    return f"{n_lost} of {len(stability.jaccards)} segments don't reliably reappear {figure}."


def _remarks(one_split: OneSplit | None, others: Sequence[OtherSegments]) -> list[str]:
    remarks = []
    if one_split is not None and one_split.nearly_the_same:
        remarks.append(
            f"Nearly the same as {one_split.rule} (cross-validated fidelity "
            f"{one_split.fidelity:.3f})."
        )
    different = [_other(other) for other in others if other.agreement < DISAGREEMENT]
    if different:
        remarks.append(f"Other algorithms find other segments: {'; '.join(different)}.")
    return remarks


def _other(other: OtherSegments) -> str:
    found = f"{other.algorithm} (ARI {other.agreement:.2f}"
    if other.one_split is not None and other.one_split.nearly_the_same:
        found += f", nearly the same as {other.one_split.rule}"
    return f"{found})"


def _p(p: float) -> str:
    return "p < .001" if p < 0.001 else "p = " + f"{p:.3f}".removeprefix("0")
