"""Expectations across sources: ids that another source knows, rows beside their customer.

They are looked at when `customers` is there, and are results of that table. How they are counted
belongs to `preparation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expectations import Reference, RowExpectation
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation.expectations import Expectation, ExpectationResult
from segmentation_pipeline.validation.judgement import Counts, DidNotRun, judge


@dataclass(frozen=True)
class CrossSource:
    """What a source is asked about others, each with the expectation that it becomes."""

    source: str
    references: tuple[tuple[Reference, Expectation], ...]
    predicates: tuple[tuple[RowExpectation, Expectation], ...]

    @property
    def expectations(self) -> list[Expectation]:
        """All of them, in order."""
        return [expectation for _, expectation in (*self.references, *self.predicates)]


def cross_source_expectations(spec: CustomersSpec) -> list[CrossSource]:
    """List what is asked across sources, for each source that is asked anything."""
    asked = [
        CrossSource(
            name,
            tuple((one, _reference(name, one)) for one in source.referenced),
            tuple(
                (one, _beside_customer(name, one))
                for one in source.expectations
                if one.looks_at_customers
            ),
        )
        for name, source in spec.sources.items()
    ]
    return [one for one in asked if one.expectations]


def judge_reference(
    expectation: Expectation, source: SourceSpec, ids: int, known: int, former: int
) -> ExpectationResult:
    """Judge how many of a source's different ids another one knows; `former` are among `known`."""
    share = known / ids if ids else 0.0
    other = expectation.parameters["other"]
    told = f"{known:,} of {ids:,} ids are known to `{other}`"
    if former:
        told += f", {former:,} of them of former customers"
    told += f"; at least {100 * expectation.mostly:.4g} % must be"
    return judge(
        expectation,
        Counts(ids == 0 or share >= expectation.mostly, ids, ids - known),
        may_be_empty=source.minimum_rows == 0,
        message=told if ids else "there is no id to look at",
    )


def judge_beside_customer(
    expectation: Expectation, source: SourceSpec, rows: int, broken: int
) -> ExpectationResult:
    """Judge how many rows that have a customer break a predicate."""
    holds = rows == 0 or (rows - broken) / rows >= expectation.mostly
    return judge(expectation, Counts(holds, rows, broken), may_be_empty=source.minimum_rows == 0)


def judge_not_run(expectations: Sequence[Expectation], exception: str) -> list[ExpectationResult]:
    """Judge what could not be counted: a failure, by the class of the exception."""
    return [judge(expectation, DidNotRun(exception)) for expectation in expectations]


def _reference(name: str, one: Reference) -> Expectation:
    return Expectation(
        f"{name}__references_{one.source}",
        "references",
        parameters={"source": name, "other": one.source},
        mostly=one.at_least,
        severity=one.severity,
        description=f"`{one.source}` knows the ids of `{name}`",
    )


def _beside_customer(name: str, one: RowExpectation) -> Expectation:
    return Expectation(
        f"{name}__beside_customer__{one.name}",
        "beside_customer",
        parameters={"source": name, "predicate": one.predicate},
        mostly=round(1.0 - one.maximum_share, 12),
        severity=one.severity,
        description=one.description or f"`{one.name}`, for rows of `{name}` with a customer",
    )
