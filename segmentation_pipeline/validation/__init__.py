"""What a table must satisfy, and whether it does: expectations, run inside DuckDB.

`expectations` is the neutral description; `source_suites`, `customers_suites` and `table_suites`
derive it from specification and contracts, `tables` runs it with Great Expectations, `results`
keeps what came of it. What happens after a failure (block, warn, quarantine) belongs to `assets`
and `ingestion`. Great Expectations costs 3 seconds to import, so the modules that do are imported
only while a table is validated.
"""

from segmentation_pipeline.validation.expectations import Expectation, ExpectationResult
from segmentation_pipeline.validation.results import (
    VALIDATION_RESULTS,
    blocking_failures,
    record_results,
    validation_results_rows,
)
from segmentation_pipeline.validation.tables import validate_table

__all__ = [
    "VALIDATION_RESULTS",
    "Expectation",
    "ExpectationResult",
    "blocking_failures",
    "record_results",
    "validate_table",
    "validation_results_rows",
]
