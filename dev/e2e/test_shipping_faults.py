"""Audit rows on their way off the machine, when something is wrong: afterwards every row is there."""

import json
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from support import fake_cloudwatch as cloud
from support.audit_chain import check_copy
from support.clock import Clock
from support.database_program import error_lines, open_database, seed
from support.fake_cloudwatch import FakeCloudWatch, refuse
from support.shipper import Shipper, lines_of
from support.small_disk import fill, small_disk
from support.waiting import wait_until

ROWS = 6000
GROUP = "cloudwatch://wardpost/audit"


@pytest.fixture
def endpoint():
    started = []

    def start(*plan, **options):
        started.append(FakeCloudWatch(*plan, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def all_arrive(shipper, server, seconds=90):
    """The service ships everything, whatever is on the plan; gives its log."""
    service = shipper.start()
    try:
        wait_until("every row is accounted for", lambda: shipper.status()["lag_rows"] == 0, seconds=seconds)
    finally:
        assert service.stop() == 0
    check_copy(server.lines(), shipper.status()["newest"])
    shipper.run("verify").expect(0)
    return service.log_text()


THROTTLED = refuse(400, "ThrottlingException", "Rate exceeded")
FAILURES = {
    "throttled": [THROTTLED] * 2,
    "unavailable": [refuse(503, "ServiceUnavailableException"), refuse(500, "InternalFailure")],
    "cut off before": [cloud.cut_off] * 2,
    "accepted and unanswered": [cloud.cut_off_afterwards, cloud.well, cloud.cut_off_afterwards],
    "half a reply": [cloud.half_a_reply],
    "a captive portal": [cloud.garbled],
    "expired credentials": [refuse(400, "ExpiredTokenException", "The security token included in the request is expired")],
    "a wrong clock": [refuse(400, "InvalidSignatureException", "Signature expired")],
    "no permission": [refuse(400, "AccessDeniedException", "is not authorized to perform: logs:PutLogEvents")],
    "the group deleted": [cloud.delete_group],
    "the stream deleted": [cloud.delete_stream],
    "rejected as too old": [cloud.rejecting(old=700)],
    "rejected as expired": [cloud.rejecting(expired=1)],
    "rejected as too new": [cloud.rejecting(new=500)],
    "rejected at both ends": [cloud.rejecting(old=3, expired=5, new=900), cloud.well, cloud.rejecting(old=1, new=2)],
    "all rejected": [cloud.rejecting(new=0), cloud.well, cloud.rejecting(old=100_000)],
    "one after the other": [THROTTLED, cloud.cut_off, cloud.rejecting(old=9), cloud.cut_off_afterwards, cloud.delete_stream],
}


@pytest.mark.parametrize("failure", FAILURES)
def test_every_row_is_there_after(failure, database, endpoint):
    server = endpoint(*FAILURES[failure])
    shipper = Shipper(database, GROUP, **server.settings())
    log = all_arrive(shipper, server)
    assert not server.plan, "the failure never came"
    assert shipper.status()["quarantined"] == 0
    assert "panic" not in log


@pytest.mark.parametrize("index", ["old", "expired", "new"])
def test_what_was_rejected_is_sent_again_with_its_own_time_inside(index, database, endpoint):
    server = endpoint(cloud.rejecting(**{index: 1 if index != "new" else 2}))
    Shipper(database, GROUP, **server.settings()).run("once").expect(0)
    events = [json.loads(line) for line in server.lines()]
    assert sorted(event["id"] for event in events) == list(range(1, ROWS + 1)), "each once: what was kept is not sent again"
    mark = "ahead" if index == "new" else "late"
    # The clock of the seed's rows is years away from none of this: only the rejection can have marked them.
    marked = [event for event in events if event.get(mark)]
    numbers = [event["id"] for event in marked]
    # The end of what is too old is exclusive; the start of what is too new is inclusive.
    assert numbers == ([1] if index != "new" else list(range(3, numbers[-1] + 1)))
    assert all(event["timestamp"] < event["shipped_at"] for event in marked)


def test_rows_of_any_age_are_within_every_limit(database, endpoint):
    """Rows months old, days apart, ahead of the clock, against the order: the strict endpoint takes every call."""
    connection = open_database(database)
    hour = 3_600_000
    connection.execute(f"UPDATE audit_log SET at = at - (id * 7919 % 1000) * {hour} WHERE id % 3 = 0")
    connection.execute(f"UPDATE audit_log SET at = at + (id % 50) * {hour} WHERE id % 7 = 0")
    connection.close()
    server = endpoint()
    shipper = Shipper(database, GROUP, **server.settings())
    shipper.run("once").expect(0)
    assert shipper.status()["quarantined"] == 0
    events = [json.loads(line) for line in server.lines()]
    assert [event["id"] for event in events] == list(range(1, ROWS + 1)), "in the order of their numbers, each once"
    # Exactly those beyond what is taken under its own time, less the margins: 14 days less an hour, 2 hours less ten minutes.
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    for event in events:
        age = now - datetime.fromisoformat(event["timestamp"])
        if abs(age - timedelta(days=14, hours=-1)) > minute and abs(age + timedelta(hours=2, minutes=-10)) > minute:
            late, ahead = age > timedelta(days=14, hours=-1), age < -timedelta(hours=2, minutes=-10)
            assert (event.get("late", False), event.get("ahead", False)) == (late, ahead), event
    assert {"late", "ahead"} <= {name for event in events for name in event}


def test_poison_is_found_put_aside_and_accounted_for(database, endpoint):
    server = endpoint()
    server.poison = lambda message: json.loads(message)["id"] in (1, 2, 2500, ROWS)
    shipper = Shipper(database, GROUP, **server.settings())
    shipper.run("once").expect(0, "4 quarantined")
    status = shipper.status()
    # Each leaves an audit row of its own, which is shipped too.
    assert (status["newest"], status["shipped"], status["quarantined"]) == (ROWS + 4, ROWS, 4)
    assert [row["id"] for row in status["quarantined_rows"]] == [1, 2, 2500, ROWS]
    assert all("Invalid character" in row["reason"] for row in status["quarantined_rows"])
    shipped = [json.loads(line) for line in server.lines()]
    assert {event["id"] for event in shipped} == set(range(1, ROWS + 5)) - {1, 2, 2500, ROWS}
    assert sum(event["action"] == "AUDIT_ROW_QUARANTINED" for event in shipped) == 4
    assert shipper.run("verify", "--json").expect(0).json["quarantined"] == [1, 2, 2500, ROWS]


def test_a_service_that_refuses_everything_proves_nothing_against_a_row(database, endpoint):
    server = endpoint()
    server.poison = lambda message: True
    shipper = Shipper(database, GROUP, **server.settings())
    shipper.run("once").expect(69, "refuses every row")
    status = shipper.status()
    assert (status["quarantined"], status["cursor"]) == (0, 0)
    assert "refuses every row" in status["last_error"]["error"]
    server.poison = lambda message: False
    shipper.run("once").expect(0)
    check_copy(server.lines(), ROWS)


def test_without_permission_to_make_a_group_the_missing_one_is_named(database, endpoint):
    server = endpoint(group=None)

    def refused(wanted):
        raise cloud.Refusal("AccessDeniedException", "not authorized to perform: logs:CreateLogGroup")

    server.CreateLogGroup = refused
    shipper = Shipper(database, GROUP, **server.settings())
    shipper.run("once").expect(69, "logs:CreateLogGroup", "wardpost/audit")
    # A group that somebody else has made needs no such right.
    server.groups["wardpost/audit"] = {"retention": 365, "streams": {}}
    shipper.run("once").expect(0)
    check_copy(server.lines(), ROWS)


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"AWS_ENDPOINT_URL": "http://no-such-host.invalid"}, "cannot be reached"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"AWS_REGION": None, "AWS_EC2_METADATA_DISABLED": "true"}, "AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"}, "cannot be reached"),
    ],
)
def test_an_outage_is_told_and_written_down(settings, words, database, endpoint):
    server = endpoint()
    shipper = Shipper(database, GROUP, **(server.settings() | settings))
    shipper.run("once").expect(69, words)
    assert words in shipper.status()["last_error"]["error"]
    # And then it is over.
    shipper.run("once", **server.settings()).expect(0)
    check_copy(server.lines(), ROWS)


