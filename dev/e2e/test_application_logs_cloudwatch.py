"""Log lines on their way to CloudWatch Logs: where the journal ends, and the service begins to refuse.

`test_application_logs.py` follows a real journal. Here a script stands where journalctl is looked for, since what it says must
be chosen: lines of any age, that the service refuses, or in an order that a clock made."""

import json
import secrets
import socket
import time

import pytest

from support import fake_cloudwatch as cloud
from support.database_program import error_lines, seed
from support.fake_cloudwatch import LONGEST_EVENT, OVERHEAD, FakeCloudWatch, refuse
from support.moto_server import MotoServer
from support.shipper import Shipper
from support.waiting import wait_until

GROUP = "wardpost/application"
HOUR = 3600


class Journal:
    """What journalctl says, and how it was asked."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir()
        self._lines = folder / "lines"
        self._lines.write_text("")
        script = folder / "journalctl"
        script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\nexec tail --follow --lines=+1 {self._lines}\n')
        script.chmod(0o755)
        self._count = 0

    def log(self, text, *, hours=0):
        """A line, so many hours from now; gives its position."""
        self._count += 1
        micros = int((time.time() + hours * HOUR) * 1_000_000)
        line = {"__CURSOR": f"s=1;i={self._count}", "__REALTIME_TIMESTAMP": str(micros), "MESSAGE": text}
        with self._lines.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return line["__CURSOR"]

    def asked(self):
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "bin")


@pytest.fixture
def shipper(journal, tmp_path):
    def make(settings):
        seed(tmp_path / "wardpost.db", 3)
        path = f"{journal.folder}:/usr/bin:/bin"
        sink = f"file://{tmp_path}/audit.jsonl"
        return Shipper(tmp_path / "wardpost.db", sink, WARDPOST_APPLICATION_SINK=f"cloudwatch://{GROUP}", PATH=path, **settings)

    return make


@pytest.fixture
def endpoint():
    server = FakeCloudWatch(group=GROUP)
    server.lines_there = lambda: server.lines(GROUP)
    yield server
    server.stop()


def test_the_group_is_made_with_90_days_and_lines_stand_in_it_as_they_were(journal, shipper):
    moto = MotoServer()
    service = shipper(moto.settings()).start()
    try:
        lines = [json.dumps({"level": "INFO", "program": "web", "message": "listening"}), "not JSON, ünï\"code", "last"]
        for line in lines:
            journal.log(line)
        client = moto.connect("logs")

        def there():
            if not client.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
                return []
            return [event["message"] for event in client.filter_log_events(logGroupName=GROUP)["events"]]

        wait_until("the last line is there", lambda: "last" in there(), seconds=30)
        assert there() == lines
        (group,) = client.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        assert group["retentionInDays"] == 90
        (stream,) = client.describe_log_streams(logGroupName=GROUP)["logStreams"]
        assert stream["logStreamName"] == socket.gethostname()
    finally:
        assert service.stop() == 0
        moto.stop()
    (asked,) = journal.asked()
    assert "--output=json" in asked and "--after-cursor" not in asked


FAILURES = [
    [refuse(400, "ThrottlingException", "Rate exceeded"), cloud.rejecting(old=2)],
    [cloud.rejecting(new=1), cloud.cut_off_afterwards],
    [cloud.rejecting(old=1, expired=3, new=5), refuse(503, "ServiceUnavailableException"), cloud.half_a_reply],
]


def test_every_line_arrives_whatever_its_age_and_whatever_goes_wrong(journal, shipper, endpoint):
    name = secrets.token_hex(4)
    program = shipper(endpoint.settings())
    service = program.start()
    try:
        for round_, plan in enumerate(FAILURES):
            endpoint.plan.extend(plan)
            lines = {f"{name} {round_} {number}" for number in range(300)}
            for number, line in enumerate(sorted(lines)):
                # Older than 14 days, days apart, against the order, and ahead.
                journal.log(line, hours=-24 * (number * 7 % 30) if number % 2 else number % 5)
            long = f"{name} {round_} " + "é€😀" * 60_000
            position = journal.log(long)
            wait_until("all is there", lambda: is_there(lines, long, endpoint.lines_there()), seconds=60)
            assert not endpoint.plan
    finally:
        assert service.stop() == 0
    assert len(error_lines(service.log_text())) == 1, "once a minute, however often something is wrong"
    assert all(len(line.encode()) + OVERHEAD <= LONGEST_EVENT for line in endpoint.lines_there())
    # It reads on from where it was.
    service = program.start()
    try:
        wait_until("the journal is read on", lambda: len(journal.asked()) == 2)
    finally:
        assert service.stop() == 0
    assert f"--after-cursor={position}" in journal.asked()[1]


def is_there(lines, long, there):
    """Every line, and of a line that is too long for one event every piece."""
    left = long
    while piece := max((line for line in there if line and left.startswith(line)), key=len, default=None):
        left = left[len(piece) :]
    return not left and lines <= set(there)


def test_a_line_that_the_service_does_not_take_leaves_a_note_and_nothing_else_out(journal, shipper, endpoint):
    endpoint.poison = lambda message: "poison" in message
    lines = [f"line {number}" for number in range(50)]
    for number, line in enumerate(lines):
        journal.log(f"poison {number}" if number in (0, 17, 49) else line)
    journal.log("last")
    service = shipper(endpoint.settings()).start()
    try:
        wait_until("the last line is there", lambda: "last" in endpoint.lines_there())
    finally:
        assert service.stop() == 0
    there = endpoint.lines_there()
    assert set(lines) - set(there) == {lines[0], lines[17], lines[49]}
    notes = [json.loads(line) for line in there if line.startswith("{")]
    assert len(notes) == 3 and all("was refused" in note["message"] for note in notes)


@pytest.mark.parametrize("how", ["everything is refused", "the clock is three hours ahead"])
def test_a_service_that_takes_nothing_makes_no_line_be_left_out(how, journal, shipper, endpoint):
    right = endpoint.now
    if how == "everything is refused":
        endpoint.poison = lambda message: True
    else:
        endpoint.now = lambda: right() - 3 * HOUR * 1000
    lines = [f"line {number}" for number in range(50)]
    for line in lines:
        journal.log(line)
    service = shipper(endpoint.settings()).start()
    try:
        wait_until("it says so", lambda: "log lines do not get through" in service.log_text())
        # A second try, for which a first one was not enough.
        wait_until("it tries again", lambda: len(endpoint.put_times) >= 4)
        assert endpoint.lines_there() == []
        endpoint.poison, endpoint.now = (lambda message: False), right
        wait_until("every line is there", lambda: set(lines) <= set(endpoint.lines_there()), seconds=60)
    finally:
        assert service.stop() == 0
