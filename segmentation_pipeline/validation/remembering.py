"""What Great Expectations works out again and again for one suite, worked out once.

GX 1.24 makes an expectation's configuration anew whenever it wants one of its parameters, about 60
times each, and the digest of a metric's parameters some 30 times: two thirds of the time of a
suite, which is a tenth of a night of 300 customers. Nothing of a suite changes while it runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from segmentation_pipeline.validation.quiet_great_expectations import (
    Expectation,
    ExpectationConfiguration,
    IDDict,
)

_PLAIN = (str, int, float, bool, type(None))


@contextmanager
def remembered_configurations() -> Iterator[None]:
    """Let GX remember, in this block, configurations, expectations and digests that it has made."""
    # By the identity of what they were made of, which is kept beside so that it stays its own.
    configurations: dict[int, tuple[Expectation, ExpectationConfiguration]] = {}
    expectations: dict[int, tuple[ExpectationConfiguration, Expectation]] = {}
    digests: dict[tuple[Any, ...], Any] = {}
    make_configuration = vars(Expectation)["configuration"].fget
    make_expectation, make_digest = ExpectationConfiguration.to_domain_obj, IDDict.to_id

    def configuration(self: Expectation) -> ExpectationConfiguration:
        if id(self) not in configurations:
            configurations[id(self)] = (self, make_configuration(self))
        return configurations[id(self)][1]

    def to_domain_obj(self: ExpectationConfiguration) -> Expectation:
        if id(self) not in expectations:
            expectations[id(self)] = (self, make_expectation(self))
        return expectations[id(self)][1]

    def to_id(self: IDDict, id_keys: Any = None, id_ignore_keys: Any = None) -> Any:
        is_whole = id_keys is None and id_ignore_keys is None
        if not is_whole or not all(isinstance(value, _PLAIN) for value in self.values()):
            return make_digest(self, id_keys, id_ignore_keys)
        # With their types, since 1, 1.0 and True are equal.
        key = (type(self), *((name, type(value), value) for name, value in self.items()))
        if key not in digests:
            digests[key] = make_digest(self)
        return digests[key]

    with (
        mock.patch.object(Expectation, "configuration", property(configuration)),
        mock.patch.object(ExpectationConfiguration, "to_domain_obj", to_domain_obj),
        mock.patch.object(IDDict, "to_id", to_id),
    ):
        yield
