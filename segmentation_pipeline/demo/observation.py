"""How a planted segment shows: the SQL that draws a value, and the density that judges it.

Every kind of value has both, so that the best possible agreement (`ceiling.py`) is computed by the
densities that the values were drawn from. A missing value (NaN) says nothing: its row is zeros.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from segmentation_pipeline.demo.randomness import by_segment_sql, poisson_shares, step_sql
from segmentation_pipeline.warehouse import literal

Array = NDArray[np.float64]
_NEVER = 1e-300


@dataclass(frozen=True)
class Measure:
    """A number seen through a latent that is Gaussian within a segment.

    `amount` is the latent's exponential, rounded to tens; `count` its exponential less 1, rounded,
    at least 0 (so that log1p of the count is about the latent); `whole` the latent itself, rounded,
    at least 1; `years` the latent itself.
    """

    form: Literal["amount", "count", "whole", "years"]
    means: tuple[float, ...]
    sd: float

    def shifted(self, by: float) -> "Measure":
        """Move the latent by as much in every segment."""
        return replace(self, means=tuple(mean + by for mean in self.means))

    def value_sql(self, gaussian: str, segment: str) -> str:
        """Make the value of a standard normal number and a segment's index."""
        mean = by_segment_sql(segment, [literal(mean) for mean in self.means])
        latent = f"({mean} + {literal(self.sd)} * {gaussian})"
        match self.form:
            case "amount":
                return f"(10 * round(exp({latent}) / 10))::BIGINT"
            case "count":
                return f"greatest(0, round(exp({latent}) - 1))::BIGINT"
            case "whole":
                return f"greatest(1, round({latent}))::BIGINT"
            case "years":
                return latent

    def log_likelihoods(self, values: Array) -> Array:
        """Return the log density, up to a constant, of (n,) values in k segments: (n, k)."""
        seen = values[:, None]
        with np.errstate(divide="ignore"):
            match self.form:
                case "amount":
                    result = self._log_density(np.log(seen))
                case "years":
                    result = self._log_density(seen)
                case "count":
                    lower = np.where(seen > 0, np.log(seen + 0.5), -np.inf)
                    result = self._log_interval(lower, np.log(seen + 1.5))
                case "whole":
                    lower = np.where(seen > 1, seen - 0.5, -np.inf)
                    result = self._log_interval(lower, seen + 0.5)
        return np.where(np.isnan(seen), 0.0, result)

    def _log_density(self, latent: Array) -> Array:
        return np.asarray(-0.5 * ((latent - np.array(self.means)) / self.sd) ** 2)

    def _log_interval(self, lower: Array, upper: Array) -> Array:
        means = np.array(self.means)
        mass = ndtr((upper - means) / self.sd) - ndtr((lower - means) / self.sd)
        return np.asarray(np.log(np.maximum(mass, _NEVER)))


@dataclass(frozen=True)
class Category:
    """One of several words, whose shares (in percent) depend on the segment."""

    values: tuple[str, ...]
    percent: tuple[tuple[float, ...], ...]

    @property
    def shares(self) -> Array:
        """The probability of each value in each segment: (k, values)."""
        return np.array(self.percent) / 100

    def value_sql(self, uniform: str, segment: str) -> str:
        """Draw the value by a uniform number and a segment's index."""
        steps = [step_sql(uniform, [float(share) for share in row]) for row in self.shares]
        texts = ", ".join(literal(value) for value in self.values)
        return f"[{texts}][1 + {by_segment_sql(segment, steps)}]"

    def log_likelihoods(self, values: Sequence[str | None]) -> Array:
        """Return the log probability of (n,) words in each of k segments: (n, k)."""
        index = {value: position for position, value in enumerate(self.values)}
        unknown = len(self.values)
        seen = np.array([index.get(value or "", unknown) for value in values], dtype=np.intp)
        table = np.vstack([np.log(self.shares.T), np.zeros(len(self.percent))])
        return np.asarray(table[seen])


@dataclass(frozen=True)
class Rate:
    """Events that come at random, so many on average in 90 days."""

    per_90_days: tuple[float, ...]

    def times(self, share: float) -> "Rate":
        """Make all rates so many times as high."""
        return replace(self, per_90_days=tuple(rate * share for rate in self.per_90_days))

    def count_sql(self, uniform: str, segment: str, days: int) -> str:
        """Draw how many come in so many days: Poisson's distribution, inverted exactly."""
        steps = [step_sql(uniform, poisson_shares(rate * days / 90)) for rate in self.per_90_days]
        return by_segment_sql(segment, steps)

    def log_likelihoods(self, counts: Array) -> Array:
        """Return the log probability, up to a constant, of (n,) counts in 90 days: (n, k)."""
        rates = np.array(self.per_90_days)
        return np.asarray(counts[:, None] * np.log(rates) - rates)


@dataclass(frozen=True)
class Response:
    """The share of messages that are answered (a mail opened, an opened mail clicked)."""

    shares: tuple[float, ...]

    def chance_sql(self, uniform: str, segment: str) -> str:
        """Whether one message is answered."""
        share = by_segment_sql(segment, [literal(share) for share in self.shares])
        return f"({uniform} < {share})"

    def log_likelihoods(self, answered: Array, messages: Array) -> Array:
        """Return the log probability, up to a constant, of so many answers: (n, k)."""
        shares = np.array(self.shares)
        ignored = (messages - answered)[:, None]
        return np.asarray(answered[:, None] * np.log(shares) + ignored * np.log(1 - shares))
