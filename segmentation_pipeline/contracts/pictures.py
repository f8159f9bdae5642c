"""What pictures of segments are drawn from: points without ids, and rounded distributions."""

from segmentation_pipeline.contracts.contract import (
    FEATURE,
    PROVENANCE,
    SEGMENT_ID,
    SEGMENTATION,
    Contract,
    ContractColumn,
    required,
)

PICTURE_CONTRACTS = (
    Contract(
        "segment_map",
        "A map of the segments: at most 2,000 customers as points without ids, on the plane in "
        "which the segments' centres lie farthest apart. Distances on it are never longer than "
        "those the segments were made by. Segments below the privacy floor are left out.",
        "one row per point",
        ("segmentation", "point"),
        (
            SEGMENTATION,
            required("point", "INTEGER", "Number of the point, by segment and place; of nobody."),
            SEGMENT_ID,
            required("x", "DOUBLE", "Place from left to right, in scaled units, 0 in the middle."),
            required("y", "DOUBLE", "Place from bottom to top, in the same units."),
            ContractColumn("x_meaning", "VARCHAR", "What there is more of to the right."),
            ContractColumn("y_meaning", "VARCHAR", "What there is more of to the top."),
            required(
                "shown_share",
                "DOUBLE",
                "Share of the differences between customers that the map shows; the rest lies "
                "across it.",
            ),
            *PROVENANCE,
        ),
    ),
    Contract(
        "feature_distributions",
        "How the values of a feature are spread in a segment, next to everybody. Customers are "
        "rounded to a multiple of the privacy floor, so that shares need not sum to 1.",
        "one row per segment, numeric feature and bin",
        ("segmentation", "segment_id", "feature", "bin"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            FEATURE,
            required("bin", "INTEGER", "Number of the bin, from the lowest values, from 1."),
            ContractColumn(
                "lower", "DOUBLE", "Values from this one on, in the feature's unit; none: any."
            ),
            ContractColumn(
                "upper", "DOUBLE", "Values below this one, in the feature's unit; none: any."
            ),
            required("share", "DOUBLE", "Share of the segment's customers with a value."),
            required("overall_share", "DOUBLE", "Share of all customers with a value."),
            *PROVENANCE,
        ),
    ),
)
