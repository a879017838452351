"""`web rekey`: another key for the database, whatever happens meanwhile."""

import os
import random
import signal
import subprocess
import time

import pytest

from support.audit_chain import check_copy
from support.database_program import KEY, copy_database, seed
from support.processes import binary
from support.rekeying import NEW_KEY, Rekeying, leave_a_log
from support.small_disk import fill, small_disk
from support.waiting import wait_until

KILLS = 20
MARKER = b"Please read this before your round."


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    path = tmp_path_factory.mktemp("seeded") / "wardpost.db"
    seed(path, 4_000)
    return path


@pytest.fixture
def rekeying(seeded, tmp_path):
    database = copy_database(seeded, tmp_path / "wardpost.db")
    database.chmod(0o600)
    return Rekeying(database)


def test_the_new_key_opens_everything_that_the_old_one_did_and_the_log_says_who_changed_it(rekeying):
    rows, messages = rekeying.rows(KEY)
    before = rekeying.run("rekey", "--status", "--json").expect(0).json
    assert before["opens_with"] == "DB_ENCRYPTION_KEY" and not before["unfinished"]
    done = rekeying.rekey().expect(0).json
    assert done["opens_with"] == "DB_ENCRYPTION_KEY_NEW" and done["row"] == len(rows) + 1
    assert rekeying.opens_with() == NEW_KEY
    after, kept = rekeying.rows(NEW_KEY)
    assert kept == messages and after[:-1] == rows and after[-1][1] == "DATABASE_REKEYED"
    assert rekeying.left_over() == []
    events = check_copy(rekeying.events(NEW_KEY), len(after))
    details = events[len(after)]["details"]
    assert details["new_key"] == done["new_key"] and details["old_key"] == done["key"]
    assert events[len(after)]["personal"]["operator"]
    assert rekeying.database.stat().st_mode & 0o777 == 0o600

    again = rekeying.rekey().expect(0).json
    assert again["opens_with"] == "DB_ENCRYPTION_KEY_NEW", "run again, it says that it is done"
    assert rekeying.rows(NEW_KEY)[0] == after
    rekeying.run("rekey", "--status", DB_ENCRYPTION_KEY=NEW_KEY, DB_ENCRYPTION_KEY_NEW="").expect(0, "opens with DB_ENCRYPTION_KEY ")


def test_the_owner_and_the_mode_of_the_file_stay(rekeying):
    os.chown(rekeying.database, 1, 1)
    rekeying.database.chmod(0o660)
    rekeying.rekey().expect(0)
    status = rekeying.database.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1, 1, 0o660)


@pytest.mark.parametrize("mode, capabilities, code", [(0o660, "-all", 0), (0o640, "-all,+dac_override", 1)])
def test_a_file_that_cannot_be_given_away_need_not_be_where_its_group_shares_it(rekeying, mode, capabilities, code):
    """A restored database is backup-worker's; `web rekey` runs as another user of the group, without capabilities."""
    if os.geteuid() != 0:
        pytest.skip("only root may give the file to somebody else first")
    os.chown(rekeying.database, 1, os.getegid())
    rekeying.database.chmod(mode)
    powerless = ["setpriv", f"--bounding-set={capabilities}", "--inh-caps=-all"]
    done = rekeying.rekey(through=powerless).expect(code)
    status = rekeying.database.stat()
    if code:
        assert "giving the owner and mode" in done.err
        assert (rekeying.opens_with(), status.st_uid) == (KEY, 1)
    else:
        assert rekeying.opens_with() == NEW_KEY
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (os.geteuid(), os.getegid(), mode)


def test_it_asks_or_needs_a_flag_and_two_keys(rekeying):
    rekeying.run("rekey").expect(64, "--yes")
    rekeying.run("rekey", "--yes", DB_ENCRYPTION_KEY_NEW="").expect(78, "DB_ENCRYPTION_KEY_NEW")
    rekeying.run("rekey", "--yes", DB_ENCRYPTION_KEY_NEW="abc").expect(78, "DB_ENCRYPTION_KEY_NEW", "64")
    rekeying.run("rekey", "--yes", DB_ENCRYPTION_KEY="0" * 64, DB_ENCRYPTION_KEY_NEW="1" * 64).expect(78, "neither")
    rekeying.run("rekey", "--status", DB_ENCRYPTION_KEY="0" * 64, DB_ENCRYPTION_KEY_NEW="1" * 64).expect(78, "neither")
    assert rekeying.run("rekey", "--yes", DB_ENCRYPTION_KEY=KEY, DB_ENCRYPTION_KEY_NEW=KEY).code == 1
    rekeying.run("rekey", "--yes", WARDPOST_DB=str(rekeying.folder / "none.db")).expect(78, "none.db")
    assert rekeying.opens_with() == KEY


