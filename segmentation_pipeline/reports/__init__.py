"""What people look at: charts, and the night's report.

The tables that they are made from belong to the other rooms.
"""

from segmentation_pipeline.reports.charts import candidates_chart, distance_share_chart
from segmentation_pipeline.reports.drawing import Chart
from segmentation_pipeline.reports.drift_chart import drift_chart
from segmentation_pipeline.reports.maps import encoding_scatter, preprocessing_picture
from segmentation_pipeline.reports.migration_chart import migration_chart
from segmentation_pipeline.reports.report import make_report
from segmentation_pipeline.reports.segment_charts import heat_map_chart, map_chart, sizes_chart

__all__ = [
    "Chart",
    "candidates_chart",
    "distance_share_chart",
    "drift_chart",
    "encoding_scatter",
    "heat_map_chart",
    "make_report",
    "map_chart",
    "migration_chart",
    "preprocessing_picture",
    "sizes_chart",
]
