"""Group `publication`: what people read of what was published."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.reports import make_report


def build_report_assets() -> Sequence[dg.AssetsDefinition]:
    """Make the asset of the report: where it fails, readers have their tables all the same."""

    @dg.asset(deps=["published"], kinds={"html"})
    def segmentation_report(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """One HTML file on all segments: works offline, prints, and holds no customer's id."""
        with workshop.step(context):
            path = make_report(workshop.home)
            return dg.MaterializeResult(
                metadata={
                    "path": dg.MetadataValue.path(str(path)),
                    "bytes": path.stat().st_size,
                }
            )

    return [segmentation_report]
