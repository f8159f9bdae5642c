"""What readers learn about segments in words."""

from segmentation_pipeline.contracts.contract import (
    CRITERION,
    FEATURE,
    PROVENANCE,
    SEGMENT_ID,
    SEGMENTATION,
    USE,
    Contract,
    ContractColumn,
    required,
)

PERSONA_CONTRACTS = (
    Contract(
        "segment_traits",
        "What sets each segment apart for certain, strongest first: what resampled customers agree "
        "on.",
        "one row per segment and trait",
        ("segmentation", "segment_id", "rank"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            required("rank", "INTEGER", "Rank within the segment by strength, from 1."),
            required("kind", "VARCHAR", "number: a mean differs; category: a share differs."),
            FEATURE,
            ContractColumn("category", "VARCHAR", "Category; none of a number."),
            CRITERION,
            USE,
            required(
                "value",
                "DOUBLE",
                "Mean in the segment, in the feature's unit, or share of the segment: the cell of "
                "segment_profiles or segment_category_shares.",
            ),
            required("overall_value", "DOUBLE", "The same of all customers."),
            ContractColumn(
                "effect",
                "DOUBLE",
                "Standardised difference of a number, lift of a category; none where neither the "
                "segment nor the others vary.",
            ),
            ContractColumn("effect_lower", "DOUBLE", "Lower bound of its 95% bootstrap interval."),
            ContractColumn("effect_upper", "DOUBLE", "Upper bound of the same."),
            required(
                "top_five_share",
                "DOUBLE",
                "Share of resamples in which it is among the segment's five strongest.",
            ),
            ContractColumn(
                "name_place",
                "INTEGER",
                "Place in a name made of tonight's traits; none if it isn't part of one.",
            ),
            required("sentence", "VARCHAR", "The trait in words, with rounded figures."),
            *PROVENANCE,
        ),
    ),
    Contract(
        "segment_personas",
        "Each segment as a person would describe it: name, headline, typical customer, and what "
        "they want, do and are worth.",
        "one row per segment",
        ("segmentation", "segment_id"),
        (
            SEGMENTATION,
            SEGMENT_ID,
            required("name", "VARCHAR", "Name of the segment, as in segments."),
            required("headline", "VARCHAR", "How large it is and what sets it apart most."),
            ContractColumn(
                "typical_customer",
                "VARCHAR",
                "Attributes of the most central customer as JSON, attribute to category or range; "
                "as many customers as the privacy floor share all of them. None of noise, of tiny "
                "segments and of rules.",
            ),
            ContractColumn(
                "wants",
                "VARCHAR",
                "What sets them apart in the survey; none if no feature is of it.",
            ),
            ContractColumn("behaves", "VARCHAR", "The same of the web."),
            ContractColumn(
                "worth", "VARCHAR", "The same of CRM and transactions, and what they pay."
            ),
            required(
                "is_name_outdated",
                "BOOLEAN",
                "Whether a trait that the name was made of doesn't hold any more. Names that "
                "people gave are never outdated.",
            ),
            *PROVENANCE,
        ),
    ),
)
