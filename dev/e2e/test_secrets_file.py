"""The env file: private, of the right owner, whole or not there, and in memory or it says so."""

import grp
import os
import pwd
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.secrets_init import CONFIGURATION, DONE, FAILED, UNAVAILABLE, SecretsInit, good_secret
from support.small_disk import fill, make_read_only, small_disk

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
OTHER_USER, OTHER_GROUP = "daemon", "nogroup"


@pytest.fixture
def program(tmp_path):
    program = SecretsInit(tmp_path)
    program.secret = good_secret()
    program.provide(program.secret)
    return program


@pytest.fixture
def in_memory(tmp_path):
    """The program with its env file on a tmpfs of 64 KB."""
    with small_disk(tmp_path / "disk", kilobytes=64) as disk:
        program = SecretsInit(tmp_path, WARDPOST_ENV_FILE=str(disk / "env"))
        program.env_file = disk / "env"
        program.secret = good_secret()
        program.provide(program.secret)
        yield program


def test_no_more_is_allowed_than_600_whatever_the_umask(program):
    previous = os.umask(0)
    try:
        program.run().expect(DONE)
    finally:
        os.umask(previous)
    assert program.env_file.stat().st_mode & 0o7777 == 0o600


@AS_ROOT
def test_the_file_belongs_to_whom_it_shall(program):
    program.run(WARDPOST_ENV_OWNER=f"{OTHER_USER}:{OTHER_GROUP}").expect(DONE)
    status = program.env_file.stat()
    assert (status.st_uid, status.st_gid) == (pwd.getpwnam(OTHER_USER).pw_uid, grp.getgrnam(OTHER_GROUP).gr_gid)
    assert status.st_mode & 0o7777 == 0o600
    assert program.written() == program.secret


@AS_ROOT
def test_a_new_owner_is_a_change_though_the_secret_is_none(program):
    program.run().expect(DONE)
    program.run(WARDPOST_ENV_OWNER=f"{OTHER_USER}:{OTHER_GROUP}").expect(DONE)
    assert program.env_file.stat().st_uid == pwd.getpwnam(OTHER_USER).pw_uid
    program.run(WARDPOST_ENV_OWNER=f"{OTHER_USER}:{OTHER_GROUP}").expect(DONE, "unchanged")


@AS_ROOT
def test_a_user_who_is_not_root_cannot_give_it_away_and_is_told(program):
    folder = program.env_file.parent
    user = pwd.getpwnam(OTHER_USER)
    for path in (program.source, folder):
        os.chown(path, user.pw_uid, user.pw_gid)
    # The user who runs it must get there: pytest's folders are root's alone.
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(0o711)
    as_other = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    program.run(wrapper=as_other, WARDPOST_ENV_OWNER="root:root").expect(CONFIGURATION, "WARDPOST_ENV_OWNER", "root")
    assert not program.env_file.exists()
    assert program.left_beside() == []
    program.run(wrapper=as_other).expect(DONE)


@pytest.mark.parametrize(
    ("owner", "named"),
    [("no-such-user:nogroup", "no-such-user"), ("root:no-such-group", "no-such-group"), ("root", "root"), ("0:0", "0")],
)
def test_an_owner_who_does_not_exist_is_named(program, owner, named):
    program.run(WARDPOST_ENV_OWNER=owner).expect(CONFIGURATION, "WARDPOST_ENV_OWNER", named)
    assert not program.env_file.exists()


def test_a_folder_on_a_disk_is_told_and_one_in_memory_is_not(program, in_memory):
    if os.statvfs(program.env_file.parent).f_fsid == os.statvfs(in_memory.env_file.parent).f_fsid:
        pytest.skip("the tests' own folder is in memory here")
    program.run().expect(DONE, "tmpfs", str(program.env_file.parent))
    assert "tmpfs" not in in_memory.run().expect(DONE).said


