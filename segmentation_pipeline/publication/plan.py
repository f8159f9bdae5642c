"""What a publication consists of: whose rows are new, whose are copied forward, what is news."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from segmentation_pipeline.contracts import contracts_digest
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.ingestion.loads import current_loads
from segmentation_pipeline.ingestion.tombstones import erased_digests
from segmentation_pipeline.publication.manifest import Manifest, Origin, PublishedSegmentation
from segmentation_pipeline.publication.pseudonyms import key_fingerprint
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.specification.home import digest as specification_digest
from segmentation_pipeline.warehouse import Build, Connection, Table

BEFORE = "version-before"
"""The version in force, attached read-only. No segmentation can have a name with a hyphen."""


@dataclass(frozen=True)
class ReadySegmentation:
    """A segmentation whose work tables are complete for the date, and the model behind them.

    `silhouette` is the model's when it was fitted, None where it has none (one segment).
    `decisions_digest` is of what was decided about models up to the date.
    """

    model_version: int
    model_digest: str
    preparation_digest: str
    algorithm: str
    silhouette: float | None
    decisions_digest: str | None = None


@dataclass(frozen=True)
class Plan:
    """Where the rows of the next version come from.

    Of `ready` segmentations this date's rows of dated tables are replaced. The current rows of
    `fresh` ones come from the warehouse, those of `kept` ones from the version before; a
    segmentation in neither has left the home, and keeps its dated rows only. A date before the
    newest one published of a segmentation never makes its current rows.
    """

    build: Build
    ready: Mapping[str, ReadySegmentation]
    origins: Mapping[str, Origin]
    fresh: tuple[str, ...]
    kept: tuple[str, ...]
    before: Manifest | None
    pseudonym_key: bytes | None = field(default=None, repr=False)

    @property
    def as_of(self) -> dt.date:
        """The newest date published, with this one."""
        return max(self.before.as_of, self.build.as_of) if self.before else self.build.as_of

    @property
    def is_home_fresh(self) -> bool:
        """Whether the current tables about the whole home come from the warehouse."""
        return self.build.as_of == self.as_of

    def segmentations(self) -> dict[str, PublishedSegmentation]:
        """Say for each segmentation of the version which run made its rows, and of what."""
        published = {
            name: PublishedSegmentation(run_id=self.build.run_id, origin=self.origins[name])
            for name in self.fresh
        }
        if self.before is not None:
            published |= {name: self.before.segmentations[name] for name in self.kept}
        return dict(sorted(published.items()))


def make_plan(
    connection: Connection,
    home: Home,
    build: Build,
    ready: Mapping[str, ReadySegmentation],
    before: Manifest | None,
    pseudonym_key: bytes | None = None,
) -> Plan:
    """Decide where the rows of the next version come from.

    Raises PublicationError where a segmentation is not the home's, where none is ready, or where
    customers are called otherwise in the version before.
    """
    if before is not None and before.pseudonym_key != _fingerprint(pseudonym_key):
        raise PublicationError(
            f"customers are called otherwise in version {before.version}: the key of the "
            "pseudonyms is another one, or was added or left out. Restore it (`publication."
            "pseudonym_key_variable` of customers.yaml), or move the folder `published` away to "
            "begin anew"
        )
    unknown = sorted(ready.keys() - home.segmentations.keys())
    if unknown:
        raise PublicationError(f"{home.path} has no segmentation {', '.join(unknown)}")
    if not ready:
        raise PublicationError(f"no segmentation is ready for {build.as_of}: nothing to publish")
    sources = _source_digest(connection, home, build.as_of)
    origins = {
        name: Origin(
            as_of=build.as_of,
            specification_digest=specification_digest(home.customers, home.segmentations[name]),
            fitting_digest=fitting_digest(home.segmentations[name]),
            source_digest=sources,
            preparation_digest=ready[name].preparation_digest,
            model_digest=ready[name].model_digest,
            model_version=ready[name].model_version,
            algorithm=ready[name].algorithm,
            decisions_digest=ready[name].decisions_digest,
        )
        for name in sorted(ready)
    }
    published = before.segmentations if before else {}
    fresh = tuple(
        name
        for name in origins
        if name not in published or published[name].origin.as_of <= build.as_of
    )
    kept = tuple(
        name for name in sorted(home.segmentations) if name in published and name not in fresh
    )
    return Plan(build, ready, origins, fresh, kept, before, pseudonym_key)


def _fingerprint(key: bytes | None) -> str | None:
    return None if key is None else key_fingerprint(key)


def is_news(connection: Connection, plan: Plan) -> bool:
    """Whether the next version would differ from the one in force, which is attached as `BEFORE`.

    It would not where all that is ready was published for this date from equal origins.
    """
    before = plan.before
    if before is None or before.contracts_digest != contracts_digest():
        return True
    if plan.segmentations().keys() != before.segmentations.keys():
        return True
    if any(before.segmentations[name].origin != plan.origins[name] for name in plan.fresh):
        return True
    fields = tuple(Origin.model_fields)
    rows = connection.execute(
        f"SELECT segmentation, {', '.join(fields)}"
        f" FROM {Table(BEFORE, 'segmentation_runs').sql} WHERE as_of = ?",
        [plan.build.as_of],
    ).fetchall()
    of_this_date = {row[0]: Origin(**dict(zip(fields, row[1:], strict=True))) for row in rows}
    return any(of_this_date.get(name) != origin for name, origin in plan.origins.items())


def _source_digest(connection: Connection, home: Home, as_of: dt.date) -> str:
    """Digest the loads whose rows a night sees: a file that is gone changes it, as a new one does.

    Snapshots of later dates don't count, unless there are no others and the oldest stands in. Who
    was erased counts too: the same files then say less.
    """
    seen: list[tuple[str, ...]] = [("erased", erased) for erased in erased_digests(connection)[1]]
    for name in home.customers.sources:
        loads = current_loads(connection, name)
        in_time = [x for x in loads if x.snapshot_date is None or x.snapshot_date <= as_of]
        seen += [
            (name, x.file, x.digest, x.specification_digest, str(x.snapshot_date))
            for x in in_time or loads
        ]
    return hashlib.sha256(json.dumps(sorted(seen)).encode()).hexdigest()
