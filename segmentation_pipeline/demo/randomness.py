"""Random numbers as a pure function of seed, purpose and number, as SQL.

DuckDB's `random()` depends on threads, and its `hash()` may change with its version. So each
purpose ("publications", "blank gender", ...) has its own SplitMix64 generator (Steele, Lea and
Flood 2014, "Fast splittable pseudorandom number generators"), seeded by a digest of the seed and
the purpose, and a customer gets the number-th value of it: no state, any order, any number of
threads. In SQL it costs 10 ns a value; MD5, which would do as well, costs 300 ns.

What follows from the numbers (`ln`, `cos`, `exp`) may differ in its last bit between two C
libraries; everything written is rounded far above that.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.warehouse import Connection, literal

_MASK = "18446744073709551615::UHUGEINT"
_MACROS_SQL = f"""
CREATE MACRO wrapping_product(x, factor) AS
    ((x::UHUGEINT * factor::UHUGEINT) & {_MASK})::UBIGINT;
CREATE MACRO xor_shift(x, bits) AS xor(x, x >> bits);
CREATE MACRO splitmix64(generator, number) AS xor_shift(wrapping_product(
    xor_shift(wrapping_product(
        xor_shift(
            ((number::UHUGEINT * 11400714819323198485::UHUGEINT + generator::UHUGEINT)
                & {_MASK})::UBIGINT,
            30),
        13787848793156543929::UBIGINT), 27),
    10723151780598845931::UBIGINT), 31);
CREATE MACRO uniform(generator, number) AS
    (splitmix64(generator, number) >> 11)::DOUBLE * {literal(2.0**-53)};
"""


def create_macros(connection: Connection) -> None:
    """Define `splitmix64(generator, number)` and `uniform(generator, number)` in [0, 1)."""
    connection.execute(_MACROS_SQL)


@dataclass(frozen=True)
class Draws:
    """Random values of one seed, as SQL over a column that holds a non-negative whole number."""

    seed: int

    def uniform_sql(self, purpose: str, number: str = "number") -> str:
        """Draw uniformly from [0, 1)."""
        digest = hashlib.sha256(f"{self.seed}:{purpose}".encode()).digest()
        return f"uniform({int.from_bytes(digest[:8], 'little')}::UBIGINT, {number})"

    def radius_sql(self, purpose: str, number: str = "number") -> str:
        """Draw the distance from the origin of a point that is normal in two dimensions."""
        return f"sqrt(-2 * ln(1 - {self.uniform_sql(f'{purpose}, radius', number)}))"

    def angle_sql(self, purpose: str, number: str = "number") -> str:
        """Draw that point's angle, in turns of the circle."""
        return self.uniform_sql(f"{purpose}, angle", number)

    def gaussian_sql(self, purpose: str, number: str = "number", turn: str = "0") -> str:
        """Draw from the standard normal distribution (see `turned_gaussian_sql`)."""
        return turned_gaussian_sql(
            self.radius_sql(purpose, number), self.angle_sql(purpose, number), turn
        )

    def chance_sql(self, purpose: str, share: float, number: str = "number") -> str:
        """Be true with a probability of `share`."""
        return f"({self.uniform_sql(purpose, number)} < {literal(share)})"

    def pick_sql(self, purpose: str, values: Sequence[str], number: str = "number") -> str:
        """Draw one of equally likely texts."""
        texts = ", ".join(literal(value) for value in values)
        return f"[{texts}][1 + {self.below_sql(purpose, str(len(values)), number)}]"

    def below_sql(self, purpose: str, bound: str, number: str = "number") -> str:
        """Draw a whole number from 0 to `bound` - 1; `bound` is an SQL expression."""
        return f"floor({self.uniform_sql(purpose, number)} * ({bound}))::BIGINT"


def turned_gaussian_sql(radius: str, angle: str, turn: str) -> str:
    """Make a standard normal number of a radius and an angle, by Box and Muller (1958).

    `turn`, in turns of the circle, is added to the angle: a latent that turns with time is standard
    normal on every date and drifts smoothly, two dates being correlated by
    cos(2 pi (turn - turn')).
    """
    return f"({radius} * cos({literal(2 * math.pi)} * ({angle} + {turn})))"


def step_sql(uniform: str, shares: Sequence[float]) -> str:
    """Turn a uniform number into an index from 0, by inverting the distribution `shares`.

    The index is the count of cumulated shares that the number reaches: what lies beyond the last
    share goes to the last index.
    """
    reached: list[str] = []
    cumulated = 0.0
    for share in shares[:-1]:
        cumulated += share
        reached.append(f"({uniform} >= {literal(cumulated)})::BIGINT")
    return f"({' + '.join(reached)})" if reached else "0"


def poisson_shares(mean: float) -> list[float]:
    """Return the probabilities of 0, 1, 2, ... events, up to a tail below 1e-12.

    >>> [round(share, 4) for share in poisson_shares(0.5)[:3]]
    [0.6065, 0.3033, 0.0758]
    """
    shares = [math.exp(-mean)]
    while sum(shares) < 1 - 1e-12 or len(shares) <= mean:
        shares.append(shares[-1] * mean / len(shares))
    return shares


def by_segment_sql(segment: str, values: Sequence[str]) -> str:
    """Choose the SQL expression that belongs to a segment's index."""
    branches = " ".join(f"WHEN {index} THEN {value}" for index, value in enumerate(values))
    return f"(CASE {segment} {branches} END)"
