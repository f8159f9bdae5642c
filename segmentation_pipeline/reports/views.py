"""What the page's template is given: texts that are ready, nothing left to compute."""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.reports.wording import Claim


@dataclass(frozen=True)
class Grid:
    """A small table: headings and cells as texts."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: str = ""
    """What is said below where rows were left out."""


@dataclass(frozen=True)
class Picture:
    """A chart, drawn for a page and for a phone as `<svg>`, with its numbers as a table."""

    key: str
    title: str
    caption: str
    page_svg: str
    phone_svg: str
    numbers: Grid


@dataclass(frozen=True)
class Bar:
    """A bin of a distribution: heights from 0 to 100."""

    label: str
    share: str
    overall_share: str
    height: float
    overall_height: float


@dataclass(frozen=True)
class Trait:
    """What sets a segment apart, with its distribution if there is one."""

    sentence: str
    detail: str = ""
    bars: Sequence[Bar] = ()
    words: str = ""
    """What the distribution shows, for those who don't see it."""


@dataclass(frozen=True)
class Strategy:
    """What to do with a segment."""

    name: str
    message: str
    facts: Sequence[tuple[str, str]]
    evidence: str


@dataclass(frozen=True)
class SegmentRule:
    """A segment as a rule."""

    words: str
    quality: str
    sql: str


@dataclass(frozen=True)
class Part:
    """A segment as a part of the whole."""

    number: str
    name: str
    share: str
    percent: float
    colour: str
    is_dark: bool


@dataclass(frozen=True)
class Card:
    """A segment, told to people."""

    key: str
    part: Part
    customers: str
    headline: str
    note: str
    typical: Sequence[tuple[str, str]]
    traits: Sequence[Trait]
    about: Sequence[tuple[str, str]]
    """What they want, how they behave, what they are worth."""
    kpis: Sequence[tuple[str, str]]
    """How they do, by the home's KPIs."""
    rule: SegmentRule | None
    strategies: Sequence[Strategy]
    is_without_strategy: bool


@dataclass(frozen=True)
class Lens:
    """A segmentation."""

    key: str
    title: str
    description: str
    customers: str
    segment_count: int
    stale_note: str
    claim: Claim
    sentence: str
    criteria: Sequence[tuple[str, str]]
    parts: Sequence[Part]
    """The segments as parts of the whole, for the summary."""
    overview: Sequence[Picture]
    differences: Picture | None
    cards: Sequence[Card]
    cards_more: str
    movement: str
    movement_picture: Picture | None
    transitions: Sequence[str]
    choice: str
    candidates: Picture | None
    preparation: str
    variants: Grid | None
    features: Grid
    fairness: Grid | None


@dataclass(frozen=True)
class Quality:
    """What became of the data before anything was grouped."""

    summary: str
    tone: str
    checks: str
    noticed: Grid
    gaps: Grid
    sources: Grid
    cleaning: Grid


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    description: str
    date: str
    summary: str
    lenses: Sequence[Lens]
    quality: Quality
    fingerprint: str
