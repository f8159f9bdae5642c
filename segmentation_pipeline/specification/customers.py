"""`customers.yaml`: one customer base, its sources, and how they become one row per customer."""

import datetime as dt
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from segmentation_pipeline.specification.alerts import Alerts
from segmentation_pipeline.specification.closed import ClosedModel, Name, Share
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.cron import Cron
from segmentation_pipeline.specification.expectations import RowExpectation
from segmentation_pipeline.specification.experiments import Experiments
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.retention import Retention
from segmentation_pipeline.specification.sources import SourceSpec


class Nights(ClosedModel):
    """When the nightly job runs, and from which date on."""

    first: dt.date
    """The first date that can be run: the first partition in Dagster."""
    cron: Cron = "0 3 * * *"
    """When the nightly job starts."""
    time_zone: str = "UTC"
    """The time zone of `cron`, such as Europe/Berlin."""
    lock_timeout_seconds: Annotated[int, Field(ge=0)] = 3600
    """How long a run started by Dagster waits for the run before it."""
    overdue_after_hours: Annotated[int, Field(ge=1)] = 30
    """Longer ago, what was loaded or published counts as overdue in Dagster and in
    `segmentation status`."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"`{name}` is no time zone of the IANA data base")
        return ZoneInfo(name).key


class Limits(ClosedModel):
    """How much of the machine a night may use, and how small a published group may be."""

    memory: Annotated[str, Field(pattern=r"^[0-9]+(MB|GB)$")] = "800MB"
    """DuckDB's memory; what doesn't fit spills to disk. Python needs about 600 MB besides."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """DuckDB's threads; all cores where nothing is said."""
    sample_customers: Annotated[int, Field(ge=1000)] = 100_000
    """Up to so many customers, all are used to fit; above, a sample chosen by a hash of the id."""
    table_customers: Annotated[int, Field(ge=0)] = 2_000_000
    """Up to so many customers the feature matrix is stored; above it is a view."""
    smallest_group: Annotated[int, Field(ge=1)] = 10
    """Privacy floor: no model has a segment with fewer customers, and counts of fewer are withheld
    from what is published (docs/privacy.md)."""


