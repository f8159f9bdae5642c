"""The contract of every published table: its grain, its key, and what each column means.

This is the one source of the tables' comments, of the column schemas in Dagster, of the checks
before publication and of the published `data_dictionary`. How a table is made belongs to the room
that makes it.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from segmentation_pipeline.contracts.belonging import BELONGING_CONTRACTS
from segmentation_pipeline.contracts.contract import (
    ADDED_BY_PUBLICATION,
    Contract,
    ContractColumn,
)
from segmentation_pipeline.contracts.drift import DRIFT_CONTRACTS
from segmentation_pipeline.contracts.experiments import EXPERIMENT_CONTRACTS
from segmentation_pipeline.contracts.features import FEATURE_CONTRACTS
from segmentation_pipeline.contracts.history import HISTORY_CONTRACTS
from segmentation_pipeline.contracts.kpis import KPI_CONTRACTS
from segmentation_pipeline.contracts.models import MODEL_CONTRACTS
from segmentation_pipeline.contracts.operation import OPERATION_CONTRACTS
from segmentation_pipeline.contracts.personas import PERSONA_CONTRACTS
from segmentation_pipeline.contracts.pictures import PICTURE_CONTRACTS
from segmentation_pipeline.contracts.registry import REGISTRY_CONTRACTS
from segmentation_pipeline.contracts.rules import RULE_CONTRACTS
from segmentation_pipeline.contracts.segments import SEGMENT_CONTRACTS
from segmentation_pipeline.contracts.strategies import STRATEGY_CONTRACTS

__all__ = [
    "ADDED_BY_PUBLICATION",
    "CONTRACTS",
    "CONTRACTS_VERSION",
    "Contract",
    "ContractColumn",
    "contracts_digest",
]

CONTRACTS_VERSION = "1.0.0"
"""Version of the contracts together: what is published tells readers whether they know them.

Major: a table or column is gone, has another name or type, another key, or may lack a value.
Minor: there are new ones.
"""

_BY_NAME = {
    contract.name: contract
    for contract in (
        *SEGMENT_CONTRACTS,
        *RULE_CONTRACTS,
        *PERSONA_CONTRACTS,
        *STRATEGY_CONTRACTS,
        *KPI_CONTRACTS,
        *EXPERIMENT_CONTRACTS,
        *BELONGING_CONTRACTS,
        *HISTORY_CONTRACTS,
        *PICTURE_CONTRACTS,
        *FEATURE_CONTRACTS,
        *DRIFT_CONTRACTS,
        *MODEL_CONTRACTS,
        *REGISTRY_CONTRACTS,
        *OPERATION_CONTRACTS,
    )
}
CONTRACTS: Mapping[str, Contract] = MappingProxyType(_BY_NAME)


def contracts_digest() -> str:
    """Compute the SHA-256 of all contracts: two releases with equal ones publish alike."""
    return hashlib.sha256(repr(list(CONTRACTS.values())).encode()).hexdigest()
