"""What a report says in plain words, for readers who know nothing of clustering."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Claim:
    """A verdict, said to somebody who wants to know what may be done with the segments."""

    word: str
    tone: str
    headline: str
    meaning: str


_CLAIMS = {
    "supported": Claim(
        "supported",
        "good",
        "These groups are really there.",
        "Customers are clearly rarer between the groups than inside them, and the same groups come "
        "back when the customers are drawn anew. You can speak of them as kinds of customers.",
    ),
    "weak": Claim(
        "weak",
        "fair",
        "There are signs of these groups, but no proof.",
        "Some of the tests speak for separate groups, and some don't. Use the segments as a "
        "help for planning; don't take the borders between them literally.",
    ),
    "continuum": Claim(
        "continuum",
        "plain",
        "There are no separate groups: customers lie on a scale.",
        "Customers pass gradually from one kind to the next, and the segments are sections of that "
        "scale, as age bands are. They can be useful, but where one ends is a choice.",
    ),
    "too few to tell": Claim(
        "too few to tell",
        "plain",
        "There are too few customers to say whether the groups are real.",
        "The segments describe these customers. Whether others would fall into the same groups, "
        "nobody can say from so few.",
    ),
    "no structure": Claim(
        "no structure",
        "plain",
        "No groups were found.",
        "All customers are alike enough to be treated as one.",
    ),
}
_UNJUDGED = Claim(
    "not judged", "plain", "Nobody has judged these groups yet.", "The next night will do so."
)

FAMILIES = {
    "k_means": "K-Means",
    "k_medoids": "K-Medoids",
    "gaussian_mixture": "Gaussian mixture",
    "dbscan": "DBSCAN",
    "hdbscan": "HDBSCAN",
    "autoencoder": "Autoencoder",
    "rules": "Rules",
}


def claim(verdict: str | None) -> Claim:
    """Say what a verdict means."""
    return _CLAIMS.get(verdict or "", _UNJUDGED)


def family(algorithm: str) -> str:
    """Name a family of algorithms as people write it.

    >>> family("k_means"), family("spectral_cut")
    ('K-Means', 'spectral cut')
    """
    return FAMILIES.get(algorithm, words(algorithm))


def words(name: object) -> str:
    """Write the name of a column or feature as words.

    >>> words("open_rate")
    'open rate'
    """
    return str(name).replace("_", " ")


def percent(share: float | None, digits: int = 0) -> str:
    """Write a share in percent; a share that would be written as nothing or all of it is not.

    >>> percent(0.329), percent(0.0004), percent(0.9996), percent(0.0), percent(None)
    ('33%', '<1%', '>99%', '0%', '\u2013')
    """
    if share is None:
        return "\u2013"
    text = f"{100 * share:.{digits}f}%"
    least = 10.0**-digits
    if share > 0 and 100 * share < least / 2:
        return f"<{least:.{digits}f}%"
    if share < 1 and 100 * (1 - share) < least / 2:
        return f">{100 - least:.{digits}f}%"
    return text


def number(value: Any, unit: str | None = None) -> str:
    """Write a number with as many digits as one can take in.

    >>> number(1796.52, "EUR/month"), number(1.6), number(None), number(298), number(0.0)
    ('1,797 EUR/month', '1.6', '\u2013', '298', '0')
    """
    if value is None:
        return "\u2013"
    if isinstance(value, int) or abs(value) >= 100:
        text = f"{value:,.0f}"
    elif abs(value) >= 10:
        text = f"{value:.1f}".removesuffix(".0")
    else:
        text = f"{value:.2f}".rstrip("0").rstrip(".")
    text = text.replace("-", "\u2212")
    return f"{text} {unit}" if unit else text


def listed(items: Iterable[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    *first, last = list(items) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def counted(count: int, one: str, several: str | None = None) -> str:
    """Say how many of a thing there are.

    >>> counted(1, "customer"), counted(1200, "customer")
    ('1 customer', '1,200 customers')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def bin_label(lower: float | None, upper: float | None, *, is_share: bool = False) -> str:
    """Name a bin by its values.

    >>> bin_label(None, 5.0), bin_label(5.0, 10.0), bin_label(10.0, None)
    ('under 5', '5 to under 10', '10 or more')
    """
    written = percent if is_share else number
    if lower is None:
        return f"under {written(upper)}"
    if upper is None:
        return f"{written(lower)} or more"
    return f"{written(lower)} to under {written(upper)}"
