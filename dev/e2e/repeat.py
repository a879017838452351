#!/usr/bin/env python3
"""Runs each test file many times beside a process that keeps one core busy, to find tests that fail once in a while:

    .venv/bin/python dev/e2e/repeat.py --times 20 dev/e2e/test_idle.py dev/e2e/test_sessions.py

Prints a line for each file: how often it passed, the seconds a run took, and which tests failed how often; a line for each run goes
to standard error. What a run that failed printed is in target/repeat/. Without files it takes all of them. The same for the tests
in Rust: `cargo nextest run --workspace --stress-count 20`."""

import argparse
import collections
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRINTED = ROOT / "target" / "repeat"
sys.path.insert(0, str(ROOT / "dev" / "e2e"))

from support.workers import group  # noqa: E402


def run(files, printed):
    """Runs the tests of some files once; gives the seconds and the names of those that failed, and keeps what such a run printed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        start = time.monotonic()
        # A folder of its own: a pytest that starts closes the one that all share to other users, which a test has opened.
        folders = f"--basetemp={folder}/pytest"
        command = [ROOT / ".venv/bin/python", "-m", "pytest", "-q", f"--junitxml={report}", folders, *files]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        seconds = time.monotonic() - start
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else []
        failed = {f"{case.get('name')}" for case in cases if case.find("failure") is not None or case.find("error") is not None}
    if done.returncode:
        printed.write_text(done.stdout + done.stderr)
    # A run that ends otherwise, such as by a process that is left, counts as well.
    return seconds, failed or ({done.stdout[-500:]} if done.returncode else set())


def repeat(name, files, times):
    """Runs a group of files again and again; says what came of it, and gives whether all runs passed."""
    seconds, failures = [], collections.Counter()
    passed = 0
    for number in range(1, times + 1):
        took, failed = run(files, PRINTED / f"{name}-{number}.txt")
        seconds.append(took)
        failures.update(failed)
        passed += not failed
        print(f"{name} {number} of {times}: {took:.1f} s, {', '.join(sorted(failed)) or 'passed'}", file=sys.stderr, flush=True)
    said = "".join(f"\n    {count} of {times}: {test}" for test, count in failures.items())
    print(f"{passed:3} of {times} passed  {min(seconds):6.1f} to {max(seconds):6.1f} s  {name}{said}", flush=True)
    return passed == times


@contextlib.contextmanager
def busy_core():
    """One core that has no time for the tests."""
    # Being asked to stop is an error here, so that the process is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=20, help="how often (default: 20)")
    options.add_argument("--at-once", type=int, default=1, help="how many files at the same time (default: 1)")
    options.add_argument("files", nargs="*", type=Path)
    given = options.parse_args()
    groups = collections.defaultdict(list)
    for file in given.files or sorted((ROOT / "dev" / "e2e").glob("test_*.py")):
        # The files that share a machine or an engine are one run, or each would start its own.
        groups[group(file.name)].append(file)
    PRINTED.mkdir(parents=True, exist_ok=True)
    with busy_core(), ThreadPoolExecutor(given.at_once) as pool:
        passed = list(pool.map(lambda item: repeat(*item, given.times), groups.items()))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
