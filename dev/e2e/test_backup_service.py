"""`backup-worker` as a service: what it does when, what it makes up for, and when it raises an alarm."""

import time

from support.clock import Clock
from support.waiting import wait_until

ROWS = 502
NEVER = {"WARDPOST_BACKUP_SCHEDULE": "0 0 0 1 1 *", "WARDPOST_DRILL_SCHEDULE": "off"}


def test_backups_are_made_and_proved_when_they_are_due(worker):
    often = {"WARDPOST_BACKUP_SCHEDULE": "*/2 * * * * *", "WARDPOST_DRILL_SCHEDULE": "1-59/2 * * * * *"}
    service = worker.start(**often)

    def enough():
        # The first of each is made up for at the start; a second one only comes when it is due.
        actions = [action for action, _ in worker.events()]
        return actions.count("BACKUP_CREATED") >= 2 and actions.count("BACKUP_VERIFIED") >= 2

    try:
        wait_until("two were made and two were proved", enough, seconds=40)
        assert worker.list()["overdue"] is False
    finally:
        assert service.stop() == 0
    assert worker.left_over() == []


def test_schedules_are_in_utc(worker):
    worker.now()
    due = time.gmtime(time.time() + 5)
    schedule = f"{due.tm_sec} {due.tm_min} {due.tm_hour} * * *"
    # Neither its hours nor its minutes are those of UTC.
    service = worker.start(**NEVER | {"WARDPOST_BACKUP_SCHEDULE": schedule}, TZ="Asia/Kathmandu")
    try:
        wait_until("a second one is made", lambda: len(worker.list()["backups"]) == 2, seconds=30)
    finally:
        assert service.stop() == 0


def test_a_run_that_was_missed_is_made_up_for(worker, tmp_path):
    service = worker.start()
    try:
        wait_until("the first is made and proved at once", lambda: not worker.list()["overdue"], seconds=30)
    finally:
        assert service.stop() == 0
    assert "made up for now" in service.log_text()
    # Started again the same day, nothing is due; two days later, a backup is.
    for days, made in ((0, 1), (2, 2)):
        clock = Clock(tmp_path)
        clock.move(minutes=days * 24 * 60)
        service = worker.start(**clock.environment())
        try:
            wait_until("it waits for the next run", lambda: "waiting for the next backup" in service.log_text())
            wait_until("what was missed is there", lambda: len(worker.list()["backups"]) == made, seconds=30)
        finally:
            assert service.stop() == 0
        assert ("made up for now" in service.log_text()) == (days > 0)


def test_two_days_without_a_proof_are_told_in_the_log(worker, tmp_path):
    worker.now()
    worker.run("verify").expect(0)
    clock = Clock(tmp_path)
    clock.move(minutes=3 * 24 * 60)
    service = worker.start(**clock.environment(), **NEVER)
    try:
        wait_until("the alarm is raised", lambda: "NO_VERIFIED_BACKUP" in service.log_text())
    finally:
        assert service.stop() == 0
    assert worker.list(**clock.environment())["overdue"] is True


def test_a_proof_of_what_is_gone_is_none_and_what_a_killed_run_has_left_goes_at_the_start(worker, tmp_path):
    worker.now()
    worker.run("verify").expect(0)
    for path in (tmp_path / "backups").iterdir():
        path.unlink()
    (worker.work_folder() / "copy.db").write_text("of a run that was killed")
    service = worker.start(**NEVER)
    try:
        wait_until("the alarm is raised", lambda: "NO_VERIFIED_BACKUP" in service.log_text())
        assert worker.left_over() == []
    finally:
        assert service.stop() == 0


def test_a_backup_of_a_wrong_clock_hides_no_other(worker, tmp_path):
    right = worker.now()["name"]
    clock = Clock(tmp_path)
    clock.move(minutes=400 * 24 * 60)
    # It would remove what it takes for old.
    wrong = worker.now(**clock.environment(), WARDPOST_BACKUP_KEEP_DAYS="3650")["name"]
    worker.run("verify", wrong).expect(0)
    listed = worker.list()
    assert listed["overdue"] is True and listed["newest_verified"] is None
    assert [backup["of_the_future"] for backup in listed["backups"]] == [True, False]
    worker.run("list").expect(0, "NO BACKUP OF THE LAST 48 HOURS", "while a clock was wrong")
    assert worker.run("verify", "--json").expect(0).json["name"] == right
    assert worker.list()["overdue"] is False
    service = worker.start(**NEVER)
    try:
        wait_until("it is told", lambda: "was a clock wrong" in service.log_text())
    finally:
        assert service.stop() == 0
    assert "NO_VERIFIED_BACKUP" not in service.log_text()
