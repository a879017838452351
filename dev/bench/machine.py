"""The machine that the figures are of: without it they say nothing."""

import os
import platform
import re
import subprocess
from pathlib import Path

from tools import TOOLS, tool_environment, tool


def describe(folder: Path):
    """Names and values, for people and for the JSON file."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    load = Path("/proc/loadavg").read_text().split()[0]
    return {
        "CPU": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{memory / 1e6:.0f} GB",
        "kernel": platform.release(),
        "system": _first("PRETTY_NAME=(.*)", Path("/etc/os-release").read_text()).strip('"'),
        "disk": _said("findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(folder)),
        "load at the start": load,
        "revision": _said("git", "rev-parse", "--short=12", "HEAD"),
        "rustc": _said("rustc", "--version"),
        "wrk": _first(r"wrk (\S+)", _said(tool("usr/bin/wrk"), "-v", status=1)),
        "nginx": _first(r"nginx/(\S+)", _said(tool("usr/sbin/nginx"), "-v")),
        "PHP": _first(r"PHP (\S+)", _said(tool("usr/sbin/php-fpm8.2"), "-v")),
        "sqlite3": _said("sqlite3", "--version").split()[0],
        "Litestream": _said(TOOLS / "venv/bin/litestream", "version"),
        "watchtower": _package("watchtower"),
    }


def _said(*command, status=0):
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=tool_environment())
    if ended.returncode != status:
        raise SystemExit(f"`{' '.join(map(str, command))}` ended with {ended.returncode}: {ended.stderr.strip()}")
    return (ended.stdout.strip() or ended.stderr.strip()).splitlines()[0]


def _first(pattern, text):
    found = re.search(pattern, text)
    return found[1] if found else "?"


def _package(name):
    from importlib.metadata import version

    return version(name)
