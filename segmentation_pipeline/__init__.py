"""Customer segments from surveys, CRM records and web events, refreshed every night."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def score(home: str | Path, segmentation: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Put customers never seen into the published segments of a home.

    `frame` has a row for each, and columns of `customers` or features by their name; the id
    (`customer_id`, or the CRM's own key) comes back if it is there. Returns a row for each, under
    the same index: segment_id, segment, confidence (and what kind it is), the runner-up, whether
    the customer is borderline, an outlier or noise, how many features are missing, and the three
    features that decide with their signed contributions and in words; `scoring.scores` defines
    them. Who takes no part has no segment.

    Raises PipelineError where nothing is published, where the YAML has changed since, and for
    columns that nobody knows or values of another type; never with a customer's value.
    """
    from segmentation_pipeline.scoring import score_frame

    return score_frame(Path(home), segmentation, frame)
