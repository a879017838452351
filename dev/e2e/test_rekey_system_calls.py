"""`web rekey` killed before, or failing at, any system call that matters: one of the two keys opens the database, whole."""

import signal
import subprocess

import pytest

from support.database_program import KEY, seed
from support.processes import binary
from support.rekeying import NEW_KEY, Rekeying, leave_a_log
from support.system_calls import calls, inject, need_strace, record

MILESTONES = ["unlink", "openat", "chmod", "pwrite64", "fsync", "rename", "pwrite64", "fdatasync", "fsync"]
# A call of these follows the other, hundreds of them alike; one in so many is enough.
ALIKE = {"newfstatat": 16, "pwrite64": 8}
# What a disk can fail; SQLite asks the rest only for advice, and goes on.
CAN_FAIL = {"openat", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate", "chmod"}


class Scene:
    """A database of a killed program, with a log, which is made again for each run."""

    def __init__(self, folder):
        self.database = folder / "data" / "wardpost.db"
        seed(self.database, 3)
        self._kept = leave_a_log(self.database)
        self.rekeying = Rekeying(self.database)
        self.rows, self.messages = self.rekeying.rows(KEY)
        self.log = folder / "calls"
        ends = ["", "-wal", "-shm", "-journal"]
        names = [f"wardpost.db{part}{end}" for part in ("", ".rekeying") for end in ends]
        self.paths = [self.database.parent, *(self.database.with_name(name) for name in names)]

    def set(self):
        for path in self.database.parent.iterdir():
            path.unlink()
        for end, content in self._kept.items():
            self.database.with_name(self.database.name + end).write_bytes(content)

    def run(self, wrapper):
        return subprocess.run(
            [*map(str, wrapper), binary("web"), "rekey", "--yes"],
            env=self.rekeying.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def calls(self):
        """Those of a run that goes well, from the first that changes something; of many alike, some."""
        self.set()
        done = self.run(record(self.log, self.paths))
        assert done.returncode == 0, done.stderr
        found = calls(self.log, self.database.parent)
        names = iter(call.name for call in found)
        assert all(milestone in names for milestone in MILESTONES), [call.name for call in found]
        return [call for call in found if call.number % ALIKE.get(call.name, 1) == 0]

    def check(self):
        """Gives the key that opens it."""
        key = self.rekeying.opens_with()
        rows, messages = self.rekeying.rows(key)
        added = [action for _, action, _ in rows[len(self.rows) :]]
        assert rows[: len(self.rows)] == self.rows and messages == self.messages
        assert added == ([] if key == KEY else ["DATABASE_REKEYED"])
        return key

    def next_run_succeeds(self):
        self.rekeying.rekey().expect(0)
        assert [name for name in self.rekeying.left_over() if "rekeying" in name] == []
        assert self.check() == NEW_KEY


@pytest.fixture
def scene(tmp_path):
    need_strace()
    return Scene(tmp_path)


def test_killed_before_any_system_call_one_of_the_keys_opens_it(scene):
    planned = scene.calls()
    rename = [call.name for call in planned].index("rename")
    for index, call in enumerate(planned):
        scene.set()
        run = scene.run(inject(scene.log, call, "signal=SIGKILL", scene.paths))
        try:
            assert run.returncode == -signal.SIGKILL, f"it was not killed, but ended with {run.returncode}: {run.stderr}"
            got_to = [made for made in calls(scene.log, scene.database.parent) if made.name == call.name]
            assert len(got_to) == call.number, "it took another way"
            assert scene.check() == (NEW_KEY if index > rename else KEY)
            scene.next_run_succeeds()
        except AssertionError as failed:
            raise AssertionError(f"killed before {call}: {failed}") from failed


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_system_call_that_fails_leaves_it_under_the_key_that_is_told(scene, error):
    planned = scene.calls()
    rename = [call.name for call in planned].index("rename")
    for index, call in enumerate(planned):
        if call.name not in CAN_FAIL:
            continue
        scene.set()
        run = scene.run(inject(scene.log, call, f"error={error}", scene.paths))
        try:
            key = scene.check()
            assert run.returncode in (0, 1), f"it ended with {run.returncode}: {run.stderr}"
            assert run.returncode != 0 or key == NEW_KEY, "it claims success, and did nothing"
            assert run.returncode == 0 or run.stderr.startswith("web: "), run.stderr
            assert key == (NEW_KEY if run.returncode == 0 or index > rename else KEY)
            if key == KEY:
                left = [name for name in scene.rekeying.left_over() if "rekeying" in name]
                assert left == [] or call.name == "unlink", left
            scene.next_run_succeeds()
        except AssertionError as failed:
            raise AssertionError(f"{error} at {call}: {failed}") from failed
