"""The night's report: one HTML file, made of what is published and of nothing else.

It needs neither network nor script, and says so to the browser, which then refuses both: whatever a
name or a category holds, it stays text. Equal versions make equal files.
"""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from segmentation_pipeline.durable import synchronise
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import Manifest, kept_versions, version_database
from segmentation_pipeline.reports.edition import Edition, read_edition
from segmentation_pipeline.reports.lenses import make_lens
from segmentation_pipeline.reports.quality import make_quality
from segmentation_pipeline.reports.views import Lens, Page
from segmentation_pipeline.reports.wording import counted, listed, words
from segmentation_pipeline.specification.home import Home

REPORT = "report.html"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")  # fmt: skip


def report_path(home: Home, as_of: dt.date) -> Path:
    """Say where the report of a date is."""
    return home.reports / as_of.isoformat() / REPORT


def make_report(home: Home, as_of: dt.date | None = None) -> Path:
    """Write the report of a date, of the newest one published if none is given; returns its path.

    It takes no lock: versions don't change once they are published. A report whose version is no
    longer kept stays as it was made. Raises PublicationError where there is neither.
    """
    version = _version(home, as_of)
    if version is None:
        made = None if as_of is None else report_path(home, as_of)
        if made is not None and made.exists():
            return made
        raise PublicationError(_lacking(home, as_of))
    edition = read_edition(version_database(home.published, version.version), version.as_of)
    path = report_path(home, version.as_of)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".html.new")
    fresh.write_text(render_report(edition, home), encoding="utf-8")
    synchronise(fresh)
    fresh.replace(path)
    synchronise(path.parent)
    return path


def render_report(edition: Edition, home: Home) -> str:
    """Write the page; titles and descriptions are those of the home's files."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segmentation_pipeline", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(page=_page(edition, home))


def _page(edition: Edition, home: Home) -> Page:
    lenses = [_lens(edition, home, name) for name in edition.segmentations]
    return Page(
        title=home.customers.name,
        description=home.customers.description,
        date=_spelled(edition.as_of),
        summary=_summary(lenses),
        lenses=lenses,
        quality=make_quality(edition),
        fingerprint=", ".join(_fingerprints(edition)),
    )


def _spelled(date: dt.date) -> str:
    """Write a date in English, whatever the machine's language."""
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def _lens(edition: Edition, home: Home, name: str) -> Lens:
    spec = home.segmentations.get(name)
    if spec is None:
        return make_lens(edition, name, words(name).capitalize(), "")
    return make_lens(edition, name, spec.title, spec.description)


def _summary(lenses: Iterable[Lens]) -> str:
    told = [
        f"{counted(lens.segment_count, 'group')} by {lens.title[:1].lower()}{lens.title[1:]}"
        for lens in lenses
    ]
    return f"The customers were sorted into {listed(told)}."


def _fingerprints(edition: Edition) -> Iterable[str]:
    for name in edition.segmentations:
        runs = edition.of("segmentation_runs", name)
        if runs:
            newest = max(runs, key=lambda row: row["as_of"])
            yield f"{name} model {newest['model_version']} ({str(newest['model_digest'])[:8]})"


def _version(home: Home, as_of: dt.date | None) -> Manifest | None:
    """Find the version to tell of: the one in force, or the newest one kept of a date."""
    for version in kept_versions(home.published):
        if as_of is None or version.as_of == as_of:
            return version
    return None


def _lacking(home: Home, as_of: dt.date | None) -> str:
    dates = sorted({version.as_of.isoformat() for version in kept_versions(home.published)})
    if as_of is None or not dates:
        return f"{home.published}: nothing has been published yet: run a night first"
    return (
        f"{home.path}: no version of {as_of} is kept, and no report of it was made; there are "
        f"versions of {', '.join(dates)}"
    )
