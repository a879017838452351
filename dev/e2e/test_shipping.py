"""Audit rows on their way off the machine, when all is well."""

import json
import time
from pathlib import Path

import pytest

from support.audit_chain import check_copy
from support.database_program import DatabaseProgram, database_id, error_lines, seed, select
from support.moto_server import MotoServer
from support.shipper import Shipper, lines_of
from support.site import Site
from support.visitor import Visitor
from support.waiting import wait_until

ROWS = 6000


@pytest.fixture(scope="module")
def moto():
    server = MotoServer()
    yield server
    server.stop()


def stream_of(client, group, stream):
    events, token = [], None
    while True:
        more = {"nextToken": token} if token else {}
        page = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **more)
        events += page["events"]
        if page["nextForwardToken"] == token:
            return events
        token = page["nextForwardToken"]


def test_every_row_arrives_in_a_stream_of_its_database(moto, database):
    group = "wardpost/audit-whole"
    shipper = Shipper(database, f"cloudwatch://{group}", **moto.settings())
    assert shipper.run("once", "--json").expect(0).json == {"shipped": ROWS, "quarantined": 0, "cursor": ROWS}
    client = moto.connect("logs")
    (described,) = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert described["retentionInDays"] == 365
    (stream,) = client.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"] == database_id(database)
    lines = [event["message"] for event in stream_of(client, group, stream["logStreamName"])]
    assert len(lines) == ROWS
    events = check_copy(lines, ROWS)
    first = events[1]
    assert first["action"] == "DATABASE_CREATED" and first["user_id"] is None and first["ip_address"] is None
    for event in events.values():
        assert {"timestamp", "user_id", "action", "details", "ip_address"} <= event.keys()
        assert event["database_id"] == database_id(database) and event["schema"] == 1
    assert events[5]["action"] == "MESSAGE_CREATE" and events[5]["details"]["message_id"] == 3

    # Nothing new: nothing is sent again.
    shipper.run("once", "--json").expect(0)
    assert len(stream_of(client, group, stream["logStreamName"])) == ROWS
    shipper.run("verify", "--json").expect(0)
    status = shipper.status()
    assert (status["lag_rows"], status["lag_seconds"], status["last_error"]) == (0, 0, None)


def test_a_group_that_is_there_keeps_its_retention(moto, database):
    client, group = moto.connect("logs"), "wardpost/audit-kept"
    client.create_log_group(logGroupName=group)
    client.put_retention_policy(logGroupName=group, retentionInDays=731)
    Shipper(database, f"cloudwatch://{group}", **moto.settings()).run("once").expect(0)
    assert client.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 731


def test_two_databases_in_one_group_never_mix_and_each_is_told_of_the_other(moto, database, tmp_path):
    group = "wardpost/audit-two"
    other = tmp_path / "other" / "wardpost.db"
    rows = seed(other, 5)
    for path in (database, other):
        shipper = Shipper(path, f"cloudwatch://{group}", **moto.settings())
        told = shipper.run("once").expect(0).err
        assert ("new_audit_stream" in told) == (path == other)
    shipper.run("verify").expect(1, database_id(database), "explained by no restore")
    # The alarm is a row more.
    events = stream_of(moto.connect("logs"), group, database_id(other))
    check_copy([event["message"] for event in events], rows + 1)


def test_a_row_is_on_its_way_within_two_seconds_of_its_commit(tmp_path):
    site = Site(tmp_path / "demo", beside=["log-shipper"])
    try:
        copy = site.data / "audit.jsonl"
        amina = Visitor(site, "amina")
        wait_until("the sign-in is in the copy", lambda: any("LOGIN" in line for line in lines_of(copy)))
        for number in range(3):
            before = len(lines_of(copy))
            amina.send(f"Message {number}", "Text that stays here.")
            sent = time.monotonic()
            wait_until("the row is in the copy", lambda: len(lines_of(copy)) > before)
            assert time.monotonic() - sent < 2
        newest = json.loads(lines_of(copy)[-1])["id"]
        check_copy(lines_of(copy), newest)
        assert "Text that stays here" not in copy.read_text() and "Message 0" not in copy.read_text()
    finally:
        site.stop()


def test_a_file_is_put_aside_when_it_has_its_size(database, tmp_path):
    copy = tmp_path / "audit.jsonl"
    shipper = Shipper(database, f"file://{copy}?rotate_mb=1")
    shipper.run("once").expect(0)
    assert copy.with_name("audit.jsonl.000001").stat().st_size >= 1 << 20
    check_copy(lines_of(copy), ROWS)
    shipper.run("verify").expect(0, f"{ROWS} rows compared")


def test_another_place_gets_every_row(database, tmp_path):
    for name in ("first", "second"):
        shipper = Shipper(database, f"file://{tmp_path / name}.jsonl")
        shipper.run("once").expect(0)
        assert len(lines_of(tmp_path / f"{name}.jsonl")) == ROWS


