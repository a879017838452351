"""Killed or failing at any system call on the way of the env file to its place: there is the old one or the new one."""

import signal

import pytest

from support.secrets_init import CONFIGURATION, DONE, FAILED, UNAVAILABLE, SecretsInit, good_secret
from support.system_calls import calls, inject, need_strace, record

# What has to have happened on the way; without these, the test would pass by looking at nothing.
MILESTONES = ["flock", "openat", "fchmod", "fchown", "write", "fsync", "read", "rename", "fsync", "close"]
OWNER = {"WARDPOST_ENV_OWNER": "daemon:daemon"}
STALE = ".env.00000000deadbeef.unfinished"


class Scene:
    """A folder with or without an old file and the remains of a killed run, and a new secret that is to be written."""

    def __init__(self, folder, *, old, stale):
        self.folder = folder
        self.program = SecretsInit(folder, **OWNER)
        self.run_folder = self.program.env_file.parent
        self.old, self.new = (good_secret() if old else None), good_secret(LONGER="x" * 3000)
        self._stale = stale
        self.log = folder / "calls"

    def set(self):
        for entry in self.run_folder.iterdir():
            entry.unlink()
        if self.old:
            self.program.provide(self.old)
            self.program.run().expect(DONE)
        if self._stale:
            (self.run_folder / STALE).write_text('APP_SECRET="half')
            (self.run_folder / STALE).chmod(0o600)
        self.program.provide(self.new)

    def calls(self):
        """Those of a run that goes well."""
        self.set()
        self.program.run(wrapper=record(self.log)).expect(DONE)
        assert self.program.written() == self.new
        found = calls(self.log, self.run_folder)
        names = iter(call.name for call in found)
        assert all(milestone in names for milestone in MILESTONES), [call.name for call in found]
        return found

    def state(self):
        """`old`, `new`, or an error about what is neither."""
        env_file = self.program.env_file
        for entry in self.run_folder.iterdir():
            assert entry.stat().st_mode & 0o077 == 0, f"{entry.name} can be read by others"
        if not env_file.exists():
            assert self.old is None, "the old file is gone, and there is no new one"
            return "old"
        written = self.program.written()
        assert written in (self.old, self.new), "the file is neither the old one nor the new one"
        return "new" if written == self.new else "old"

    def next_run_succeeds(self):
        self.program.run().expect(DONE)
        assert self.program.written() == self.new
        assert self.program.left_beside() == []
        assert self.program.env_file.stat().st_uid != 0


SCENES = {
    "the first file": {"old": False, "stale": False},
    "in the place of another": {"old": True, "stale": False},
    "after a killed run": {"old": True, "stale": True},
}


@pytest.fixture(params=SCENES)
def scene(request, tmp_path):
    need_strace()
    return Scene(tmp_path, **SCENES[request.param])


def test_killed_before_any_system_call_there_is_the_old_file_or_the_new_one(scene):
    planned = scene.calls()
    rename = [call.name for call in planned].index("rename")
    for index, call in enumerate(planned):
        scene.set()
        run = scene.program.run(wrapper=inject(scene.log, call, "signal=SIGKILL"))
        try:
            assert run.code == -signal.SIGKILL, f"it was not killed, but ended with {run.code}: {run.said}"
            got_to = calls(scene.log, scene.run_folder)
            assert [done.name for done in got_to] == [done.name for done in planned[: index + 1]], "it took another way"
            assert scene.state() == ("new" if index > rename else "old")
            scene.next_run_succeeds()
        except AssertionError as failed:
            raise AssertionError(f"killed before {call}: {failed}") from failed


# What no kernel ever fails for a file that is open; the libraries take it for a bug of ours, and panic.
NEVER_FAILS = ("close(", "LOCK_UN")
# What nobody may pass over in silence.
MUST_BE_TOLD = {"fchown", "fsync", "rename", "write"}


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EACCES"])
def test_a_system_call_that_fails_leaves_the_old_file_or_the_new_one_and_nothing_beside(scene, error):
    planned = scene.calls()
    renamed = [call.name for call in planned].index("rename")
    for index, call in enumerate(planned):
        # The log's own lines are written, too.
        is_log = call.name == "write" and str(scene.run_folder) not in call.text
        if is_log or any(word in f"{call.name}({call.text}" for word in NEVER_FAILS):
            continue
        scene.set()
        run = scene.program.run(wrapper=inject(scene.log, call, f"error={error}"))
        try:
            assert run.code in (DONE, FAILED, CONFIGURATION, UNAVAILABLE), f"it ended with {run.code}: {run.said}"
            state = scene.state()
            assert run.code != DONE or state == "new", f"it claims success, and did nothing:\n{run.said}"
            assert run.code == DONE or index > renamed or state == "old"
            if call.name in MUST_BE_TOLD:
                assert run.code != DONE, "it claims success"
                assert str(scene.run_folder) in run.said, f"it does not say where:\n{run.said}"
            left = [name for name in scene.program.left_beside() if name != STALE]
            assert left == [], "a temporary file stayed"
            scene.next_run_succeeds()
        except AssertionError as failed:
            raise AssertionError(f"{error} at {call}: {failed}") from failed
