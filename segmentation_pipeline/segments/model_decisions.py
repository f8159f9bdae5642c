"""What people decide about models: to promote one, to reject one, to put an earlier one back.

What belongs here: whether they may, and from which date it holds. A decision is an event of
`clustering.model_events`, with the name of who made it and the reason they gave; no model, segment
or id is changed by it.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.clustering.model_events import (
    SYSTEM,
    ModelEvent,
    NewStatus,
    add_event,
    challengers_on,
    champion_on,
    read_events,
)
from segmentation_pipeline.clustering.registry import (
    ModelRecord,
    load_champion,
    version_record,
)
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.segments.nights import night_until
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import Build, Connection, transaction

BY_HAND = "by hand"
"""The run of a decision that no run made."""


@dataclass(frozen=True)
class Approval:
    """Who decides, why, and from which date it holds; the day after the newest night if None."""

    who: str
    reason: str
    first: dt.date | None = None


def promote(
    connection: Connection, home: Home, name: str, version: int | None, approval: Approval
) -> ModelEvent:
    """Put a challenger in force whatever its gates say, or one that was rejected.

    `version` is needed only where no challenger, or several, are there. The caller holds the home's
    lock. Raises ClusteringError where the model can't be in force from that date.
    """
    decision = _Decision(connection, home, name, approval)
    record = decision.record(version or decision.only_challenger())
    if _was_champion(decision.events, record.model_version):
        raise ClusteringError(
            f"model {record.model_version} of {name} was in force before: "
            f"`segmentation rollback {name} --model {record.model_version}` puts it back"
        )
    decision.refuse_unfit(record)
    return decision.make(record, "champion")


def roll_back(
    connection: Connection, home: Home, name: str, version: int, approval: Approval
) -> ModelEvent:
    """Put a model back that was in force before: its segments and their ids come back with it.

    Otherwise as `promote`.
    """
    decision = _Decision(connection, home, name, approval)
    record = decision.record(version)
    if not _was_champion(decision.events, version):
        raise ClusteringError(
            f"model {version} of {name} was never in force: "
            f"`segmentation promote {name} --model {version}` puts it there"
        )
    decision.refuse_unfit(record)
    return decision.make(record, "champion")


def reject(
    connection: Connection, home: Home, name: str, version: int | None, approval: Approval
) -> ModelEvent:
    """End a challenger: it is no longer watched, and the next refit that is due fits another."""
    decision = _Decision(connection, home, name, approval)
    record = decision.record(version or decision.only_challenger())
    if record.model_version not in challengers_on(decision.events, decision.first):
        raise ClusteringError(
            f"model {record.model_version} of {name} is no challenger: it is {record.status}"
        )
    return decision.make(record, "rejected")


class _Decision:
    """One decision of a person, from its date on."""

    def __init__(self, connection: Connection, home: Home, name: str, approval: Approval) -> None:
        _refuse_nobody(approval)
        create_registry(connection)
        newest = night_until(connection, name, dt.date.max)
        if newest is None:
            raise ClusteringError(f"{name} has had no night yet: there is no model to decide about")
        self._connection = connection
        self._home = home
        self._name = name
        self._approval = approval
        self._newest = newest.as_of
        self.first = approval.first or newest.as_of + dt.timedelta(days=1)
        self.events = read_events(connection, name)

    def record(self, version: int) -> ModelRecord:
        """Find the model."""
        known = self._connection.execute(
            "SELECT model_version FROM core.models WHERE segmentation = ? ORDER BY ALL",
            [self._name],
        ).fetchall()
        if (version,) not in known:
            listed = ", ".join(str(one) for (one,) in known)
            raise ClusteringError(f"{self._name} has no model {version}: there are {listed}")
        return version_record(self._connection, self._name, version)

    def only_challenger(self) -> int:
        """Find the challenger that is meant where none is named."""
        found = challengers_on(self.events, self.first)
        if not found:
            raise ClusteringError(
                f"{self._name}: there is no challenger on {self.first}: name a model by --model, "
                f"or ask for a challenger by `segmentation refit {self._name}`"
            )
        if len(found) > 1:
            listed = " and ".join(map(str, found))
            raise ClusteringError(
                f"{self._name}: the challengers on {self.first} are {listed}: name one by --model"
            )
        return found[0]

    def refuse_unfit(self, record: ModelRecord) -> None:
        """Refuse a model that can't be in force from the date on."""
        version = record.model_version
        if champion_on(self.events, self.first) == version:
            raise ClusteringError(f"model {version} of {self._name} is in force on {self.first}")
        if record.as_of > self.first:
            raise ClusteringError(
                f"model {version} of {self._name} was fitted on customers of {record.as_of}: it "
                f"can't be in force from {self.first} on"
            )
        later = [e for e in self.events if e.status == "champion" and e.as_of > self.first]
        if later:
            raise ClusteringError(
                f"from {later[0].as_of} on, model {later[0].model_version} of {self._name} is in "
                "force: name that date or a later one by --from"
            )
        if record.specification_digest != fitting_digest(self._home.segmentations[self._name]):
            raise ClusteringError(
                f"model {version} of {self._name} was fitted under another specification, and the "
                "next night would fit a new one: put the segmentation's YAML back first"
            )
        load_champion(self._home.models, record)

    def make(self, record: ModelRecord, status: NewStatus) -> ModelEvent:
        """Record the decision."""
        with transaction(self._connection):
            return add_event(
                self._connection,
                self._name,
                record.model_version,
                status,
                as_of=self.first,
                build=Build(self._newest, BY_HAND),
                who=self._approval.who.strip(),
                reason=self._approval.reason.strip(),
            )


def _refuse_nobody(approval: Approval) -> None:
    who, reason = approval.who.strip(), approval.reason.strip()
    if not who or not reason:
        raise ClusteringError("say who decides by --by, and why by --reason")
    if who == SYSTEM:
        raise ClusteringError(
            f"`{SYSTEM}` is what decisions by rule are signed with: say --by a person"
        )


def _was_champion(events: Sequence[ModelEvent], version: int) -> bool:
    return any(one.status == "champion" and one.model_version == version for one in events)
