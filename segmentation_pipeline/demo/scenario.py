"""What changes in the customers from night to night, as data; each scenario has a name.

What belongs here: how much changes, and when. Whom it befalls is drawn in `population`, how it
shows is written in `crm`, `survey` and `web`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from segmentation_pipeline.demo import planted
from segmentation_pipeline.errors import PipelineError

Drift = Literal[
    "none", "moves", "role_changes", "gradual", "sudden", "new_group", "effect", "together"
]


@dataclass(frozen=True)
class Scenario:
    """How customers change; what happens on one night happens on the middle one if not said."""

    move_share: float = planted.MOVE_SHARE
    """Of the customers, who moves to another segment each night, in each segmentation."""
    moves_at_once: bool = False
    """Whether only those segments are left and joined between which a move shows on its date."""
    is_turning: bool = True
    """Whether everybody's place within the segment drifts (`planted.TURN_DAYS`)."""
    growth: float = 0.0
    """By how much every number of the CRM grows each night, as a share of it."""
    raised_column: str | None = None
    """The number of the CRM that is another from one night on, for everybody."""
    raised_by: float = 0.0
    """By how much, on the scale of its logarithm."""
    raised_after: Fraction = Fraction(1, 2)
    """After which part of the nights that is."""
    newcomer_share: float = 0.0
    """Of the customers of the first night, how many of another kind join on one night."""
    joined_after: Fraction = Fraction(1, 2)
    """After which part of the nights that is."""

    lifted_by: float = 0.0
    """How much more often than else customers do `planted.LIFTED_EVENT` from the day on after the
    first night, if they are drawn to get `planted.LIFTED_STRATEGY`, as a share of it."""


SCENARIOS: dict[Drift, Scenario] = {
    # Customers still join and leave, answer again, and visit by chance.
    "none": Scenario(move_share=0.0, is_turning=False),
    "moves": Scenario(),
    # Another post: contract, events, visits and answers are others from that day on. Who becomes a
    # visitor of the website, or ceases to be one, does so by and by, and has no date.
    "role_changes": Scenario(moves_at_once=True),
    # 0.12 after 60 nights: a fifth of the customers' standard deviation in contract value.
    "gradual": Scenario(growth=0.002),
    # Contracts cost 1.6 times as much: 0.7 of that standard deviation, overnight.
    "sudden": Scenario(raised_column="contract_value_eur", raised_by=0.47),
    "new_group": Scenario(newcomer_share=0.15),
    # One strategy of the playbook works, the others do nothing.
    "effect": Scenario(lifted_by=0.08),
    # All of it in one home: a smaller group joins first, then contracts change.
    "together": Scenario(
        growth=0.002,
        raised_column="contract_value_eur",
        raised_by=0.47,
        raised_after=Fraction(2, 3),
        newcomer_share=0.1,
        joined_after=Fraction(1, 3),
        lifted_by=0.08,
    ),
}
"""All but `none` have moves and the slow turning; those that say nothing else, as in `moves`."""


def scenario_named(drift: str) -> Scenario:
    """Find a scenario by its name; raises `PipelineError` for one that there isn't."""
    for name in get_args(Drift):
        if name == drift:
            return SCENARIOS[name]
    raise PipelineError(f"no drift `{drift}`; there are {', '.join(SCENARIOS)}")
