"""The site as an operator runs it under compose, from a browser at the edge to the copy off the machine and the backup."""

import json

import pytest
from playwright.sync_api import expect

from support.browser import CHROMIUM, CHROMIUM_ARGUMENTS, Windows, row, sign_in, write_message
from support.composed_site import BUCKET, PROGRAMS
from support.people import PEOPLE
from support.waiting import wait_until

GROUP = "wardpost/audit"


@pytest.fixture
def edge_windows(browser, composed):
    """Windows that take the provider's name for the way to it, and the tests' authority for one they know."""
    own = browser.browser_type.launch(executable_path=CHROMIUM, args=[*CHROMIUM_ARGUMENTS, composed.browser_rule])
    windows = Windows(own)
    yield windows
    windows.close()
    own.close()
    assert not windows.errors, "\n".join(windows.errors)


def shipped(composed):
    """Every event at the sink, in the order in which it came."""
    client = composed.aws.connect("logs")
    streams = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
    return [
        json.loads(event["message"])
        for stream in streams
        for event in client.get_log_events(
            logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


def test_a_browser_signs_in_through_the_edge_sends_and_the_row_reaches_the_sink(edge_windows, composed):
    page = sign_in(edge_windows.window(composed, ignore_https_errors=True), "noor")
    write_message(page, "From behind the edge")
    expect(row(page, "From behind the edge")).to_be_visible()

    number = composed.member("amina").find("From behind the edge")

    def arrived():
        events = [event for event in shipped(composed) if event["action"] == "MESSAGE_CREATE"]
        return next((event for event in events if event["details"]["message_id"] == number), None)

    event = wait_until("the row is at the sink", arrived)
    edge = composed.container("edge")["NetworkSettings"]["Networks"]["wardpost_site"]
    assert event["ip_address"] not in ("", edge["IPAddress"]), "the browser's address, not the edge's"
    written = composed.member("amina").audit(action="MESSAGE_CREATE")
    assert [line["hash"] for line in written if line["id"] == event["id"]] == [event["hash"]]


def test_the_site_knows_who_sent_what_from_where_whatever_the_browser_claims(composed):
    amina = composed.member("amina")
    # What a browser writes about itself counts for nothing.
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    assert amina.get("/audit", headers=forged).status_code == 200
    addresses = {line["ip_address"] for line in amina.audit()}
    assert not any("203.0.113.9" in (address or "") for address in addresses), addresses
    (login, *_) = amina.audit(action="LOGIN")
    assert login["personal"]["email"] in {person.email for person in PEOPLE.values()}


def test_the_service_makes_its_backups_by_itself(composed):
    """The first one at its start, since none was made before. What is run by hand says nothing in the service's log."""
    wait_until("it has made one", lambda: "made a backup" in said(composed, "backup-worker"), 60)


def said(composed, service):
    logs = composed.host.docker("logs", f"wardpost-{service}-1")
    return logs.stdout + logs.stderr


def test_a_backup_is_made_and_proved_to_restore(composed):
    composed.run_in("backup-worker", "backup-worker", "now")
    composed.run_in("backup-worker", "backup-worker", "verify", "latest")
    listed = json.loads(composed.run_in("backup-worker", "backup-worker", "list", "--json").stdout)
    assert listed["backups"][0]["verified_at"], listed
    assert not listed["overdue"]
    objects = composed.aws.connect("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {item["Key"].removeprefix("nightly/") for item in objects} >= {listed["backups"][0]["name"]}


def test_the_service_proves_its_backups_by_itself(composed):
    """With a setting of the operator's, every few seconds instead of every night."""
    settings = composed.project / ".env"
    nightly = settings.read_text()
    often = nightly.replace("WARDPOST_DRILL_SCHEDULE=off\n", "WARDPOST_DRILL_SCHEDULE=*/3 * * * * *\n")
    assert often != nightly
    made = json.loads(composed.run_in("backup-worker", "backup-worker", "now", "--json").stdout)["name"]

    def proved():
        listed = json.loads(composed.run_in("backup-worker", "backup-worker", "list", "--json").stdout)
        return next(backup for backup in listed["backups"] if backup["name"] == made)["verified_at"]

    assert not proved()
    settings.write_text(often)
    try:
        composed.compose("up", "--detach", "--wait", "backup-worker")
        wait_until("the drill is due and proves it", proved, 60)
    finally:
        settings.write_text(nightly)
        composed.compose("up", "--detach", "--wait", "backup-worker")


def test_the_copy_agrees_with_the_chain_and_the_chain_with_itself(composed):
    def nothing_waits():
        return json.loads(composed.run_in("log-shipper", "log-shipper", "status", "--json").stdout)["lag_rows"] == 0

    wait_until("every row is shipped", nothing_waits)
    composed.run_in("log-shipper", "log-shipper", "verify")
    composed.run_in("web", "web", "audit", "verify")


def test_every_program_finds_its_settings_right(composed):
    for program in PROGRAMS:
        said = composed.run_in(program, program, "--check-config").stdout
        assert "/run/wardpost/env" in said
        for value in composed.secret.values():
            # Not an `assert not in`: the failure's own words would go on to say it.
            if len(value) > 20 and value in said and value != composed.secret["GOOGLE_CLIENT_ID"]:
                raise AssertionError(f"{program} says a secret")