def test_an_outage_is_told_once_a_minute_and_its_end_too(database, endpoint):
    server = endpoint(*[THROTTLED] * 4)
    log = all_arrive(Shipper(database, GROUP, **server.settings()), server)
    assert len(error_lines(log)) == 1, log
    assert "ThrottlingException" in log and "rows get through again" in log
    # Pauses grow: half a second at most, then one, two, four.
    gaps = [after - before for before, after in zip(server.put_times[:5], server.put_times[1:5])]
    assert gaps[3] > gaps[0] and gaps[3] >= 1.9, gaps


def test_rows_that_wait_for_ten_days_raise_an_alarm(database, endpoint, tmp_path):
    clock = Clock(tmp_path)
    clock.move(minutes=11 * 24 * 60)
    server = endpoint(*[THROTTLED] * 1000)
    shipper = Shipper(database, GROUP, **server.settings())
    service = shipper.start(**clock.environment())
    try:
        wait_until("the alarm is raised", lambda: "AUDIT_SHIPPING_BEHIND" in service.log_text())
    finally:
        assert service.stop() == 0
    assert service.log_text().count("AUDIT_SHIPPING_BEHIND") == 1


def test_a_service_that_hangs_is_given_up_on_and_asked_again(database, endpoint):
    server = endpoint(cloud.slow(60))
    start = time.monotonic()
    all_arrive(Shipper(database, GROUP, **server.settings()), server)
    assert time.monotonic() - start < 40


