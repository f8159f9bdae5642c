"""A night that fails or warns is told of, by a command and by a webhook; never with a value."""

import datetime as dt
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import dagster as dg
import pytest
from pydantic import ValidationError

from segmentation_pipeline.assets.alert_sensors import build_alert_sensors
from segmentation_pipeline.assets.alerting import STARTED_BY, Alert, alert_of_night, send
from segmentation_pipeline.assets.resources import PARTITION_TAG
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.alerts import Alerts

NIGHT = dt.date(2025, 6, 30)
ALERT = Alert("Hospital", NIGHT, "run-1", "failed", False, ("check customers: too few",))
TOLD = {
    "home": "Hospital",
    "as_of": "2025-06-30",
    "run_id": "run-1",
    "kind": "failed",
    "is_published": False,
    "messages": ["check customers: too few"],
}


def home_with(tmp_path, **alerts):
    wanted = Alerts(**alerts) if alerts else None
    return SimpleNamespace(path=tmp_path, customers=SimpleNamespace(name="Hospital", alerts=wanted))


@pytest.fixture
def receiver():
    """A web server on this machine that keeps what is posted to it; (URL, posts, status)."""
    posts, answer = [], SimpleNamespace(status=200)

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(answer.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook/secret", posts, answer
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_receives_the_alert(tmp_path, receiver):
    url, posts, _ = receiver

    assert send(home_with(tmp_path, webhook_variable="HOOK"), ALERT, {"HOOK": url}) == []

    assert posts == [("application/json", TOLD)]


def test_a_command_reads_the_alert_in_the_folder_of_the_home(tmp_path):
    script = "import sys; open('told.json', 'w').write(sys.stdin.read() + sys.argv[1])"
    home = home_with(tmp_path, command=[sys.executable, "-c", script, "; rm -rf x"])

    assert send(home, ALERT, {}) == []

    text = (tmp_path / "told.json").read_text()
    assert text.endswith("; rm -rf x")
    assert json.loads(text.removesuffix("; rm -rf x")) == TOLD


def test_what_is_not_delivered_is_said_and_the_address_is_not(tmp_path, receiver):
    url, _, answer = receiver
    home = home_with(tmp_path, webhook_variable="HOOK")

    answer.status = 500
    (refused,) = send(home, ALERT, {"HOOK": url})
    (lacking,) = send(home, ALERT, {})
    (strange,) = send(home, ALERT, {"HOOK": "file:///etc/secret"})
    (nobody,) = send(home, ALERT, {"HOOK": "http://127.0.0.1:9/secret"})

    assert "the webhook of HOOK answered 500" in refused
    assert "HOOK is not set" in lacking
    assert "holds no http or https address" in strange
    assert "can't be reached" in nobody
    assert not any("secret" in one for one in (refused, lacking, strange, nobody))


@pytest.mark.parametrize(
    "url", ["http://host/a secret", "http://[secret", "http://secret:port/", "http://a..secret/"]
)
def test_an_address_that_is_none_fails_no_night_and_is_not_said(tmp_path, url):
    home = home_with(tmp_path, webhook_variable="HOOK")

    (said,) = send(home, ALERT, {"HOOK": url})

    assert "the webhook of HOOK can't be reached" in said
    assert "secret" not in said


def test_an_answer_that_is_no_http_fails_no_night(tmp_path):
    def answer(listening):
        connection, _ = listening.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"secret\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=[listening])
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        (said,) = send(home_with(tmp_path, webhook_variable="HOOK"), ALERT, {"HOOK": url})
        thread.join()

    assert said.endswith("can't be reached (BadStatusLine)")


def test_a_command_that_fails_hangs_or_is_not_there_is_said(tmp_path):
    def fault(*command):
        return send(home_with(tmp_path, command=list(command), timeout_seconds=0.5), ALERT, {})

    assert "ended with 3" in fault(sys.executable, "-c", "raise SystemExit(3)")[0]
    assert (
        "was stopped after 0.5 s" in fault(sys.executable, "-c", "import time; time.sleep(30)")[0]
    )
    assert "can't be started" in fault(str(tmp_path / "nowhere"))[0]


@pytest.mark.parametrize(
    ("failures", "warnings", "on_warnings", "kind"),
    [
        (("a",), (), True, "failed"),
        (("a",), ("b",), False, "failed"),
        ((), ("b",), True, "warning"),
        ((), ("b",), False, None),
        ((), (), True, None),
    ],
)
def test_what_is_worth_an_alert(tmp_path, failures, warnings, on_warnings, kind):
    home = home_with(tmp_path, command=["x"], on_warnings=on_warnings)

    alert = alert_of_night(home, NIGHT, "run-1", failures, warnings, is_published=True)

    assert (alert and alert.kind) == kind
    assert alert is None or alert.messages == (*failures, *warnings)
    assert alert_of_night(home_with(tmp_path), NIGHT, "r", ("a",), (), is_published=True) is None


def test_an_alert_goes_somewhere():
    with pytest.raises(ValidationError, match="needs a `command`"):
        Alerts()
    with pytest.raises(ValidationError):
        Alerts(webhook_variable="https://hook.example/secret")


@pytest.fixture
def told(tmp_path):
    """A home that tells by a command, which writes the alert into told.json."""
    script = "import sys; open('told.json', 'w').write(sys.stdin.read())"
    return home_with(tmp_path, command=[sys.executable, "-c", script])


@dg.asset(check_specs=[dg.AssetCheckSpec("is_calm", asset="weather")])
def weather():
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(
                check_name="is_calm",
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="it storms",
            )
        ]
    )


@dg.asset
def broken():
    raise PipelineError("no room on the disk")


@pytest.mark.parametrize(
    ("asset", "sensor", "kind", "message"),
    [
        (broken, "tell_of_failed_nights", "failed", "broken: no room on the disk"),
        (weather, "tell_of_warnings", "warning", "check weather: is_calm: it storms"),
    ],
)
def test_a_night_of_dagster_is_told_of_by_a_sensor(told, tmp_path, asset, sensor, kind, message):
    sensors = {one.name: one for one in build_alert_sensors(told)}
    assert set(sensors) == {"tell_of_failed_nights", "tell_of_warnings"}
    defs = dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("night")])
    job = defs.resolve_job_def("night")

    def evaluate(**tags):
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
            context = dg.build_run_status_sensor_context(
                sensor_name=sensor,
                dagster_instance=instance,
                dagster_run=instance.get_run_by_id(result.run_id),
                dagster_event=result.all_events[-1],
            )
            if kind == "failed":
                context = context.for_run_failure()
            sensors[sensor](context)
            return result.run_id

    evaluate(**{PARTITION_TAG: "2025-06-30", STARTED_BY: "command line"})
    assert not (tmp_path / "told.json").exists()

    run_id = evaluate(**{PARTITION_TAG: "2025-06-30"})

    assert json.loads((tmp_path / "told.json").read_text()) == {
        "home": "Hospital",
        "as_of": "2025-06-30",
        "run_id": run_id,
        "kind": kind,
        "is_published": False,
        "messages": [message],
    }
    assert build_alert_sensors(home_with(tmp_path)) == []