def test_status_says_in_words_what_there_is(database, tmp_path):
    shipper = Shipper(database, f"file://{tmp_path}/audit.jsonl")
    before = shipper.status()
    assert (before["lag_rows"], before["cursor"], before["last_success"]) == (ROWS, 0, None)
    assert before["lag_seconds"] > 0
    shipper.run("status").expect(0, f"{ROWS} = 0 shipped + 0 quarantined + {ROWS} waiting", "never")
    shipper.run("once").expect(0, f"{ROWS} shipped, 0 quarantined")
    shipper.run("status").expect(0, f"{ROWS} = {ROWS} shipped + 0 quarantined + 0 waiting", "Last error     none")


def test_every_wrong_setting_is_named_at_once(database):
    shipper = Shipper(database, "s3://wrong", WARDPOST_APPLICATION_SINK="wrong", WARDPOST_LOG="loud")
    for arguments in ([], ["once"], ["--check-config"]):
        shipper.run(*arguments).expect(78, "WARDPOST_AUDIT_SINK", "WARDPOST_APPLICATION_SINK", "WARDPOST_LOG")
    same = Shipper(database, "file:///a.jsonl", WARDPOST_APPLICATION_SINK="file:///a.jsonl?rotate_mb=3")
    same.run("--check-config").expect(78, "another place")


def test_the_settings_in_force_are_shown_without_the_key(database):
    shown = Shipper(database, "cloudwatch://a/b").run("--check-config", "--json").expect(0).json
    assert shown["WARDPOST_AUDIT_SINK"] == {"value": "cloudwatch://a/b", "source": "environment"}
    assert shown["DB_ENCRYPTION_KEY"]["value"] == "***"
    assert shown["WARDPOST_APPLICATION_SINK"]["value"] is None


def test_help_shows_examples_and_a_wrong_command_is_refused(database):
    shipper = Shipper(database, "file:///a.jsonl")
    for arguments in (["--help"], ["once", "--help"], ["status", "--help"], ["verify", "--help"]):
        shipper.run(*arguments).expect(0, "Example")
    shipper.run("launch").expect(64)
    shipper.run("verify", "--from", "yesterday").expect(64, "neither a row's number nor a time")


def test_commands_never_make_a_database(tmp_path):
    shipper = Shipper(tmp_path / "none.db", f"file://{tmp_path}/audit.jsonl")
    for command in ("once", "status", "verify"):
        shipper.run(command).expect(78, str(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()


def test_the_service_waits_for_a_database_that_is_still_to_be_made(tmp_path):
    path, copy = tmp_path / "later" / "wardpost.db", tmp_path / "audit.jsonl"
    path.parent.mkdir()
    service = Shipper(path, f"file://{copy}").start()
    try:
        wait_until("it says that it waits", lambda: "waiting for the site to make it" in service.log_text())
        rows = seed(path, 10)
        wait_until("every row is there", lambda: len(lines_of(copy)) >= rows)
        check_copy(lines_of(copy), rows)
    finally:
        assert service.stop() == 0


def test_an_idle_service_costs_next_to_nothing(database, tmp_path):
    service = Shipper(database, f"file://{tmp_path}/audit.jsonl").start()

    def cpu_ticks():
        fields = Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    try:
        wait_until("every row is there", lambda: len(lines_of(tmp_path / "audit.jsonl")) == ROWS)
        before, start = cpu_ticks(), time.monotonic()
        wait_until("three seconds have passed", lambda: time.monotonic() - start > 3)
        # A tick is a hundredth of a second; a debug build on a busy machine.
        assert cpu_ticks() - before <= 6
    finally:
        assert service.stop() == 0


def test_an_alarm_that_stands_in_the_log_is_raised_again_also_while_the_copy_is_out_of_reach(tmp_path):
    """A command's words are collected by nobody, and the site's line may be lost in a flood of others. More rows come before it
    than are read at once."""
    path = tmp_path / "data" / "wardpost.db"
    seed(path, 6000)
    (member,) = select(path, "SELECT email FROM person")[0]
    web = DatabaseProgram("web", path, WARDPOST_PUBLIC_URL="https://messages.clinic.example")
    web.run("emergency-access", "grant", member, "--reason", "the provider is down", "--minutes", "30", "--json").expect(0)
    service = Shipper(path, f"file://{tmp_path}/not/there/audit.jsonl").start()
    try:
        alarms = lambda: [line for line in error_lines(service.log_text()) if "alarm" in line]
        (alarm,) = wait_until("the alarm is raised", alarms)
        ((row,),) = select(path, "SELECT id FROM audit_log WHERE action = 'SECURITY_ALERT'")
        assert row > 5000
        assert (alarm["alarm"], alarm["kind"], alarm["rows"]) == ("SECURITY_ALERT", "emergency_access_granted", 1)
        assert int(alarm["row"]) == row and member not in json.dumps(alarm)
        wait_until("it has tried again", lambda: len(error_lines(service.log_text())) > 1)
        (tmp_path / "not" / "there").mkdir(parents=True)
        wait_until("every row is there", lambda: len(lines_of(tmp_path / "not" / "there" / "audit.jsonl")) >= row, 60)
        assert len(alarms()) == 1, "each row once"
    finally:
        assert service.stop() == 0
