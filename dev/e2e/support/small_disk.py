"""A file system of its own in memory, small enough to fill, that a test may also make read-only."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(folder, kilobytes):
    """Mounts it on a new folder; skips the test where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is not permitted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily, since a failed test may have left a program behind that still looks into it.
        subprocess.run(["umount", "--lazy", folder], check=True)


def make_read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def fill(disk, *, leave_bytes=0):
    """Takes the room on the disk, except so much."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(b"\0" * (status.f_bavail * status.f_frsize - leave_bytes))
    return ballast