RUNNING = {
    "web": {
        "WARDPOST_LISTEN": "127.0.0.1:0",
        "WARDPOST_PUBLIC_URL": "http://127.0.0.1:1",
        "WARDPOST_STAFF_DOMAINS": "clinic.example",
        "GOOGLE_CLIENT_ID": "nobody-asks",
        "GOOGLE_CLIENT_SECRET": "nobody-asks",
        "APP_SECRET": "x" * 32,
    },
    "log-shipper": {"WARDPOST_AUDIT_SINK": "file:///dev/null"},
    "backup-worker": {},
}


@pytest.mark.parametrize("program", RUNNING)
def test_it_refuses_while_a_program_has_the_database_open(program, rekeying, tmp_path):
    (tmp_path / "backups").mkdir()
    settings = {"WARDPOST_BACKUP_TARGET": f"file://{tmp_path}/backups"} | RUNNING[program]
    rekeying.name = program
    running = rekeying.start(**settings)
    rekeying.name = "web"
    try:
        # Its first commit or look makes the shared memory; it holds the database from then on.
        shm = rekeying.database.with_name("wardpost.db-shm")
        wait_until(f"{program} has opened the database", shm.exists, seconds=60)
        rekeying.rekey().expect(1, "stop web, log-shipper and backup-worker")
    finally:
        running.stop()
    assert rekeying.opens_with() == KEY
    rekeying.rekey().expect(0)
    assert rekeying.opens_with() == NEW_KEY


def test_two_at_once_end_with_one_change(rekeying):
    command = [binary("web"), "rekey", "--yes"]
    both = [subprocess.Popen(command, env=rekeying.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in "ab"]
    said = [(child.communicate(timeout=120)[0].decode(), child.returncode) for child in both]
    assert sorted(code for _, code in said) in ([0, 0], [0, 1]), said
    assert rekeying.left_over() == [] and rekeying.opens_with() == NEW_KEY
    actions = [action for _, action, _ in rekeying.rows(NEW_KEY)[0]]
    assert actions.count("DATABASE_REKEYED") == 1


def test_killed_at_any_moment_one_of_the_keys_opens_it_and_nothing_is_lost(seeded, rekeying):
    start = time.monotonic()
    rekeying.rekey().expect(0)
    usual = time.monotonic() - start
    rows, messages = Rekeying(seeded).rows(KEY)
    found = []
    for _ in range(KILLS):
        copy_database(seeded, rekeying.database)
        leave_a_log(rekeying.database)
        child = subprocess.Popen(
            [binary("web"), "rekey", "--yes"], env=rekeying.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # The moment is the point of the test, and no condition can be it.
        time.sleep(random.uniform(0.01, usual * 1.05))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        key = rekeying.opens_with()
        found.append(key)
        after, kept = rekeying.rows(key)
        assert after[: len(rows)] == rows and kept == messages
        for path in rekeying.folder.iterdir():
            assert MARKER not in path.read_bytes(), f"{path} holds a message in plaintext"
        rekeying.rekey().expect(0)
        assert rekeying.left_over() == [] and rekeying.opens_with() == NEW_KEY
        assert len(rekeying.rows(NEW_KEY)[0]) == len(rows) + 1
    assert KEY in found, "it was never killed in time, so that this proves nothing"


def test_a_full_disk_changes_nothing_and_leaves_nothing(seeded, tmp_path):
    size = seeded.stat().st_size
    with small_disk(tmp_path / "disk", 2 * size // 1024 + 2_000) as disk:
        rekeying = Rekeying(copy_database(seeded, disk / "wardpost.db"))
        leave_a_log(rekeying.database)
        # What stays beside the file until it is opened, its shared memory above all, makes room of its own.
        for free in (0, 8_192, size // 2, size - 65_536):
            ballast = fill(disk, leave_bytes=free)
            failed = rekeying.rekey().expect(1)
            # Where there is no room even for the shared memory, opening it fails already.
            assert "no room for the copy" in failed.err or (free < 65_536 and "disk" in failed.err), failed.err
            assert [name for name in rekeying.left_over() if "rekeying" in name] == []
            ballast.unlink()
            assert rekeying.opens_with() == KEY
        rekeying.rekey().expect(0)
        assert rekeying.left_over() == [] and rekeying.opens_with() == NEW_KEY
