"""Killing a program, or failing it, at one chosen system call: strace does both."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

# Those that can matter to a file on its way to its place; what allocates memory or waits is left out, since its number
# may differ from run to run.
FILE_CALLS = set(
    "open openat openat2 creat close flock getdents64 unlink unlinkat fstatfs fstat newfstatat statx fchmod fchmodat chmod"
    " fchown chown fchownat write pwrite64 writev ftruncate fallocate read fsync fdatasync rename renameat renameat2 link"
    " linkat lseek getrandom".split()
)


@dataclass(frozen=True)
class Call:
    """One call of a run: the `number`th of its name in its thread."""

    name: str
    number: int
    text: str

    def __str__(self):
        return f"{self.name} number {self.number}: {self.text[:120]}"


def need_strace():
    if not shutil.which("strace"):
        pytest.skip("strace is not here: dev/e2e/setup installs it")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("tracing system calls is not permitted here")


def record(log: Path, paths=()):
    """What to start a program under so that its calls are written down; `calls` reads them. With `paths`, only calls on
    these are seen and counted: the way to look at a program of several threads, whose numbers start again in each."""
    return ("strace", "-f", "-y", "-s", "64", "-o", log, *(word for path in paths for word in ("-P", path)))


def inject(log: Path, call: Call, what, paths=()):
    """The same, and something happens as `call` is about to be made: `signal=SIGKILL`, `error=EIO`."""
    return (*record(log, paths), "-e", f"inject={call.name}:{what}:when={call.number}")


def kill_at(log: Path, name, number, paths=()):
    """What to start a program under so that it is killed as one of its threads is about to make its `number`th call of this
    name (on `paths`)."""
    only = ("strace", "-f", "-y", "-o", log, "-e", f"trace={name}")
    return (*only, *(word for path in paths for word in ("-P", path)), "-e", f"inject={name}:signal=SIGKILL:when={number}")


def calls(log: Path, folder: Path):
    """The calls that can matter, from the first that names `folder` to the end of the program."""
    lines = [re.fullmatch(r"(\d+) +(\w+)\((.*)", line) for line in log.read_text(errors="replace").splitlines()]
    counts, found, begun = {}, [], None
    for line in filter(None, lines):
        thread, name, rest = line.groups()
        counts[thread, name] = counts.get((thread, name), 0) + 1
        if begun is None and str(folder) in rest and "execve" not in name:
            begun = thread
        if begun is not None and name in FILE_CALLS:
            assert thread == begun, "the file is written by several threads: counting calls is no longer enough"
            found.append(Call(name, counts[thread, name], rest))
    return found
