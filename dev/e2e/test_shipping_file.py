"""A copy in a file counts once it is on the disk, and not before."""

import re
import subprocess

import pytest

from support.audit_chain import check_copy
from support.database_program import seed
from support.processes import binary
from support.shipper import Shipper, lines_of
from support.system_calls import need_strace, record

ROWS = 3000


@pytest.fixture
def shipper(tmp_path):
    need_strace()
    folder = tmp_path / "data"
    assert seed(folder / "wardpost.db", ROWS - 2) == ROWS
    (tmp_path / "copy").mkdir()
    return Shipper(folder / "wardpost.db", f"file://{tmp_path}/copy/audit.jsonl")


def run_under(shipper, wrapper):
    command = [*map(str, wrapper), binary("log-shipper"), "once"]
    return subprocess.run(command, env=shipper.environment(), capture_output=True, text=True, timeout=120)


def test_the_cursor_moves_only_past_what_was_synced(shipper, tmp_path):
    copy, log = tmp_path / "copy" / "audit.jsonl", tmp_path / "calls"
    watched = [copy, copy.parent, shipper.database.with_name("wardpost.db-wal")]
    done = run_under(shipper, record(log, watched))
    assert done.returncode == 0, done.stderr
    check_copy(lines_of(copy), ROWS)
    unsynced, unnamed, batches, moves = set(), True, 0, 0
    for line, call in re.findall(r"^(\d+ +(\w+)\(.*)$", log.read_text(errors="replace"), re.MULTILINE):
        if call in ("fsync", "fdatasync") and f"<{copy.parent}>" in line:
            unnamed = False
        elif call == "write" and f"<{copy}>" in line:
            unsynced.add(line[:80])
            batches += 1
        elif call == "fdatasync" and f"<{copy}>" in line:
            unsynced.clear()
        elif call == "pwrite64" and batches:
            moves += 1
            assert not unsynced and not unnamed, f"the cursor moves past what is not on the disk: {unsynced}"
    assert batches > 1 and moves > 1, log.read_text()[-3000:]


@pytest.mark.parametrize("call", ["fdatasync", "write"])
def test_a_disk_that_fails_keeps_the_cursor_where_it_was(call, shipper, tmp_path):
    copy = tmp_path / "copy" / "audit.jsonl"
    inject = ("-e", f"inject={call}:error=EIO")
    failed = run_under(shipper, (*record(tmp_path / "calls", [copy]), *inject))
    assert failed.returncode == 69 and str(copy) in failed.stderr, failed.stderr
    status = shipper.status()
    assert (status["cursor"], status["shipped"]) == (0, 0) and "os error 5" in status["last_error"]["error"]
    assert copy.read_bytes() == b"", "what was not acknowledged is taken back"
    shipper.run("once").expect(0)
    check_copy(lines_of(copy), ROWS)


def test_a_copy_on_top_of_the_database_is_refused(tmp_path):
    database = tmp_path / "wardpost.db"
    seed(database, 3)
    before = database.read_bytes()
    for setting in ("WARDPOST_AUDIT_SINK", "WARDPOST_APPLICATION_SINK"):
        settings = {"WARDPOST_AUDIT_SINK": f"file://{tmp_path}/a.jsonl"} | {setting: f"file://{database}"}
        shipper = Shipper(database, settings.pop("WARDPOST_AUDIT_SINK"), **settings)
        shipper.run("once").expect(78, setting, "another file than WARDPOST_DB")
    assert database.read_bytes() == before
