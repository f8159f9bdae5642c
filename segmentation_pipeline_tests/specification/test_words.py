"""The words that names are made of belong to a number's two sides, or to a category."""

import shutil
from pathlib import Path

import pytest
import yaml

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import fitting_digest, load_home

EXAMPLE = Path(__file__).parents[2] / "segmentation_pipeline" / "demo" / "home"


@pytest.fixture
def home(tmp_path):
    """The example with one feature changed."""

    def _home(name, **settings):
        shutil.copytree(EXAMPLE, tmp_path / "home", dirs_exist_ok=True)
        path = tmp_path / "home" / "segmentations" / "engagement.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        content["features"][name] |= settings
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return load_home(tmp_path / "home").segmentations["engagement"]

    return _home


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("contract_value_eur", {"hgh": "rich"}, "`hgh`: did you mean `high`"),
        ("preferred_channel", {"emial": "writers"}, "`emial`: did you mean `email`"),
        ("landing_page_visits", {"many": "visitors"}, "are for `high` and `low`"),
    ],
)
def test_words_for_what_there_is_not_are_refused(home, name, words, message):
    with pytest.raises(SpecificationError, match=message):
        home(name, words=words)


def test_words_change_no_model(home):
    before = home("contract_value_eur", words={})

    after = home("contract_value_eur", words={"high": "large customers"})
    home("engagement_driver", words={"Anything": "of a list that isn't declared"})

    assert after.features["contract_value_eur"].words == {"high": "large customers"}
    assert fitting_digest(after) == fitting_digest(before)
