"""The publish protocol: check, build apart, audit as a reader would, swap one link.

    lock (the caller's) -> clear staging -> build the version's folder -> checkpoint -> close
    -> seal (read-only, fsync) -> reopen and audit -> move to the versions -> swap the link -> prune

A run that dies at any step leaves the version before in force, or the new one; what it left behind
is cleared by the next.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from segmentation_pipeline.contracts import contracts_digest
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.measurement.lists import STRATEGY_LISTS
from segmentation_pipeline.publication import versions
from segmentation_pipeline.publication.audit import audit_version
from segmentation_pipeline.publication.building import OnStep, attached_version, build_version
from segmentation_pipeline.publication.gate import require_validated
from segmentation_pipeline.publication.manifest import (
    DATABASE,
    Manifest,
    file_digest,
    manifest_digest,
)
from segmentation_pipeline.publication.plan import Plan, ReadySegmentation, is_news, make_plan
from segmentation_pipeline.publication.retention import apply_retention, outdated_rows
from segmentation_pipeline.publication.tables import work_tables
from segmentation_pipeline.segments.overlap import make_segment_crosstabs
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, Table, require_builds

_HOME_TABLES = (Table("core", "cleaning_report"),)
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Publication:
    """What is in force after publishing.

    `digest` is that of the manifest, and through it of every file; without news it stays. `cut` are
    the rows of the version before that `retention` no longer keeps, by table.
    """

    manifest: Manifest
    digest: str
    is_news: bool
    stale: tuple[str, ...]
    cut: Mapping[str, int]


def _say_nothing(_: str) -> None:
    """Let a step pass in silence."""


def publish(
    connection: Connection,
    home: Home,
    build: Build,
    ready: Mapping[str, ReadySegmentation],
    validated: Collection[Table],
    *,
    pseudonym_key: bytes | None = None,
    on_step: OnStep = _say_nothing,
) -> Publication:
    """Publish the segmentations that are ready for a date, with the others as they were.

    `connection` is the home's warehouse, and the caller holds the home's lock. `ready` are the
    segmentations whose work tables are complete for the date; `validated` is every table that must
    have passed its checks, as it now is; `on_step` is told in words what comes next. With a
    `pseudonym_key` customers are published under their pseudonyms.
    Raises PublicationError where something forbids it (readers keep the version before), and
    StaleUpstreamError where a work table was made for another date.
    """
    published = home.published
    on_step("check what was validated")
    require_validated(connection, validated, build.as_of)
    for name in ready:
        require_builds(connection, work_tables(name), build.as_of)
    require_builds(connection, _HOME_TABLES, build.as_of)
    if home.customers.experiments is not None:
        require_builds(connection, [STRATEGY_LISTS], build.as_of)
    on_step("look at the version before")
    versions.clear_staging(published)
    versions.refuse_stale_wal(published)
    before = versions.current_version(published)
    plan = make_plan(connection, home, build, ready, before, pseudonym_key)
    with _attached_before(connection, published, before):
        if before is not None and not is_news(connection, plan):
            return _describe(published, before, is_news=False)
        versions.require_free_space(published, home.warehouse)
        on_step("cut what is no longer kept")
        apply_retention(connection, home, plan.as_of)
        cut = outdated_rows(connection, home, plan)
        try:
            manifest = _make_version(connection, home, plan, on_step)
            on_step("delete versions that are no longer kept")
            versions.prune(published, home.customers.publication.keep_versions)
        finally:
            versions.clear_staging(published)
    return _describe(published, manifest, is_news=True, cut=cut)


@contextmanager
def _attached_before(
    connection: Connection, published: Path, before: Manifest | None
) -> Iterator[None]:
    """Attach the version in force, whose rows are copied forward, if it is as it was published."""
    if before is None:
        yield
        return
    folder = versions.version_folder(published, before.version)
    try:
        is_intact = file_digest(folder / DATABASE) == before.files[DATABASE].sha256
    except FileNotFoundError:
        is_intact = False
    if not is_intact:
        raise PublicationError(
            f"{folder / DATABASE} is not the file that was published: nothing is copied from it. "
            "Put the version before back with `segmentation rollback`, then run this again"
        )
    with attached_version(connection, folder):
        yield


def _make_version(connection: Connection, home: Home, plan: Plan, on_step: OnStep) -> Manifest:
    """Build, audit and put in force."""
    published = home.published
    on_step("count segments against each other")
    smallest_group = home.customers.limits.smallest_group
    make_segment_crosstabs(connection, plan.fresh, smallest_group, plan.build)
    staged = versions.make_staging(published, versions.next_version(published, plan.build.run_id))
    manifest = build_version(connection, home, plan, staged, on_step)
    on_step("make files read-only and durable")
    versions.seal(staged)
    on_step("audit")
    faults = audit_version(
        staged, manifest, personal_columns(home), threads=home.customers.limits.threads
    )
    if faults:
        raise PublicationError(
            f"what was to be published for {plan.build.as_of} failed its audit: "
            f"{'; '.join(faults)}. Readers keep the version before{_remedy(plan)}"
        )
    on_step("move to the versions")
    versions.install(published, staged)
    on_step(f"link {DATABASE}")
    versions.link_stable_name(published)
    on_step("put in force")
    versions.put_in_force(published, manifest.version)
    return manifest


def _remedy(plan: Plan) -> str:
    """Say what to do where rows that are copied forward may lack what this release publishes."""
    if not plan.kept or plan.before is None or plan.before.contracts_digest == contracts_digest():
        return ""
    return (
        f". Rows of {', '.join(plan.kept)} are of an earlier release: the first night of this one "
        f"is for all segmentations (`segmentation run --as-of {plan.build.as_of}`)"
    )


def _describe(
    published: Path, manifest: Manifest, *, is_news: bool, cut: Mapping[str, int] = _NOTHING
) -> Publication:
    stale = tuple(
        name
        for name, segmentation in manifest.segmentations.items()
        if segmentation.origin.as_of < manifest.as_of
    )
    digest = manifest_digest(versions.version_folder(published, manifest.version))
    return Publication(manifest, digest, is_news, stale, cut)


def personal_columns(home: Home) -> set[str]:
    """Name the columns of a home that never leave its warehouse."""
    return {
        name
        for source in home.customers.sources.values()
        for name, column in source.columns.items()
        if column.personal
    }
