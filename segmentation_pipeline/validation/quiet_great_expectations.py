"""The one place where Great Expectations is imported, and made to keep quiet.

It costs 3 seconds and 260 MB: import this, and what imports it, where a table is validated.
"""

import logging
import os
import warnings

# GX logs the database's error messages here and there, and these quote the values they failed on.
logging.getLogger("great_expectations").propagate = False
logging.getLogger("great_expectations").addHandler(logging.NullHandler())
# 1.24.1 sends no usage statistics; releases that do read this once, when they are imported.
os.environ["GX_ANALYTICS_ENABLED"] = "False"
with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", r"module 'sre_(constants|parse)' is deprecated", DeprecationWarning
    )
    import great_expectations as gx
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.id_dict import IDDict
    from great_expectations.core.metric_domain_types import MetricDomainTypes
    from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
    from great_expectations.execution_engine.sqlalchemy_execution_engine import (
        SqlAlchemyExecutionEngine,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )
    from great_expectations.expectations.core.expect_table_columns_to_match_set import (
        ExpectTableColumnsToMatchSet,
    )
    from great_expectations.expectations.core.expect_table_row_count_to_be_between import (
        ExpectTableRowCountToBeBetween,
    )
    from great_expectations.expectations.expectation import BatchExpectation, Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metrics.metric_provider import metric_partial
    from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

# The import sends every later warning of the process to a logger without a handler.
logging.captureWarnings(capture=False)

__all__ = [
    "Batch",
    "BatchDefinition",
    "BatchExpectation",
    "EphemeralDataContext",
    "ExpectColumnValuesToBeBetween",
    "ExpectColumnValuesToBeInSet",
    "ExpectTableColumnsToMatchSet",
    "ExpectTableRowCountToBeBetween",
    "Expectation",
    "ExpectationConfiguration",
    "IDDict",
    "MetricDomainTypes",
    "MetricPartialFunctionTypes",
    "ProgressBarsConfig",
    "SQLDatasource",
    "SqlAlchemyExecutionEngine",
    "TableMetricProvider",
    "gx",
    "metric_partial",
]
