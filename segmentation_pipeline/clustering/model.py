"""A model is data: named arrays and a manifest with digests, never a pickle.

What belongs here: what a model consists of, and its way to a folder and back. How one is fitted or
used belongs to its algorithm; which one is in force belongs to `registry`.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.durable import synchronise
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Algorithm, Metric
from segmentation_pipeline.warehouse import is_plain_identifier

JSON: TypeAlias = str | int | float | bool | Sequence["JSON"] | Mapping[str, "JSON"] | None

_MANIFEST = "manifest.json"
_FORMAT = 1
_CALLED_NOW = {"k": "segments", "centroids": "prototypes"}
_KINDS = "biuf"


@dataclass(frozen=True, eq=False)
class SegmentModel:
    """What was learned: all that assigning a customer needs, beside the prepared features.

    `feature_names` are the columns of the feature matrix, in the order of the arrays' feature axis.
    `arrays` are plain numbers, kept read-only. `parameters` say how the model was made.
    """

    algorithm: Algorithm
    metric: Metric
    feature_names: tuple[str, ...]
    arrays: Mapping[str, NDArray[Any]]
    parameters: Mapping[str, JSON]

    def __post_init__(self) -> None:
        arrays = {}
        for name, array in self.arrays.items():
            if not is_plain_identifier(name) or array.dtype.kind not in _KINDS:
                raise ClusteringError(
                    f"a model's array {name!r} of type {array.dtype} cannot be kept: names are "
                    "letters, digits and underscores, values are numbers"
                )
            arrays[name] = np.array(array, order="C")
            arrays[name].flags.writeable = False
        object.__setattr__(self, "arrays", MappingProxyType(arrays))
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))


def replace_parameters(model: SegmentModel, parameters: Mapping[str, JSON]) -> SegmentModel:
    """Add parameters to a model's own; returns a new model."""
    return replace(model, parameters={**model.parameters, **parameters})


def save_model(model: SegmentModel, folder: Path) -> str:
    """Write a model into a new folder, whole or not at all; returns its digest.

    The folder holds manifest.json and one .npy file per array. The digest is the SHA-256 of the
    manifest, which holds those of the arrays: kept elsewhere, it seals the folder. The same model
    on the same library versions has the same digest.
    """
    if folder.exists():
        raise ClusteringError(f"{folder} exists: a model's folder is never written a second time")
    partial = folder.parent / f".{folder.name}.partial"
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    described: dict[str, JSON] = {}
    for name, array in sorted(model.arrays.items()):
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        _write_synced(partial / f"{name}.npy", content.getvalue())
        described[name] = {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        }
    manifest = {
        "format": _FORMAT,
        "algorithm": model.algorithm,
        "metric": model.metric,
        "feature_names": list(model.feature_names),
        "arrays": described,
        "parameters": dict(model.parameters),
        "versions": {
            name: metadata.version(name) for name in ("numpy", "scikit-learn", "kmedoids")
        },
    }
    content_json = json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False).encode()
    _write_synced(partial / _MANIFEST, content_json)
    synchronise(partial)
    partial.rename(folder)
    synchronise(folder.parent)
    return hashlib.sha256(content_json).hexdigest()


def load_model(folder: Path, expected_digest: str) -> SegmentModel:
    """Read a model back, if it is to the last bit the one that was saved.

    Raises ClusteringError naming the file that is missing, added, cut or altered.
    """
    content = _read(folder / _MANIFEST)
    if hashlib.sha256(content).hexdigest() != expected_digest:
        raise _distrust(folder / _MANIFEST, "is not the manifest that was registered")
    manifest = json.loads(content)
    if manifest["format"] != _FORMAT:
        raise _distrust(
            folder / _MANIFEST, f"has the format {manifest['format']}; this version reads {_FORMAT}"
        )
    expected = {_MANIFEST, *(f"{name}.npy" for name in manifest["arrays"])}
    for added in sorted(entry.name for entry in folder.iterdir() if entry.name not in expected):
        raise _distrust(folder / added, "does not belong to the model")
    arrays = {
        name: _read_array(folder / f"{name}.npy", described)
        for name, described in manifest["arrays"].items()
    }
    return SegmentModel(
        algorithm=manifest["algorithm"],
        metric=manifest["metric"],
        feature_names=tuple(manifest["feature_names"]),
        arrays=_as_called_now(arrays),
        parameters=_as_called_now(manifest["parameters"]),
    )


def _as_called_now(named: Mapping[str, Any]) -> dict[str, Any]:
    """Give arrays and parameters of the first release the names that they have since."""
    return {_CALLED_NOW.get(name, name): one for name, one in named.items()}


def _read_array(path: Path, described: Mapping[str, Any]) -> NDArray[Any]:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise _distrust(path, "is not the file that was saved")
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.str != described["dtype"] or list(array.shape) != described["shape"]:
        raise _distrust(
            path,
            f"holds {array.dtype.str} {list(array.shape)}, not "
            f"{described['dtype']} {described['shape']}",
        )
    return array


def _read(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise _distrust(path, "is missing, or is not a plain file")
    return path.read_bytes()


def _distrust(path: Path, reason: str) -> ClusteringError:
    return ClusteringError(
        f"{path} {reason}: the model is not used; restore its folder from a backup, "
        "or fit a new model"
    )


def _write_synced(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    synchronise(path)
