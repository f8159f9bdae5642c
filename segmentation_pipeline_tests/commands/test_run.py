"""`segmentation run` says what only warns, beside what failed, and whose segments it shows."""

import pytest
from typer.testing import CliRunner

from segmentation_pipeline.assets.night import NightResult
from segmentation_pipeline.cli import app
from segmentation_pipeline.demo import make_demo


def test_warnings_of_a_night_are_said_and_stop_nothing(tmp_path, monkeypatch):
    make_demo(tmp_path / "home", customers=50, days=1, seed=3)
    warned = NightResult("run-1", (), is_news=False, warnings=("check raw_crm: 3 ids twice",))
    monkeypatch.setattr("segmentation_pipeline.assets.night.run_night", lambda *_, **__: warned)
    monkeypatch.setattr("segmentation_pipeline.commands.run._show_segments", lambda *_: None)

    done = CliRunner().invoke(app, ["run", "--home", str(tmp_path / "home")])

    assert done.exit_code == 0, done.output
    assert "warning: check raw_crm: 3 ids twice" in done.output
    assert "a night without news" in done.output


@pytest.mark.parametrize(("date", "is_said"), [("2025-06-30", False), ("2025-06-25", True)])
def test_the_newest_segments_are_shown_as_such(published_home, monkeypatch, date, is_said):
    done = NightResult("run-1", (), is_news=True)
    monkeypatch.setattr("segmentation_pipeline.assets.night.run_night", lambda *_, **__: done)

    shown = CliRunner().invoke(app, ["run", "--home", str(published_home), "--as-of", date])

    assert shown.exit_code == 0, shown.output
    assert "engagement-1" in shown.output
    assert ("what follows is of the newest night, 2025-06-30" in shown.output) == is_said
