"""Tells somebody how a night ended, where the home says whom.

An alert that can't be delivered never changes how the night ended; it is said beside it.
"""

import datetime as dt
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Literal

from segmentation_pipeline.specification.alerts import Alerts
from segmentation_pipeline.specification.home import Home

STARTED_BY = "segmentation/started_by"
"""The run tag of a night that the command line runs, and tells of by itself."""


@dataclass(frozen=True)
class Alert:
    """What is told; `is_published` says whether readers got this night."""

    home: str
    as_of: dt.date
    run_id: str
    kind: Literal["failed", "warning"]
    is_published: bool
    messages: tuple[str, ...]

    def json(self) -> str:
        """Write it as a JSON object."""
        return json.dumps({**vars(self), "as_of": self.as_of.isoformat()}, ensure_ascii=False)


def alert_of_night(
    home: Home,
    as_of: dt.date,
    run_id: str,
    failures: tuple[str, ...],
    warnings: tuple[str, ...],
    *,
    is_published: bool,
) -> Alert | None:
    """Decide whether a night is worth telling; None where it isn't, or nobody wants to know."""
    wanted = home.customers.alerts
    if wanted is None or not (failures or (warnings and wanted.on_warnings)):
        return None
    kind: Literal["failed", "warning"] = "failed" if failures else "warning"
    messages = (*failures, *warnings)
    return Alert(home.customers.name, as_of, run_id, kind, is_published, messages)


def send(home: Home, alert: Alert, environment: Mapping[str, str]) -> list[str]:
    """Deliver an alert by all ways that the home names; returns what went wrong with it."""
    wanted = home.customers.alerts
    if wanted is None:
        return []
    faults = []
    if wanted.command is not None:
        faults += _run(wanted, wanted.command, home, alert)
    if wanted.webhook_variable is not None:
        faults += _post(wanted, environment.get(wanted.webhook_variable, ""), alert)
    return [f"the alert was not delivered: {fault}" for fault in faults]


def _run(wanted: Alerts, command: list[str], home: Home, alert: Alert) -> list[str]:
    try:
        done = subprocess.run(  # noqa: S603 - the home names it, as it names its files
            command,
            input=alert.json().encode(),
            cwd=home.path,
            timeout=wanted.timeout_seconds,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"{command[0]} was stopped after {wanted.timeout_seconds:g} s"]
    except OSError as error:
        return [f"{command[0]} can't be started ({error.strerror})"]
    return [f"{command[0]} ended with {done.returncode}"] if done.returncode else []


def _post(wanted: Alerts, url: str, alert: Alert) -> list[str]:
    """Post the alert; the URL, which may hold a secret, is never repeated."""
    variable = wanted.webhook_variable
    if not url.lower().startswith(("http://", "https://")):
        state = "is not set" if not url else "holds no http or https address"
        return [f"the environment variable {variable} {state}"]
    try:
        request = urllib.request.Request(  # noqa: S310
            url, alert.json().encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=wanted.timeout_seconds):  # noqa: S310
            return []
    except urllib.error.HTTPError as error:
        return [f"the webhook of {variable} answered {error.code}"]
    except (OSError, HTTPException, ValueError) as error:
        # An answer that is no HTTP, or an address that is none: the messages quote them.
        kind = type(getattr(error, "reason", error)).__name__
        return [f"the webhook of {variable} can't be reached ({kind})"]
