"""Bytes of an id are found wherever they stand in a file, and never in the middle of another id."""

import itertools

import pytest

from segmentation_pipeline.publication import remains


@pytest.mark.parametrize("chunk_bytes", [1, 3, 7, 8, 9, 64])
def test_where_a_chunk_ends_makes_no_difference(workbench, monkeypatch, chunk_bytes):
    monkeypatch.setattr(remains, "_CHUNK_BYTES", chunk_bytes)
    home = workbench.home
    texts = {
        f"{before}{body}{after}": not before.strip("-,") and not after.strip("-,")
        for body in ("E-17171", "959595")
        for before, after in itertools.product(
            ["", "-", ",,,,,,,", "1", ",,,,,,,7", "x" * 20], ["", "-", ",,,,", "1", "17", "7,,,"]
        )
    }
    for number, text in enumerate(texts):
        (home.path / f"{number:03}.txt").write_text(text, encoding="utf-8")

    found = remains.files_with(home, ["E-17171", "959595"])

    held = [f"{number:03}.txt" for number, is_held in enumerate(texts.values()) if is_held]
    assert [path.name for path in found] == held
    assert 10 < len(held) < len(texts)
