"""`segmentation run` says what only warns, beside what failed."""

from typer.testing import CliRunner

from segmentation_pipeline.assets.night import NightResult
from segmentation_pipeline.cli import app
from segmentation_pipeline.demo import make_demo


def test_warnings_of_a_night_are_said_and_stop_nothing(tmp_path, monkeypatch):
    make_demo(tmp_path / "home", customers=50, days=1, seed=3)
    warned = NightResult("run-1", (), is_news=False, warnings=("check raw_crm: 3 ids twice",))
    monkeypatch.setattr("segmentation_pipeline.assets.night.run_night", lambda *_, **__: warned)
    monkeypatch.setattr("segmentation_pipeline.commands.run._show_segments", lambda _home: None)

    done = CliRunner().invoke(app, ["run", "--home", str(tmp_path / "home")])

    assert done.exit_code == 0, done.output
    assert "warning: check raw_crm: 3 ids twice" in done.output
    assert "a night without news" in done.output
