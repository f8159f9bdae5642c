"""The two homes that the tests of the example look at, made once."""

import pytest

from segmentation_pipeline.demo import make_demo


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The committed example's arguments."""
    home = tmp_path_factory.mktemp("small")
    return home, make_demo(home, customers=300, days=7, seed=7, file_format="csv")


@pytest.fixture(scope="session")
def middle(tmp_path_factory):
    """Large enough for shares to be near what was declared."""
    home = tmp_path_factory.mktemp("middle")
    return home, make_demo(home, customers=20_000, days=3, seed=11, file_format="csv")