def test_asked_to_stop_it_finishes_what_is_in_hand(database, endpoint):
    server = endpoint(cloud.slow(3))
    shipper = Shipper(database, GROUP, **server.settings())
    service = shipper.start()
    wait_until("a call is on its way", lambda: server.put_times)
    start = time.monotonic()
    assert service.stop() == 0
    assert 1 < time.monotonic() - start < 12
    cursor = shipper.status()["cursor"]
    assert cursor == len(server.lines()) > 0


def test_asked_to_stop_it_does_not_wait_forever(database, endpoint):
    server = endpoint(cloud.slow(60), cloud.slow(60))
    shipper = Shipper(database, GROUP, **server.settings())
    service = shipper.start()
    wait_until("a call is on its way", lambda: server.put_times)
    start = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - start < 15
    assert shipper.status()["cursor"] == 0


def test_two_shippers_of_one_copy_lose_nothing_and_say_so(database, endpoint):
    server = endpoint(*[cloud.slow(0.2)] * 12)
    shipper = Shipper(database, GROUP, **server.settings())
    services = [shipper.start(), shipper.start()]
    try:
        wait_until("every row is accounted for", lambda: shipper.status()["lag_rows"] == 0, seconds=60)
    finally:
        assert [service.stop() for service in services] == [0, 0]
    check_copy(server.lines(), ROWS)
    assert any("let only one run" in service.log_text() for service in services)


def test_a_full_disk_under_the_copy_is_an_outage_without_half_a_line(database, tmp_path):
    with small_disk(tmp_path / "disk", 3000) as disk:
        copy = disk / "audit.jsonl"
        shipper = Shipper(database, f"file://{copy}")
        ballast = fill(disk, leave_bytes=1_500_000)
        shipper.run("once").expect(69, str(copy))
        status = shipper.status()
        assert 0 < status["cursor"] < ROWS
        text = copy.read_text()
        assert text.endswith("\n") and len(text.splitlines()) == status["cursor"]
        ballast.unlink()
        moved = Shipper(database, f"file://{copy}")
        # Room for everything would be more than the disk has; what matters is that it goes on.
        moved.run("once")
        assert moved.status()["cursor"] > status["cursor"]


def test_a_restored_database_ships_again_what_it_must(database, tmp_path, endpoint):
    server = endpoint()
    old = shutil.copyfile(database, tmp_path / "old.db")
    shipper = Shipper(database, GROUP, **server.settings())
    shipper.run("once").expect(0)
    # Put back by hand, from before anything was shipped: its cursor is as old as it is.
    shutil.copyfile(old, database)
    again = shipper.status()
    assert (again["cursor"], again["lag_rows"]) == (0, ROWS)
    shipper.run("once").expect(0)
    assert len(server.lines()) == 2 * ROWS
    check_copy(server.lines(), ROWS)
    shipper.run("verify").expect(0)


def test_a_copy_in_a_file_goes_on_where_it_was(database, tmp_path):
    copy = tmp_path / "audit.jsonl"
    shipper = Shipper(database, f"file://{copy}")
    shipper.run("once").expect(0)
    with copy.open("a") as file:
        file.write('{"timestamp":"2026-11-2')
    rows = seed(database, 5)
    shipper.run("once").expect(0)
    assert shipper.status()["newest"] > ROWS and rows == 7
    check_copy(lines_of(copy), shipper.status()["newest"])
