"""What customers are called in what is published, where the home wants their ids kept back.

A pseudonym is HMAC-SHA256 (RFC 2104) of the id under a key that only the environment knows: the
same customer has the same one in all tables and on all nights, so that they still join; without the
key nobody gets from the one to the other, not by trying all ids either.
"""

import hashlib
import hmac
from collections.abc import Mapping

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import literal

_BLOCK_BYTES = 64
_HEX_DIGITS = 32
"""128 of the 256 bits: among 10^9 customers two have the same one with a chance of 10^-21."""
_SHORTEST_KEY = 16


def pseudonym_key(home: Home, environment: Mapping[str, str]) -> bytes | None:
    """Take the key of a home's pseudonyms from the environment; None where it wants none.

    Raises PublicationError where it is not there, or too short to withstand trying.
    """
    variable = home.customers.publication.pseudonym_key_variable
    if variable is None:
        return None
    key = environment.get(variable, "")
    if len(key) < _SHORTEST_KEY:
        state = "is not set" if not key else f"has fewer than {_SHORTEST_KEY} characters"
        raise PublicationError(
            f"{home.path / 'customers.yaml'}: `publication.pseudonym_key_variable` names {variable}"
            f", which {state} here: without the key nothing is published. Set it to what it was on "
            "the nights before"
        )
    return key.encode()


def pseudonym(key: bytes, customer_id: str) -> str:
    """Compute what a customer is called, as `pseudonym_sql` does."""
    return hmac.new(key, customer_id.encode(), hashlib.sha256).hexdigest()[:_HEX_DIGITS]


def key_fingerprint(key: bytes) -> str:
    """Compute a word by which a key is known again, and which says nothing about it."""
    return hmac.new(key, b"\0fingerprint", hashlib.sha256).hexdigest()[:16]


def pseudonym_sql(key: bytes | None, column: str) -> str:
    """Write what a customer is called, from an id (an SQL expression); without a key, the id."""
    if key is None:
        return column
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(
        _BLOCK_BYTES, b"\0"
    )
    inner, outer = (_blob_sql(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    message = f"unhex(sha256({inner} || encode({column})))"
    return f"left(sha256({outer} || {message}), {_HEX_DIGITS})"


def _blob_sql(value: bytes) -> str:
    return f"unhex({literal(value.hex())})"
