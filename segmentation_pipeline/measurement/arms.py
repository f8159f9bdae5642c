"""Who is held out: a keyed draw from a customer's id, as SQL.

The draw is HMAC-SHA-256 (RFC 2104) of a salt and the id, its first 52 bits read as a number in
[0, 1): whoever lacks the key can't tell who is held out, no draw tells of another salt's, and it is
the same in every version of DuckDB, in any order and on any number of threads. The sample that is
clustered is chosen by another hash (`features.sample`), so that it says nothing of arms.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.experiments import Experiments
from segmentation_pipeline.warehouse import literal

Arm = Literal["treated", "hold_out", "global_hold_out"]
Environment = Mapping[str, str]

_BLOCK = hashlib.sha256().block_size
_DIGITS = 13
"""Hexadecimal digits of the draw: 52 bits, which a DOUBLE holds exactly."""
# No segmentation or strategy has a blank in its name.
_GLOBAL_SALT = "global hold-out"


def experiment_key(experiments: Experiments, environment: Environment) -> bytes:
    """Find the key of a home's draws; raises SpecificationError where the variable is not set."""
    if experiments.key is not None:
        return experiments.key.encode()
    variable = experiments.key_variable or ""
    key = environment.get(variable, "")
    if not key:
        raise SpecificationError(
            f"customers.yaml: experiments.key_variable: the environment has no {variable}: set it, "
            "or nobody can be drawn into an arm"
        )
    return key.encode()


def key_parameters(key: bytes) -> dict[str, bytes]:
    """Prepare a key for `draw_sql`: its inner and outer pads, to be bound and never written."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return {
        "inner_pad": bytes(byte ^ 0x36 for byte in block),
        "outer_pad": bytes(byte ^ 0x5C for byte in block),
    }


def draw_sql(salt: str) -> str:
    """Write the draw of a row's `customer_id`, uniform in [0, 1); binds `key_parameters`.

    `salt` is an SQL expression over the row: one that no other experiment has.
    """
    message = f"encode({salt} || chr(10) || customer_id)"
    inner = f"unhex(sha256($inner_pad::BLOB || {message}))"
    digits = f"substr(sha256($outer_pad::BLOB || {inner}), 1, {_DIGITS})"
    return f"('0x' || {digits})::BIGINT / {literal(16.0**_DIGITS)}"


def arm_sql(salt: str, hold_out: str, global_hold_out: float) -> str:
    """Write the arm of a row's `customer_id`; binds `key_parameters`.

    `salt` and `hold_out`, a share, are SQL expressions over the row. Who is held out globally is so
    in every experiment; of the others, `hold_out` is the share held out.
    """
    everywhere = ""
    if global_hold_out > 0:  # a draw costs more than all else that a row goes through
        draw = draw_sql(literal(_GLOBAL_SALT))
        everywhere = f"WHEN {draw} < {literal(global_hold_out)} THEN 'global_hold_out' "
    return f"CASE {everywhere}WHEN {draw_sql(salt)} < {hold_out} THEN 'hold_out' ELSE 'treated' END"
