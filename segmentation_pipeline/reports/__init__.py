"""What people look at: charts. The tables that they are drawn from belong to the other rooms."""

from segmentation_pipeline.reports.charts import candidates_chart, distance_share_chart
from segmentation_pipeline.reports.drawing import Chart
from segmentation_pipeline.reports.maps import encoding_scatter, preprocessing_picture

__all__ = [
    "Chart",
    "candidates_chart",
    "distance_share_chart",
    "encoding_scatter",
    "preprocessing_picture",
]