class Publication(ClosedModel):
    """What happens to what was published before."""

    keep_versions: Annotated[int, Field(ge=2)] = 7
    """How many published versions stay on disk, for `segmentation rollback`."""
    pseudonym_key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The environment variable that holds a secret of at least 16 characters (never the secret
    itself). Where it is named, customers are published under a keyed hash (HMAC-SHA256) of their id
    instead of the id; whoever has the key can compute it."""


class CustomersTable(ClosedModel):
    """How the sources become one row per customer."""

    base: Name
    """The source whose keys are the customers. Rows of other sources without one are orphans, or of
    a former customer if an earlier snapshot had the key."""
    precedence: list[Name] = []
    """Where two sources have a column of the same name: which one to believe first."""
    minimum_customers: Annotated[int, Field(ge=1)] = 1
    """Fewer customers than this stop the night."""
    maximum_excluded_share: Share = 0.05
    """The share of customers that imputation may leave out before the night stops."""
    expectations: list[RowExpectation] = []
    """What must hold for each customer, as SQL predicates over the columns of `customers`."""


class CustomersSpec(ClosedModel):
    """A home's `customers.yaml`."""

    name: str
    """What this customer base is called, for people."""
    description: str = ""
    """Who they are."""
    owner: Annotated[str, Field(pattern=r"^(team:[a-z0-9_]+|[^@ ]+@[^@ ]+)$")] = "team:segmentation"
    """Who answers for it, shown in Dagster: `team:<name>` or an e-mail address."""
    nights: Nights
    """The schedule."""
    sources: Annotated[dict[Name, SourceSpec], Field(min_length=1)]
    """Surveys, CRM tables, transactions and web events."""
    customers: CustomersTable
    """One clean row per customer."""
    kpis: dict[Name, Kpi] = {}
    """The figures by which segments and strategies are judged, each night for each segment."""
    experiments: Experiments | None = None
    """What strategies share that are run as experiments; none are where nothing is said."""
    limits: Limits = Limits()
    """Memory, threads, sample sizes, the privacy floor."""
    publication: Publication = Publication()
    """Versions kept."""
    retention: Retention = Retention()
    """How long rows, reports, logs and Dagster's record of runs are kept."""
    alerts: Alerts | None = None
    """Who is told when a night fails or warns; nobody where nothing is said."""

    @model_validator(mode="after")
    def _sources_fit_together(self) -> Self:
        base = self.sources.get(self.customers.base)
        if base is None or not base.is_attributes:
            raise ValueError(
                f"`customers.base` names `{self.customers.base}`: it must be a source of kind crm, "
                "or a survey that keeps one answer per customer"
            )
        self._check_identity()
        for name in self.customers.precedence:
            if name not in self.sources:
                raise ValueError(f"`customers.precedence` names `{name}`, which is no source")
        self._check_answers()
        columns = {name: source.clean_columns for name, source in self.sources.items()}
        for name, sources in self.columns_by_source().items():
            types = {columns[source][name].type for source in sources}
            if len(types) > 1:
                raise ValueError(
                    f"column `{name}` has different types in {sources}: give it another name in "
                    "one of them (`header` keeps the name of the file)"
                )
        return self

    def _check_identity(self) -> None:
        """Refuse events whose `identity` is no identity map."""
        for name, source in self.sources.items():
            if source.identity is None:
                continue
            named = self.sources.get(source.identity)
            if named is None or named.kind != "identity":
                maps = [one for one, other in self.sources.items() if other.kind == "identity"]
                hint = f"there is {', '.join(maps)}" if maps else "there is none"
                raise ValueError(
                    f"`identity` of source `{name}` names `{source.identity}`: it must be a source "
                    f"of kind identity, and {hint}"
                )

    def _check_answers(self) -> None:
        """Refuse an answer that another source has as a column of another type."""
        for name in self.answers():
            having = [
                source for source, one in self.sources.items() if name in one.attribute_columns
            ]
            if len({self.sources[source].columns[name].type for source in having}) > 1:
                raise ValueError(
                    f"column `{name}` has different types in {having}: give it another name in "
                    "one of them (`header` keeps the name of the file)"
                )

    def answers(self) -> dict[str, list[ColumnSpec]]:
        """Answers of customers, which become several columns -> how their sources declare them."""
        trusted = [*self.customers.precedence]
        trusted += [name for name in self.sources if name not in trusted]
        found: dict[str, list[ColumnSpec]] = {}
        for source in trusted:
            for name, column in self.sources[source].attribute_columns.items():
                if column.is_answer:
                    found.setdefault(name, []).append(column)
        return found

    def columns_by_source(self) -> dict[str, list[str]]:
        """Column of `customers` -> the sources that have it, the most trusted first."""
        trusted = [*self.customers.precedence]
        trusted += [name for name in self.sources if name not in trusted]
        found: dict[str, list[str]] = {}
        for source in trusted:
            for column, declared in self.sources[source].attribute_columns.items():
                for part in declared.as_columns(column):
                    found.setdefault(part, []).append(source)
        return found

    def customer_columns(self) -> dict[str, ColumnSpec]:
        """Declare each column of `customers` as its most trusted source does.

        One that any of its sources calls personal or sensitive is so.
        """
        found = {}
        columns = {name: source.clean_columns for name, source in self.sources.items()}
        for name, sources in self.columns_by_source().items():
            declared = [columns[source][name] for source in sources]
            guards = {
                "personal": any(one.personal for one in declared),
                "sensitive": any(one.sensitive for one in declared),
            }
            found[name] = declared[0].model_copy(update=guards)
        return found
