"""Child processes that tell on standard output, in one JSON line, when they serve."""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# The benches measure the release build.
BINARIES = ROOT / "target" / os.environ.get("E2E_PROFILE", "debug")
# A debug build under load, on two cores.
START_SECONDS = 90
STOP_SECONDS = 30
# Before a command: it is asked to end when the tests are killed that started it.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
# Every `Process` that was started and not yet stopped.
RUNNING = set()


class Process:
    """A running program, its output kept in a file so that it never blocks on a full pipe. It finds the socket
    `handed_over` as its file descriptor 3."""

    def __init__(self, command, *, log: Path, env=None, cwd=ROOT, handed_over=None):
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = log.open("wb")
        self._command = [str(part) for part in command]
        self._child = subprocess.Popen(
            [*ENDS_WITH_US, *self._command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            # The kernel shares processors out by session (autogroup): backup-worker, which leaves them to everybody in its
            # own, still gets its part beside other tests.
            start_new_session=True,
            **({"preexec_fn": lambda: os.dup2(handed_over.fileno(), 3), "close_fds": False} if handed_over else {}),
        )
        RUNNING.add(self)
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with self._child.stdout as output:
            for line in output:
                self._lines.put(line.decode(errors="replace"))
        self._lines.put(None)

    def announced(self):
        """The first line of its standard output that is JSON."""
        try:
            while (line := self._lines.get(timeout=START_SECONDS)) is not None:
                if line.startswith("{"):
                    return json.loads(line)
            outcome = "ended before it served"
        except queue.Empty:
            outcome = f"did not serve within {START_SECONDS} s"
        self.stop()
        raise AssertionError(f"`{self}` {outcome}; it said:\n{self.log_text()[-4000:]}")

    def __str__(self):
        return " ".join(self._command)

    @property
    def pid(self):
        return self._child.pid

    def running(self):
        return self._child.poll() is None

    def log_text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """Asks it to end, and gives its exit code."""
        RUNNING.discard(self)
        if self.running():
            self._child.terminate()
        try:
            return self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise AssertionError(f"{self._command[0]} did not end {STOP_SECONDS} s after SIGTERM") from None
        finally:
            self._child.wait()
            self._log_file.close()


def stop_running(kept=frozenset()):
    """Stops whatever runs, but for `kept`; fails naming what should have been stopped before."""
    left = sorted(map(str, RUNNING - kept))
    for process in RUNNING - kept:
        process.stop()
    assert not left, "a test or a fixture left running: " + "; ".join(left)


def binary(name):
    """A program that was built."""
    path = BINARIES / name
    assert path.exists(), f"{path} is not built: `make e2e` builds it"
    return path


def clean_environment(**settings):
    """This environment without any Wardpost setting that happens to be in it."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("WARDPOST_", "GOOGLE_"))}
    return keep | settings
