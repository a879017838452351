"""Running a command to its end, and what it took."""

import os
import subprocess
import time
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Measured:
    """Seconds of wall clock and of CPU, and the most memory that was resident, in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(command, environment=None):
    """Fails where the command does."""
    start = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaints = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}: {complaints.decode(errors='replace')[-2000:]}")
    return Measured(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def middle(runs):
    """The median of each figure."""
    return Measured(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds", "peak_mb")))


def spread(values):
    """From the least to the most, as a share of the median."""
    return (max(values) - min(values)) / median(values)
