"""What commands say in a home that has had no night yet, and of names that there are not."""

import pytest
from typer.testing import CliRunner

from segmentation_pipeline.cli import app
from segmentation_pipeline.demo import make_demo


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("before") / "home"
    make_demo(path, customers=50, days=1, seed=3)
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["rename", "engagement-1", "Fans"], 1, "engagement has no segments yet"),
        (["rename", "fans", "Fans"], 1, "no segment `fans`: its id is its segmentation's name"),
        (["rename", "engagment-1", "Fans"], 1, "`engagment`; did you mean `engagement`?"),
        (["promote", "engagment", "--reason", "x"], 1, "`engagment`; did you mean `engagement`?"),
        (["similar", "--customer", "x"], 1, "several segmentations: name one by --segmentation"),
        (["ui", "--port", "70000"], 2, "70000 is not in the range"),
    ],
)
def test_each_says_what_to_do(home, arguments, status, words):
    done = CliRunner().invoke(app, [*arguments, "--home", str(home)])

    assert done.exit_code == status
    assert words in " ".join(done.output.replace("│", " ").split())


def test_no_rollback_is_advised_where_there_is_nothing_to_go_back_to(home):
    done = CliRunner().invoke(app, ["verify", "--home", str(home)])

    assert done.exit_code == 1
    assert " ".join(done.output.split()).endswith("published: nothing has been published yet")
