"""Whom `segmentation erase --file` names: ids line by line, as editors save them."""

import importlib
import warnings

import pytest

from segmentation_pipeline.errors import PipelineError


@pytest.fixture
def ids_in():
    with warnings.catch_warnings():
        # The library of the command line imports what its own dependency will drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("segmentation_pipeline.commands.erase").ids_in


def test_ids_are_read_from_a_file_with_a_mark_and_blank_lines(ids_in, tmp_path):
    file = tmp_path / "ids.txt"
    file.write_bytes("\ufeff007\r\n Jose\u0301 \r\n\r\n".encode())
    assert ids_in(file) == ["007", "José"]


def test_a_file_that_is_no_text_is_refused_in_words(ids_in, tmp_path):
    file = tmp_path / "ids.txt"
    file.write_bytes("José".encode("latin-1"))
    with pytest.raises(PipelineError, match=r"ids.txt: not UTF-8; save it as UTF-8"):
        ids_in(file)
