"""A model's folder: what was saved comes back, anything else is refused by name."""

import json
import pickle

import numpy as np
import pytest

from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.errors import ClusteringError


@pytest.fixture
def model():
    return SegmentModel(
        algorithm="k_means",
        metric="euclidean",
        feature_names=("age", "visits"),
        arrays={
            "prototypes": np.array([[0.1, 1 / 3], [2.0, -0.0]]),
            "sizes": np.array([7, 5], dtype=np.int32),
        },
        parameters={"segments": 2, "seed": 1, "note": "a b", "starts": [1.5, None, True]},
    )


def test_round_trip(model, tmp_path):
    digest = save_model(model, tmp_path / "1")
    loaded = load_model(tmp_path / "1", digest)
    assert (loaded.algorithm, loaded.metric) == ("k_means", "euclidean")
    assert loaded.feature_names == ("age", "visits")
    assert dict(loaded.parameters) == dict(model.parameters)
    assert list(loaded.arrays) == ["prototypes", "sizes"]
    for name, array in model.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].tobytes() == array.tobytes()
        assert not loaded.arrays[name].flags.writeable
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "1",
        "manifest.json",
        "prototypes.npy",
        "sizes.npy",
    ]
    assert set(json.loads((tmp_path / "1/manifest.json").read_text())["versions"]) == {
        "numpy",
        "scikit-learn",
        "kmedoids",
    }


def test_the_same_model_has_the_same_digest_and_another_another(model, tmp_path):
    digest = save_model(model, tmp_path / "1")
    assert save_model(model, tmp_path / "2") == digest
    moved = {**model.arrays, "prototypes": np.nextafter(model.arrays["prototypes"], 9)}
    other = SegmentModel("k_means", "euclidean", model.feature_names, moved, model.parameters)
    assert save_model(other, tmp_path / "3") != digest


def test_what_was_given_can_change_and_the_model_does_not(model):
    centroids = np.zeros((1, 2))
    made = SegmentModel("k_means", "euclidean", ("a", "b"), {"prototypes": centroids}, {})
    centroids[0, 0] = 5
    assert made.arrays["prototypes"][0, 0] == 0
    with pytest.raises(TypeError):
        made.arrays["x"] = centroids
    with pytest.raises(ValueError, match="read-only"):
        made.arrays["prototypes"][0, 0] = 1


def cut(folder):
    path = folder / "prototypes.npy"
    path.write_bytes(path.read_bytes()[:-1])
    return "prototypes.npy is not the file"


def flip(folder):
    path = folder / "sizes.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "sizes.npy is not the file"


def flip_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    return "manifest.json is not the manifest"


def replace_with_pickle(folder):
    (folder / "prototypes.npy").write_bytes(pickle.dumps([1]))
    return "prototypes.npy is not the file"


def empty_file(folder):
    (folder / "prototypes.npy").write_bytes(b"")
    return "prototypes.npy is not the file"


def remove(folder):
    (folder / "sizes.npy").unlink()
    return "sizes.npy is missing"


def remove_manifest(folder):
    (folder / "manifest.json").unlink()
    return "manifest.json is missing"


def add(folder):
    (folder / "more.npy").write_bytes(b"")
    return "more.npy does not belong"


def link(folder):
    (folder / "sizes.npy").rename(folder.parent / "elsewhere.npy")
    (folder / "sizes.npy").symlink_to(folder.parent / "elsewhere.npy")
    return "sizes.npy is missing, or is not a plain file"


@pytest.mark.parametrize(
    "damage",
    [cut, flip, flip_manifest, replace_with_pickle, empty_file, remove, remove_manifest, add, link],
)
def test_damage_is_refused_and_the_file_named(model, tmp_path, damage):
    folder = tmp_path / "1"
    digest = save_model(model, folder)
    message = damage(folder)
    with pytest.raises(ClusteringError, match=message):
        load_model(folder, digest)


def test_a_manifest_that_lies_about_an_array_is_refused(model, tmp_path):
    """Even with its digest: what the manifest promises of an array is checked on the array."""
    import hashlib

    save_model(model, tmp_path / "1")
    path = tmp_path / "1/manifest.json"
    honest = json.loads(path.read_text())
    for key, value, found in (("shape", [4], r"\[2, 2\]"), ("dtype", "<f4", "holds <f8")):
        lie = json.loads(json.dumps(honest))
        lie["arrays"]["prototypes"][key] = value
        path.write_text(json.dumps(lie))
        with pytest.raises(ClusteringError, match=rf"prototypes.npy .*{found}"):
            load_model(tmp_path / "1", hashlib.sha256(path.read_bytes()).hexdigest())
    path.write_text(json.dumps({**honest, "format": 2}))
    with pytest.raises(ClusteringError, match="has the format 2"):
        load_model(tmp_path / "1", hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ClusteringError, match=r"7/manifest\.json is missing"):
        load_model(tmp_path / "7", "0" * 64)


def test_a_folder_is_written_once_and_a_broken_attempt_is_replaced(model, tmp_path):
    leftover = tmp_path / ".1.partial"
    leftover.mkdir()
    (leftover / "old.npy").write_bytes(b"half")
    digest = save_model(model, tmp_path / "1")
    load_model(tmp_path / "1", digest)
    assert not leftover.exists()
    with pytest.raises(ClusteringError, match="exists"):
        save_model(model, tmp_path / "1")


def test_a_save_that_fails_leaves_no_folder_under_the_final_name(model, tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("segmentation_pipeline.durable.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(model, tmp_path / "1")
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize(
    "arrays", [{"../evil": np.zeros(1)}, {"a": np.array([object()])}, {"a": np.array(["text"])}]
)
def test_only_numbers_under_plain_names(arrays):
    with pytest.raises(ClusteringError, match="cannot be kept"):
        SegmentModel("k_means", "euclidean", ("a",), arrays, {})
