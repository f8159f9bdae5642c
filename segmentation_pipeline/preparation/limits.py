"""How much may be left out before the night stops: shares and counts of the specification."""

from collections.abc import Sequence

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.preparation.report import ReportLine
from segmentation_pipeline.specification.customers import CustomersSpec


def check_unreadable(spec: CustomersSpec, lines: Sequence[ReportLine]) -> None:
    """Raise PreparationError where more of a column's values than allowed could not be read.

    A load takes them as missing, whatever their share: a file of a day may have a single value.
    """
    for line in lines:
        if line.step != "unreadable" or line.column_name is None:
            continue
        allowed = spec.sources[line.source].columns[line.column_name].maximum_rejected_share
        if line.share > allowed:
            raise PreparationError(
                f"source `{line.source}`: {line.rows:,} of {line.looked_at:,} values of "
                f"`{line.column_name}` cannot be read ({line.share:.2%}), and its "
                f"`maximum_rejected_share` is {allowed:.2%}; `segmentation quarantine --source "
                f"{line.source}` lists them by file, line and reason"
            )


def check_orphans(spec: CustomersSpec, lines: Sequence[ReportLine]) -> None:
    """Raise PreparationError where more rows than allowed have no customer."""
    ambiguous = {line.source: line for line in lines if line.step == "ambiguous_visitor"}
    for line in lines:
        if line.step == "unmapped_visitor":
            _check_unmapped(spec, line)
        if line.step != "orphan":
            continue
        if line.source in ambiguous:
            _check_ambiguous(spec, line, ambiguous[line.source])
        allowed = spec.sources[line.source].maximum_orphan_share
        if line.share > allowed:
            raise PreparationError(
                f"source `{line.source}`: {line.rows:,} of {line.looked_at:,} rows "
                f"({line.share:.2%}) are of no customer of `{spec.customers.base}`, and "
                f"`maximum_orphan_share` is {allowed:.2%}; see whether both write the key alike, "
                "and whether one of them is cut short"
            )


def _check_unmapped(spec: CustomersSpec, line: ReportLine) -> None:
    source = spec.sources[line.source]
    if line.share > source.maximum_unmapped_share:
        raise PreparationError(
            f"source `{line.source}`: {line.rows:,} of {line.looked_at:,} rows ({line.share:.2%}) "
            f"are of visitors whom `{source.identity}` gives no customer, and "
            f"`maximum_unmapped_share` is {source.maximum_unmapped_share:.2%}; see whether both "
            "write a visitor's id alike, and whether log-ins are lacking"
        )


def _check_ambiguous(spec: CustomersSpec, orphans: ReportLine, ambiguous: ReportLine) -> None:
    """Events of visitors who are several customers are orphans, too."""
    source = spec.sources[orphans.source]
    rows = orphans.rows + ambiguous.rows
    share = rows / ambiguous.looked_at if ambiguous.looked_at else 0.0
    if ambiguous.rows and share > source.maximum_orphan_share:
        raise PreparationError(
            f"source `{orphans.source}`: {rows:,} of {ambiguous.looked_at:,} rows ({share:.2%}) "
            f"are of nobody in `{spec.customers.base}` ({orphans.rows:,}) or of visitors who are "
            f"several customers at once by `{source.identity}` ({ambiguous.rows:,}), and "
            f"`maximum_orphan_share` is {source.maximum_orphan_share:.2%}; see whether the rows of "
            f"`{source.identity}` say until when they hold"
        )


def check_customers(spec: CustomersSpec, lines: Sequence[ReportLine]) -> None:
    """Raise PreparationError where too many customers were left out, or too few are kept.

    `lines` are those of the joined table.
    """
    _check_excluded(spec, [line for line in lines if line.step == "excluded"])
    _check_quarantined(spec, [line for line in lines if line.step == "quarantined_row"])
    (kept,) = (line.rows for line in lines if line.step == "kept")
    if kept < spec.customers.minimum_customers:
        raise PreparationError(
            f"too few customers: {kept:,}, and `minimum_customers` is "
            f"{spec.customers.minimum_customers:,}; see in the loads whether `"
            f"{spec.customers.base}` is complete"
        )


def _check_excluded(spec: CustomersSpec, lines: Sequence[ReportLine]) -> None:
    share = sum(line.share for line in lines)
    if share > spec.customers.maximum_excluded_share:
        counts = ", ".join(f"{line.rows:,} without `{line.column_name}`" for line in lines)
        raise PreparationError(
            f"{share:.2%} of the customers lack a value that `impute` requires ({counts}), and "
            f"`maximum_excluded_share` is {spec.customers.maximum_excluded_share:.2%}"
        )


def _check_quarantined(spec: CustomersSpec, lines: Sequence[ReportLine]) -> None:
    """Check here, since a check of `customers` never sees who was left out of it."""
    quarantining = [one for one in spec.customers.expectations if one.quarantine == "row"]
    for expectation, line in zip(quarantining, lines, strict=True):
        if expectation.severity == "error" and line.share > expectation.maximum_share:
            raise PreparationError(
                f"{line.rows:,} of {line.looked_at:,} customers ({line.share:.2%}) break "
                f"`{expectation.name}`, and its `maximum_share` is {expectation.maximum_share:.2%}"
            )
