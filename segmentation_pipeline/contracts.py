"""The contract of every published table: its grain, its key, and what each column means.

This is the one source of the tables' comments, of the column schemas in Dagster, of the checks
before publication and of the published `data_dictionary`. How a table is made belongs to the room
that makes it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ADDED_BY_PUBLICATION = ("segmentation", "as_of", "run_id", "model_version", "is_stale")
"""Columns that a work table lacks, and that publication adds."""


@dataclass(frozen=True)
class ContractColumn:
    """A column as readers find it; `type` is DuckDB's, as DESCRIBE writes it.

    A volatile column may differ between two runs of the same inputs (run ids, seconds).
    """

    name: str
    type: str
    description: str
    unit: str | None = None
    is_nullable: bool = True
    is_volatile: bool = False


@dataclass(frozen=True)
class Contract:
    """A published table: what a row is, and what identifies it.

    A dated table keeps the rows of every date; any other holds what is current.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[ContractColumn, ...]
    is_dated: bool = False

    @property
    def has_segmentation(self) -> bool:
        """Whether it is a union over the segmentations; else it is about the whole home."""
        return any(column.name == "segmentation" for column in self.columns)

    @property
    def work_columns(self) -> tuple[ContractColumn, ...]:
        """The columns that a segmentation's work table of this name must have."""
        return tuple(c for c in self.columns if c.name not in ADDED_BY_PUBLICATION)

    @property
    def work_key(self) -> tuple[str, ...]:
        """The key within one segmentation's work table."""
        return tuple(name for name in self.key if name not in ADDED_BY_PUBLICATION)


def _required(
    name: str, type_: str, description: str, unit: str | None = None, *, is_volatile: bool = False
) -> ContractColumn:
    return ContractColumn(name, type_, description, unit, False, is_volatile)


_SEGMENTATION = _required("segmentation", "VARCHAR", "Name of the segmentation (its file's name).")
_SEGMENT_ID = _required("segment_id", "VARCHAR", "Segment, such as engagement-1; never reused.")
_CUSTOMERS = _required("customers", "BIGINT", "Number of customers.", "customers")
_AS_OF = _required("as_of", "DATE", "Business date that the row is for.")
_RUN_ID = _required("run_id", "VARCHAR", "Run that made the row.", is_volatile=True)
_MODEL = _required("model_version", "INTEGER", "Version of the segmentation's model.")
_PROVENANCE = (_AS_OF, _RUN_ID, _MODEL)
_FEATURE = _required("feature", "VARCHAR", "Name of the feature in the segmentation's file.")
_CRITERION = ContractColumn(
    "criterion", "VARCHAR", "demographics, behaviour, needs or preferences; none of a profile's."
)
_USE = _required("use", "VARCHAR", "clustering: it makes the segments; profile: it describes them.")

