"""Running a command to its end, and what it took."""

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from load import family

# Between two looks at the memory. The kernel keeps each process's own most, so that only the last moment can be missed.
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Measured:
    """Seconds of wall clock and of CPU, and the most memory that its largest process had resident, in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(command, environment=None, may_end_with=None):
    """Fails where the command does; gives None where it ends with `may_end_with`."""
    start = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # wait4 would tell the most memory as well, but counts what this process had when it made that one.
    watched = Memory(child.pid)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    peak = watched.most()
    if child.returncode and child.returncode == may_end_with:
        return None
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}: {errors.decode(errors='replace')[-2000:]}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak)


class Memory:
    """Looks at a process and those that come from it until it is asked."""

    def __init__(self, pid):
        self._pid, self._most, self._end = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while True:
            for member in family([self._pid]):
                try:
                    status = Path(f"/proc/{member}/status").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if found := re.search(r"VmHWM:\s+(\d+)", status):
                    self._most = max(self._most, int(found[1]) / 1024)
            if self._end.wait(LOOK_SECONDS):
                return

    def most(self):
        self._end.set()
        self._thread.join()
        return self._most


def middle(runs):
    """The median of each figure."""
    return Measured(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds", "peak_mb")))
