"""Whatever the tests started must have ended when they have: a process that is left would go on for hours, take ports and
slow down whatever comes next.

An orphan goes to the nearest ancestor that asks for orphans, so what is left is found among this process's children."""

import ctypes
import os
import signal
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """From now on, processes whose parent has ended become children of this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def find():
    """The children of this process that still run: their numbers and command lines."""
    left = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                command = (status.parent / "cmdline").read_bytes()
                left[int(status.parent.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return left


def end(numbers):
    """Ends them at once."""
    for number in numbers:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
