"""100,000 rows: kill -9 at random moments while they are shipped, and how much memory they take."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

from support.audit_chain import check_copy
from support.database_program import copy_database
from support.fake_cloudwatch import FakeCloudWatch
from support.processes import binary
from support.shipper import Shipper, lines_of
from support.waiting import wait_until

ROWS = 100_002
KILLS = 12
# Of a debug build, which is larger than a release (30 MB in docs/PERFORMANCE.md); the lines of all rows together would not fit.
MOST_MEGABYTES = 75


def killed_again_and_again(shipper):
    """Runs it and kills it at a random moment, a few times over; then lets it finish. Every other time the moment is counted
    from where it has shipped something, however long that takes here."""
    seen = [0]
    for number in range(KILLS):
        child = subprocess.Popen(
            [binary("log-shipper"), "once"], env=shipper.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if number % 2:
            wait_until("it ships", lambda: child.poll() is not None or shipper.status()["cursor"] > seen[-1], seconds=60)
        # The moment is the point of the test, and no condition can be it.
        time.sleep(random.uniform(0, 0.1 if number % 2 else 0.4))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        seen.append(shipper.status()["cursor"])
    assert seen == sorted(seen), "the cursor went back"
    assert len(set(seen)) > 3, f"it was killed too early to get anywhere: {seen}"
    shipper.run("once").expect(0)
    assert shipper.status()["cursor"] == ROWS


def test_into_a_file(seeded, tmp_path):
    shipper = Shipper(copy_database(seeded, tmp_path / "wardpost.db"), f"file://{tmp_path}/audit.jsonl?rotate_mb=9")
    killed_again_and_again(shipper)
    check_copy(lines_of(tmp_path / "audit.jsonl"), ROWS)
    shipper.run("verify").expect(0, f"{ROWS} rows compared")


def test_over_the_network(seeded, tmp_path):
    server = FakeCloudWatch()
    try:
        database = copy_database(seeded, tmp_path / "wardpost.db")
        shipper = Shipper(database, "cloudwatch://wardpost/audit", **server.settings())
        killed_again_and_again(shipper)
        check_copy(server.lines(), ROWS)
        shipper.run("verify").expect(0, f"{ROWS} rows compared")
    finally:
        server.stop()


def test_a_backlog_takes_no_more_memory_the_longer_it_is(seeded, tmp_path):
    shipper = Shipper(copy_database(seeded, tmp_path / "wardpost.db"), f"file://{tmp_path}/audit.jsonl")
    service = shipper.start()
    try:
        wait_until("every row is shipped", lambda: shipper.status()["lag_rows"] == 0, seconds=90)
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{service.pid}/status").read_text())
    finally:
        assert service.stop() == 0
    assert int(peak) / 1024 < MOST_MEGABYTES, f"{int(peak) / 1024:.0f} MB at most"
