"""What readers get: published versions, built and audited apart, put in force by one rename.

`publishing` is the protocol, `verification` looks at what is in force. What goes into the tables
was made by the rooms before; what a table means is its contract.
"""

from segmentation_pipeline.publication.announcement import announced_changes
from segmentation_pipeline.publication.erasure import Erasure, erase_customers
from segmentation_pipeline.publication.gate import validation_faults
from segmentation_pipeline.publication.manifest import Manifest
from segmentation_pipeline.publication.plan import ReadySegmentation
from segmentation_pipeline.publication.pseudonyms import pseudonym_key
from segmentation_pipeline.publication.publishing import Publication, personal_columns, publish
from segmentation_pipeline.publication.tables import work_tables
from segmentation_pipeline.publication.verification import read_published, verify
from segmentation_pipeline.publication.versions import (
    current_version,
    kept_versions,
    rollback,
    version_database,
)

__all__ = [
    "Erasure",
    "Manifest",
    "Publication",
    "ReadySegmentation",
    "announced_changes",
    "current_version",
    "erase_customers",
    "kept_versions",
    "personal_columns",
    "pseudonym_key",
    "publish",
    "read_published",
    "rollback",
    "validation_faults",
    "verify",
    "version_database",
    "work_tables",
]
