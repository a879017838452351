#!/usr/bin/env python3
"""Runs make targets one after the other until one fails, and tells how long each took and which tests were the slowest:
`dev/e2e/run_parts.py setup+build unit e2e` runs setup and build at the same time. Stands on Python's own library, since it runs before
`make setup`."""

import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What cargo-nextest and pytest write: see .config/nextest.toml and the Makefile.
REPORTS = [ROOT / "target/nextest/default/junit.xml", ROOT / "target/e2e-report.xml"]
SLOWEST = 10


def run(part):
    """Runs a target, or several at once; gives those that failed, and the seconds it took."""
    start = time.monotonic()
    running = {target: subprocess.Popen(["make", "--no-print-directory", target], cwd=ROOT) for target in part.split("+")}
    failed = [target for target, process in running.items() if process.wait() != 0]
    return failed, time.monotonic() - start


def slowest(reports):
    """The tests that took longest: seconds and names."""
    cases = [case for report in reports if report.exists() for case in ElementTree.parse(report).iter("testcase")]
    timed = [(float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}") for case in cases]
    return sorted(timed, reverse=True)[:SLOWEST]


def clock(seconds):
    return f"{int(seconds) // 60:3}:{int(seconds) % 60:02}"


def main(parts):
    for report in REPORTS:
        report.unlink(missing_ok=True)
    took, failed = [], []
    for part in parts:
        failed, seconds = run(part)
        took.append((part, seconds))
        if failed:
            break
    print("\nThe ten slowest tests:")
    for seconds, name in slowest(REPORTS):
        print(f"{clock(seconds)}  {name}")
    print("\nHow long each part took (min:s):")
    for part, seconds in took:
        print(f"{clock(seconds)}  {part}")
    print(f"{clock(sum(seconds for _, seconds in took))}  in all", flush=True)
    for target in failed:
        print(f"make {target} FAILED", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