@pytest.mark.parametrize("leave_bytes", [0, 4096], ids=["no room at all", "one page"])
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_beside(in_memory, leave_bytes):
    in_memory.run().expect(DONE)
    old = in_memory.env_file.stat()
    # More than a page, so that a file that can be made cannot be filled.
    bigger = good_secret(EXTRA_KEY="x" * 12_000)
    in_memory.provide(bigger)
    ballast = fill(in_memory.env_file.parent, leave_bytes=leave_bytes)
    in_memory.run().expect(FAILED, str(in_memory.env_file.parent), "Make room")
    assert in_memory.env_file.stat().st_mtime_ns == old.st_mtime_ns
    assert in_memory.written() == in_memory.secret
    assert in_memory.left_beside() == ["ballast"]
    ballast.unlink()
    in_memory.run().expect(DONE)
    assert in_memory.written() == bigger


def test_a_read_only_folder_keeps_the_old_file_and_is_named(in_memory):
    in_memory.run().expect(DONE)
    make_read_only(in_memory.env_file.parent)
    in_memory.run().expect(DONE, "unchanged")
    in_memory.provide(good_secret())
    in_memory.run("--check").expect(FAILED)
    in_memory.run().expect(CONFIGURATION, str(in_memory.env_file.parent), "Read-only")
    assert in_memory.written() == in_memory.secret


def test_a_folder_that_is_not_there_is_named(program):
    missing = program.env_file.parent / "missing" / "env"
    program.run(WARDPOST_ENV_FILE=str(missing)).expect(CONFIGURATION, str(missing.parent), "must exist")


def test_what_killed_runs_have_left_is_removed_and_nothing_else_is(program):
    folder = program.env_file.parent
    stale = folder / ".env.00000000deadbeef.unfinished"
    stale.touch(mode=0o600)
    stale.write_text('APP_SECRET="half')
    others = {name: folder / name for name in ("other.env", ".env.swp", ".envoy.00000000deadbeef.unfinished", "env.bak")}
    for other in others.values():
        other.write_text("not ours")
    program.run().expect(DONE)
    assert program.left_beside() == sorted(others)
    # Also when there is nothing to write.
    stale.touch(mode=0o600)
    program.run().expect(DONE, "unchanged")
    assert program.left_beside() == sorted(others)


def test_an_env_file_that_others_may_read_is_refused_by_the_reader_and_replaced_by_the_writer(program):
    program.run().expect(DONE)
    program.env_file.chmod(0o644)
    program.run("--check").expect(FAILED, str(program.env_file), "644")
    program.run().expect(DONE)
    assert program.env_file.stat().st_mode & 0o7777 == 0o600


def test_a_damaged_env_file_is_replaced_and_not_quoted(program):
    program.run().expect(DONE)
    text = program.env_file.read_text()
    program.env_file.write_text(text[: len(text) - 20])
    program.run("--check").expect(FAILED)
    program.run().expect(DONE)
    assert program.written() == program.secret


def test_a_symbolic_link_in_the_place_of_the_file_is_replaced_and_not_followed(program, tmp_path):
    victim = tmp_path / "victim"
    victim.touch(mode=0o600)
    victim.write_text("untouched")
    program.env_file.symlink_to(victim)
    program.run().expect(DONE)
    assert victim.read_text() == "untouched"
    assert not program.env_file.is_symlink()
    assert program.written() == program.secret


def test_a_folder_in_the_place_of_the_file_is_told_and_left_alone(program):
    program.env_file.mkdir()
    run = program.run()
    assert run.code in (FAILED, CONFIGURATION), run.said
    assert str(program.env_file) in run.said
    assert program.left_beside() == []


def test_runs_at_the_same_time_leave_one_whole_file_and_nothing_beside(program):
    children = [program.start() for _ in range(12)]
    with ThreadPoolExecutor(len(children)) as pool:
        runs = list(pool.map(program.finish, children))
    assert {run.code for run in runs} <= {DONE, UNAVAILABLE}, [run.said for run in runs]
    assert DONE in {run.code for run in runs}
    assert program.written() == program.secret
    assert program.left_beside() == []
