"""Runs a command and measures it from outside: seconds, processor seconds, and peak memory.

Memory is the resident set of the process and all of its descendants, added, looked at fifty times a
second; what the kernel kept as the maximum of the process itself counts where it is larger. Linux.
"""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_STEP = re.compile(r"^\[\d+/\d+\] (?P<name>\S+)")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS = 0.02
BEFORE_FIRST_STEP = "start"


@dataclass
class Step:
    """What was measured between a progress line `[3/39] name` and the next one."""

    name: str
    seconds: float = 0.0
    processor_seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Measured:
    """A finished command; `peak_mb` is in units of 10^6 bytes."""

    seconds: float
    processor_seconds: float
    peak_mb: float
    output: str
    steps: list[Step] = field(default_factory=list)


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end; raises RuntimeError with its last lines where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    steps = [Step(BEFORE_FIRST_STEP)]
    output: list[str] = []
    progress: list[str] = []
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the command's output is piped")
    readers = [
        threading.Thread(target=_read, args=(process.stdout, output, None)),
        threading.Thread(target=_read, args=(process.stderr, progress, steps)),
    ]
    for reader in readers:
        reader.start()
    peak = 0.0
    seen = (time.perf_counter(), 0.0)
    while True:
        now = (time.perf_counter(), processor_seconds(process.pid))
        memory = _tree_mb(process.pid)
        peak = max(peak, memory)
        current = steps[-1]
        current.seconds += now[0] - seen[0]
        current.processor_seconds += max(now[1] - seen[1], 0.0)
        current.peak_mb = max(current.peak_mb, memory)
        seen = (now[0], max(now[1], seen[1]))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - began
    for reader in readers:
        reader.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last = "".join([*output, *progress][-20:])
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{last}")
    return Measured(
        seconds=seconds,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=max(peak, usage.ru_maxrss * 1024 / 1e6),
        output="".join(output),
        steps=steps,
    )


def _read(stream: Iterable[str], lines: list[str], steps: list[Step] | None) -> None:
    for line in stream:
        lines.append(line)
        found = _STEP.match(line)
        if found and steps is not None:
            steps.append(Step(found["name"]))


def _tree_mb(root: int) -> float:
    total = 0.0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while it was looked at
    return total


def processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS
