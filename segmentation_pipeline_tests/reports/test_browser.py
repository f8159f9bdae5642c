"""The report in a real browser: no error, no request, nothing wider than the screen, printable.

The browser is driven through DevTools over a pipe, which needs nothing but the browser.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

from segmentation_pipeline.reports import make_report
from segmentation_pipeline.specification.home import load_home

BROWSER = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
# DevTools reads from file descriptor 3 and writes to 4.
PASS_ON = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""
SECONDS = 120
# What reaches beyond the screen, unless it scrolls within a box of its own.
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(one =>
    one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !one.closest('.scroll') && !one.closest('svg') && !one.closest('.skip'))
    .map(one => one.outerHTML.slice(0, 120))"""
SMALLEST_LETTERS = """Math.min(...[...document.querySelectorAll('figure svg text')]
    .filter(one => one.getBoundingClientRect().height > 0)
    .map(one => [parseFloat(getComputedStyle(one).fontSize), one.getScreenCTM()])
    .map(([size, matrix]) => size * Math.hypot(matrix.c, matrix.d)))"""


class Browser:
    """A headless browser and what it told."""

    def __init__(self, profile):
        theirs, self._to = os.pipe()
        self._from, back = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", PASS_ON, str(theirs), str(back), BROWSER, *FLAGS,
             f"--user-data-dir={profile}"],
            pass_fds=(theirs, back), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(back)
        self._rest = b""
        self._number = 0
        self._session = None
        self.events = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Send a command and wait for its answer; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def wait_for(self, method):
        """Wait for an event."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression):
        """Give the value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path, width):
        """Show a file on a screen of a width."""
        self.events.clear()
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip
        self.ask("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")

    def told(self, *methods):
        """Give the parameters of the events of some methods."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def close(self):
        """End the browser; it may be gone before it answers."""
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self.ask("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def _next(self):
        end = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._from, 1 << 20)
            assert part, "the browser is gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def report(published_home):
    return make_report(load_home(published_home))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_shows_without_an_error_a_request_or_a_scrollbar(browser, report, width):
    browser.open(report, width)

    assert browser.evaluate("document.querySelectorAll('figure').length") >= 6
    assert browser.told("Log.entryAdded", "Runtime.consoleAPICalled") == []
    assert browser.told("Runtime.exceptionThrown", "Network.loadingFailed") == []
    requested = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    # Points of a map are an image within the page, which counts as a request to nowhere.
    assert {url for url in requested if not url.startswith("data:")} == {report.as_uri()}
    assert browser.evaluate(TOO_WIDE) == []
    assert browser.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 1280])
def test_letters_in_pictures_can_be_read(browser, report, width):
    browser.open(report, width)

    assert browser.evaluate(SMALLEST_LETTERS) > 8.5


def test_it_stays_as_wide_as_the_screen_when_tables_are_unfolded(browser, report):
    browser.open(report, 360)

    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")

    assert browser.evaluate(TOO_WIDE) == []
    assert browser.evaluate("document.documentElement.scrollWidth") == 360


def test_a_script_in_it_would_not_run(browser, report, tmp_path):
    altered = tmp_path / "report.html"
    page = report.read_text(encoding="utf-8")
    altered.write_text(
        page.replace("</body>", "<script>document.title = 'ran'</script></body>"), encoding="utf-8"
    )

    browser.open(altered, 1280)

    assert "Hospital staff" in browser.evaluate("document.title")
    # The check of the network and the console is one that can fail.
    assert browser.told("Log.entryAdded")


def test_a_picture_from_elsewhere_and_what_is_too_wide_would_be_seen(browser, report, tmp_path):
    altered = tmp_path / "report.html"
    page = report.read_text(encoding="utf-8")
    altered.write_text(
        page.replace(
            "</main>",
            '<img src="http://127.0.0.1:9/x.png"><p style="width:2000px">wide</p></main>',
        ),
        encoding="utf-8",
    )

    browser.open(altered, 360)

    assert browser.told("Log.entryAdded")
    assert browser.evaluate(TOO_WIDE) != []


def test_it_prints(browser, report):
    browser.open(report, 1280)

    printed = base64.b64decode(browser.ask("Page.printToPDF", printBackground=False)["data"])

    assert printed.startswith(b"%PDF")
    assert 4 <= printed.count(b"/Type /Page\n") <= 40