_CONTRACTS = (
    Contract(
        "segments",
        "The segments: how many customers each has, and what it is called.",
        "one row per segment",
        ("segmentation", "segment_id"),
        (
            _SEGMENTATION,
            _SEGMENT_ID,
            _required("label", "VARCHAR", "Name of the segment, for people."),
            _CUSTOMERS,
            _required("share", "DOUBLE", "Share of the segmentation's customers."),
            ContractColumn(
                "verdict",
                "VARCHAR",
                "Whether the data hold these segments, as in structure_verdict; none if an earlier "
                "release published the row.",
            ),
            *_PROVENANCE,
            _required(
                "is_stale",
                "BOOLEAN",
                "Whether the segmentation is of an earlier date than the newest one published.",
            ),
        ),
    ),
    Contract(
        "customer_segments",
        "Which segment each customer is in, how clearly, and which would be the next.",
        "one row per customer and segmentation",
        ("segmentation", "customer_id"),
        (
            _SEGMENTATION,
            _required("customer_id", "VARCHAR", "Customer, as the CRM names them."),
            _required("segment_id", "VARCHAR", "The customer's segment."),
            _required("raw_segment_id", "VARCHAR", "Nearest segment tonight, whatever it was."),
            ContractColumn(
                "runner_up_segment_id", "VARCHAR", "Second nearest segment; none if there is one."
            ),
            _required("distance", "DOUBLE", "Distance to the segment's centre, in scaled units."),
            ContractColumn(
                "margin",
                "DOUBLE",
                "Difference of the squared distances to the runner-up and to the segment, over the "
                "squared distance of their centres: 0 on the border, 1 at the centre.",
            ),
            _required("is_borderline", "BOOLEAN", "Whether the margin is below 0.1."),
            _required(
                "is_outlier",
                "BOOLEAN",
                "Whether the distance, unclipped, is beyond the 99.5th percentile of training.",
            ),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "segment_profiles",
        "Each segment by its numeric features, in their original units, next to everybody.",
        "one row per segment and numeric feature",
        ("segmentation", "segment_id", "feature"),
        (
            _SEGMENTATION,
            _SEGMENT_ID,
            _FEATURE,
            _required("description", "VARCHAR", "What the feature tells, for people."),
            ContractColumn("unit", "VARCHAR", "Unit of the feature's values."),
            _CRITERION,
            _USE,
            _required("customers", "BIGINT", "Customers of the segment with a value.", "customers"),
            _required("missing_share", "DOUBLE", "Share of the segment without a value."),
            ContractColumn("mean", "DOUBLE", "Mean in the segment, in `unit`."),
            ContractColumn(
                "standard_deviation", "DOUBLE", "Standard deviation in the segment, in `unit`."
            ),
            ContractColumn("median", "DOUBLE", "Median in the segment, in `unit`."),
            ContractColumn("lower_quartile", "DOUBLE", "25th percentile, in `unit`."),
            ContractColumn("upper_quartile", "DOUBLE", "75th percentile, in `unit`."),
            ContractColumn("overall_mean", "DOUBLE", "Mean of all customers, in `unit`."),
            ContractColumn(
                "overall_standard_deviation",
                "DOUBLE",
                "Standard deviation of all customers, in `unit`.",
            ),
            ContractColumn(
                "standardised_difference",
                "DOUBLE",
                "(Mean inside - mean outside) / pooled standard deviation; from 0.2 on it tells.",
            ),
            _required(
                "rank", "INTEGER", "Rank within the segment by |standardised difference|, from 1."
            ),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "segment_category_shares",
        "Each segment by its categorical features, next to everybody.",
        "one row per segment, categorical feature and category",
        ("segmentation", "segment_id", "feature", "category"),
        (
            _SEGMENTATION,
            _SEGMENT_ID,
            _FEATURE,
            _required("category", "VARCHAR", "Category; `missing` where there is no value."),
            _CRITERION,
            _USE,
            _required("customers", "BIGINT", "Customers of the segment in it.", "customers"),
            _required("share", "DOUBLE", "Share of the segment's customers."),
            _required("overall_share", "DOUBLE", "Share of all customers."),
            _required("lift", "DOUBLE", "`share` / `overall_share`; 1 is like everybody."),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "model_candidates",
        "The models that were tried, their scores, and why one was chosen.",
        "one row per algorithm and number of segments that was tried",
        ("segmentation", "algorithm", "segments"),
        (
            _SEGMENTATION,
            _required("algorithm", "VARCHAR", "Family of clustering, such as k_means."),
            _required("segments", "INTEGER", "Number of segments.", "segments"),
            ContractColumn(
                "silhouette", "DOUBLE", "Mean silhouette on a sample, -1 to 1; higher is better."
            ),
            ContractColumn("silhouette_standard_error", "DOUBLE", "Its standard error."),
            ContractColumn("davies_bouldin", "DOUBLE", "Davies-Bouldin index; lower is better."),
            ContractColumn(
                "calinski_harabasz", "DOUBLE", "Calinski-Harabasz index; higher is better."
            ),
            ContractColumn(
                "inertia", "DOUBLE", "Sum of squared distances to the centres, in scaled units."
            ),
            ContractColumn("smallest_share", "DOUBLE", "Share of the smallest segment."),
            _required("is_admissible", "BOOLEAN", "Whether its segments are large enough."),
            _required("is_chosen", "BOOLEAN", "Whether it is the published model."),
            ContractColumn("reason", "VARCHAR", "Why it was chosen, or why not."),
            ContractColumn("seconds", "DOUBLE", "Time it took.", "s", is_volatile=True),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "structure_verdict",
        "Whether the data hold the published segments: a word, a sentence, every figure behind it.",
        "one row per segmentation",
        ("segmentation",),
        (
            _SEGMENTATION,
            _required(
                "verdict",
                "VARCHAR",
                "supported; weak: signs, but not all; continuum: cut where nothing divides it; "
                "too few to tell; no structure: one segment.",
            ),
            _required("sentence", "VARCHAR", "The same in sentences, with the figures."),
            _required("segments", "INTEGER", "Number of segments.", "segments"),
            _required(
                "examined_customers",
                "BIGINT",
                "Customers that were looked at: a sample of the segmentation's.",
                "customers",
            ),
            _required("examined_date", "DATE", "Business date whose customers were looked at."),
            _required(
                "candidates",
                "INTEGER",
                "Numbers of segments tried, which `is_separated` allows for.",
            ),
            _required(
                "is_separated",
                "BOOLEAN",
                "Whether every border is emptier than the segments: `border_p` is at most 0.01 / "
                "`candidates`.",
            ),
            ContractColumn(
                "border_p",
                "DOUBLE",
                "Chance of so empty a border if it were as full as the emptier centre beside it; "
                "the worst border's.",
            ),
            ContractColumn(
                "border_depth",
                "DOUBLE",
                "Share by which that border is emptier than the centre; negative if it is fuller.",
            ),
            ContractColumn(
                "null_z",
                "DOUBLE",
                "Silhouette against data with the same values and correlations but no segments, in "
                "their standard deviations.",
            ),
            ContractColumn(
                "null_p",
                "DOUBLE",
                "Chance of such a silhouette without segments; up to 0.01 tells, never alone.",
            ),
            ContractColumn(
                "lowest_jaccard",
                "DOUBLE",
                "How much of the least stable segment reappears when customers are resampled, 0 to "
                "1; from 0.75 on it is stable.",
            ),
            ContractColumn(
                "jaccards", "VARCHAR", "The same of each segment, largest first, as JSON."
            ),
            ContractColumn(
                "stability_scheme",
                "VARCHAR",
                "How they were resampled: bootstrap or sample splits.",
            ),
            ContractColumn(
                "one_split_rule",
                "VARCHAR",
                "One cut of one feature that comes nearest to two segments.",
            ),
            ContractColumn(
                "one_split_fidelity",
                "DOUBLE",
                "Share of customers it puts into their segment, cross-validated.",
            ),
            ContractColumn(
                "one_split_recall", "DOUBLE", "The same within the segment where it does worse."
            ),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "feature_selection",
        "Which features went into the distance, and why others did not.",
        "one row per column of the feature matrix, kept or dropped",
        ("segmentation", "feature", "column_name"),
        (
            _SEGMENTATION,
            _FEATURE,
            _required("column_name", "VARCHAR", "Column of the feature matrix."),
            _required("is_kept", "BOOLEAN", "Whether it is part of the distance."),
            ContractColumn("reason", "VARCHAR", "Why it was dropped."),
            ContractColumn("missing_share", "DOUBLE", "Share of customers without a value."),
            ContractColumn("distinct_values", "BIGINT", "Number of different values.", "values"),
            ContractColumn(
                "unseen_share", "DOUBLE", "Share of customers in a category unknown to the model."
            ),
            *_PROVENANCE,
        ),
    ),
    Contract(
        "validation_results",
        "What was expected of the tables each night, and whether it held; counts, never values.",
        "one row per date, table and expectation",
        ("as_of", "table_name", "expectation"),
        (
            _AS_OF,
            _RUN_ID,
            _required("table_name", "VARCHAR", "Table that was looked at."),
            _required("expectation", "VARCHAR", "Name of the expectation."),
            _required("kind", "VARCHAR", "Kind of the expectation, such as not_null or between."),
            ContractColumn("column_name", "VARCHAR", "Column or columns; none: the whole table."),
            _required("severity", "VARCHAR", "error: it stops the night; warning: it is shown."),
            _required("success", "BOOLEAN", "Whether it held."),
            _required("evaluated_rows", "BIGINT", "Rows that it applies to.", "rows"),
            _required("unexpected_rows", "BIGINT", "Rows that do not hold.", "rows"),
            _required("unexpected_share", "DOUBLE", "Their share of the evaluated rows."),
            _required("message", "VARCHAR", "The same in a sentence."),
        ),
        is_dated=True,
    ),
    Contract(
        "cleaning_report",
        "What was cleaned, conformed, removed or imputed, and how often.",
        "one row per source, column and step",
        ("source", "column_name", "step", "description"),
        (
            _required("source", "VARCHAR", "Source, or `customers` for the joined table."),
            ContractColumn("column_name", "VARCHAR", "Column; none: whole rows."),
            _required("step", "VARCHAR", "What was done."),
            _required("description", "VARCHAR", "What was done, in a sentence."),
            _required("rows", "BIGINT", "Rows it was done to.", "rows"),
            _required("share", "DOUBLE", "Their share of the rows looked at."),
            _AS_OF,
            _RUN_ID,
        ),
    ),
    Contract(
        "source_loads",
        "Which file was loaded when, with its digest and what could not be read.",
        "one row per load of a file",
        ("load_id",),
        (
            _required("load_id", "BIGINT", "Number of the load."),
            _required("source", "VARCHAR", "Source that the file belongs to."),
            _required("kind", "VARCHAR", "survey, crm, transactions or web."),
            _required("file", "VARCHAR", "File, relative to the home."),
            _required("digest", "VARCHAR", "SHA-256 of the file."),
            _required("specification_digest", "VARCHAR", "SHA-256 of the source's declaration."),
            _required("bytes", "BIGINT", "Size of the file.", "bytes"),
            _required("rows", "BIGINT", "Rows loaded.", "rows"),
            _required("rejected_rows", "BIGINT", "Rows that could not be read.", "rows"),
            _required("rejected_values", "BIGINT", "Values that could not be read.", "values"),
            _required("seconds", "DOUBLE", "Time it took.", "s", is_volatile=True),
            _required("as_of", "DATE", "Business date of the night that loaded it."),
            _required("run_id", "VARCHAR", "Run that loaded it.", is_volatile=True),
            ContractColumn("snapshot_date", "DATE", "Date from which a CRM snapshot holds."),
        ),
    ),
    Contract(
        "segmentation_runs",
        "Which run published which model, from which sources and specification.",
        "one row per date and segmentation",
        ("as_of", "segmentation"),
        (
            _AS_OF,
            _RUN_ID,
            _SEGMENTATION,
            _required(
                "criteria",
                "VARCHAR",
                "By what customers are grouped: criterion -> sentence, as JSON.",
            ),
            _required("algorithm", "VARCHAR", "Family of clustering, such as k_means."),
            _required("segments", "INTEGER", "Number of segments.", "segments"),
            _CUSTOMERS,
            ContractColumn("silhouette", "DOUBLE", "Silhouette of the model when it was fitted."),
            _required("specification_digest", "VARCHAR", "SHA-256 of the home's declarations."),
            _required("source_digest", "VARCHAR", "SHA-256 over the digests of the loads it saw."),
            _required("preparation_digest", "VARCHAR", "SHA-256 of the fitted preparation."),
            _required("model_digest", "VARCHAR", "SHA-256 of the model."),
            _MODEL,
        ),
        is_dated=True,
    ),
    Contract(
        "data_dictionary",
        "Every published column: its type, its unit and what it means.",
        "one row per published column",
        ("table_name", "column_name"),
        (
            _required("table_name", "VARCHAR", "Published table."),
            _required("column_name", "VARCHAR", "Its column."),
            _required("position", "INTEGER", "Place of the column in its table, from 1."),
            _required("type", "VARCHAR", "DuckDB type."),
            ContractColumn("unit", "VARCHAR", "Unit of a number."),
            _required("description", "VARCHAR", "What the column means."),
            _required("is_key", "BOOLEAN", "Whether it is part of the table's key."),
            _required("is_nullable", "BOOLEAN", "Whether a row may lack it."),
            _required("is_volatile", "BOOLEAN", "Whether the same inputs may give another value."),
            _required("table_description", "VARCHAR", "What the table is."),
            _required("grain", "VARCHAR", "What a row of the table is."),
        ),
    ),
)

CONTRACTS: Mapping[str, Contract] = MappingProxyType({c.name: c for c in _CONTRACTS})


def contracts_digest() -> str:
    """Compute the SHA-256 of all contracts: two releases with equal ones publish alike."""
    return hashlib.sha256(repr(list(CONTRACTS.values())).encode()).hexdigest()
