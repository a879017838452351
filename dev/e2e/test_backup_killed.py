"""A backup that is killed, that finds no room, or that is made while people write as fast as they can."""

import os
import random
import signal
import subprocess
import threading
import time

import pytest

from support.backups import BackupWorker
from support.database_program import KEY, copy_database, seed, select
from support.processes import binary, clean_environment
from support.small_disk import fill, small_disk
from support.system_calls import kill_at, need_strace

ROWS = 20_002
KILLS = 15
# In every body that the seed writes.
MARKER = b"Please read this before your round."


def no_clear_text(folder):
    for path in folder.rglob("*"):
        assert not path.is_file() or MARKER not in path.read_bytes(), f"{path} holds a message in plaintext"


def killed_at_random(worker, *arguments, longest):
    child = subprocess.Popen(
        [binary("backup-worker"), *map(str, arguments)],
        env=worker.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The moment is the point of the test, and no condition can be it.
    time.sleep(random.uniform(0.01, longest))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def test_killed_at_any_moment_nothing_half_made_counts(worker, tmp_path):
    start = time.monotonic()
    worker.now()
    usual = time.monotonic() - start
    whole = {backup["name"] for backup in worker.list()["backups"]}
    for _ in range(KILLS):
        killed_at_random(worker, "now", longest=usual)
        no_clear_text(tmp_path)
        listed = {backup["name"] for backup in worker.list()["backups"]}
        for name in listed - whole:
            # It came to its end before the kill: then it is whole.
            worker.run("verify", name).expect(0)
        whole = listed
    worker.now()
    worker.run("verify").expect(0)
    assert worker.left_over() == []
    left = {path.name for path in (tmp_path / "backups").iterdir() if path.name.endswith(".unfinished")}
    assert left == set()
    assert subprocess.run([binary("web"), "audit", "verify"], env=worker.environment(), capture_output=True).returncode == 0


def test_a_drill_and_a_restore_killed_at_any_moment_leave_the_database_as_it_was(worker, tmp_path):
    worker.now()
    start = time.monotonic()
    worker.run("verify").expect(0)
    usual = time.monotonic() - start
    for _ in range(KILLS // 2):
        killed_at_random(worker, "verify", longest=usual)
        killed_at_random(worker, "restore", "latest", "--to", worker.database, "--replace", longest=usual * 1.3)
        no_clear_text(tmp_path)
        verified = subprocess.run([binary("web"), "audit", "verify"], env=worker.environment(), capture_output=True, text=True)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    worker.run("restore", "latest", "--to", worker.database, "--replace").expect(0)
    worker.run("verify").expect(0)
    assert worker.left_over() == []
    assert not list(tmp_path.glob("*.restoring*"))


@pytest.fixture
def small(tmp_path):
    need_strace()
    (tmp_path / "backups").mkdir()
    seed(tmp_path / "wardpost.db", 300)
    return BackupWorker(tmp_path / "wardpost.db", f"file://{tmp_path}/backups")


def killed_at(worker, call, number, *arguments, paths=()):
    command = [*kill_at(worker.folder / "calls", call, number, paths), binary("backup-worker"), *arguments]
    run = subprocess.run([str(part) for part in command], env=worker.environment(), capture_output=True, text=True, timeout=60, start_new_session=True)
    assert run.returncode == -signal.SIGKILL, f"not killed at {call} number {number}, but ended with {run.returncode}: {run.stderr}"


def test_killed_between_the_steps_to_a_name_a_backup_counts_with_its_manifest_alone(small, tmp_path):
    folder = tmp_path / "backups"
    # The names of archive and manifest, and the folder that is brought to the disk after each.
    steps = [("rename", 1, ()), ("fsync", 1, (folder,)), ("rename", 2, ()), ("fsync", 2, (folder,))]
    counts = []
    for call, number, paths in steps:
        killed_at(small, call, number, "now", paths=paths)
        counts.append(len(small.list()["backups"]))
        small.another_second()
    assert counts == [0, 0, 0, 1]
    small.run("verify").expect(0)
    small.now()
    small.run("verify").expect(0)
    assert small.left_over() == [] and not list(folder.glob("*.unfinished"))


def test_killed_between_the_steps_to_its_place_a_restore_leaves_the_old_database_or_the_new(small, tmp_path):
    small.now()
    seed(small.database, 5)
    for call, number in [("linkat", 1), *(("rename", number) for number in range(1, 5))]:
        killed_at(small, call, number, "restore", "latest", "--to", small.database, "--replace")
        assert select(small.database, "SELECT count(*) FROM message") == [(305,)], f"killed at {call} number {number}"
    small.run("restore", "latest", "--to", small.database, "--replace").expect(0)
    assert select(small.database, "SELECT count(*) FROM message") == [(300,)]
    assert subprocess.run([binary("web"), "audit", "verify"], env=small.environment(), capture_output=True).returncode == 0
    assert not list(tmp_path.glob("*.restoring*"))


@pytest.mark.parametrize("where", ["work", "target"])
def test_a_full_disk_is_told_and_nothing_half_made_is_left(where, seeded, tmp_path):
    with small_disk(tmp_path / "disk", 60_000) as disk:
        work = disk / "work" if where == "work" else tmp_path / "work"
        target = disk / "backups" if where == "target" else tmp_path / "backups"
        work.mkdir(parents=True)
        target.mkdir(parents=True)
        worker = BackupWorker(copy_database(seeded, work / "wardpost.db"), f"file://{target}")
        ballast = fill(disk, leave_bytes=2_000_000)
        failed = worker.run("now")
        assert failed.code in (1, 69), failed.out + failed.err
        assert "full" in failed.err, failed.err
        assert worker.list()["backups"] == [] and list(target.iterdir()) == []
        assert worker.left_over() == []
        ballast.unlink()
        worker.now()
        worker.run("verify").expect(0)
        assert [action for action, _ in worker.events()] == ["BACKUP_FAILED", "BACKUP_CREATED", "BACKUP_VERIFIED"]


def test_backups_of_a_database_in_use_hold_everything_that_was_acknowledged_before(worker, tmp_path):
    """Seeds run one after the other, each acknowledging what it wrote by its end; every backup is restored and compared."""
    acknowledged, stop = [0], threading.Event()

    def write():
        while not stop.is_set():
            environment = clean_environment(DB_ENCRYPTION_KEY=KEY)
            command = [binary("seed"), "--db", worker.database, "--messages", "800"]
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
            acknowledged[0] += 800

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            before = acknowledged[0]
            manifest = worker.now()
            assert manifest["rows"]["message"] >= 20_000 + before
            restored = tmp_path / f"restored{number}.db"
            worker.run("restore", manifest["name"], "--to", restored).expect(0)
            compare_rows(worker.database, restored, manifest["audit_head"]["id"])
    finally:
        stop.set()
        writer.join()
    assert acknowledged[0] > 0, "nobody wrote meanwhile, so that this proves nothing"


# What is written once; `last_sign_in_at` is not.
FIXED = {
    "audit_log": "*",
    "message": "*",
    "message_body": "*",
    "person": "id, issuer, subject, email, name, created_at, disabled_at",
}


def compare_rows(live, restored, log_end):
    """Row for row: what was restored is the beginning of what is live, and a log that goes on with DATABASE_RESTORED and the
    ends of the sessions."""
    for table, columns in FIXED.items():
        ((newest,),) = select(restored, f"SELECT max(rowid) FROM {table}")
        if table == "audit_log":
            added = select(restored, "SELECT action FROM audit_log WHERE id > ? ORDER BY id", log_end)
            assert added[0] == ("DATABASE_RESTORED",) and set(added[1:]) == {("SESSION_EXPIRED",)}
            newest = log_end
        rows = [
            select(database, f"SELECT {columns} FROM {table} WHERE rowid <= ? ORDER BY rowid", newest)
            for database in (live, restored)
        ]
        assert len(rows[0]) > 0 and len(rows[0]) == len(rows[1]), table
        for one, other in zip(*rows):
            assert one == other, table
