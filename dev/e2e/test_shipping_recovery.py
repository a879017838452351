"""What log-shipper says of an outage, and that it needs nobody to start it again once that is over."""

import json

import pytest

from support import fake_cloudwatch as cloud
from support.audit_chain import check_copy
from support.database_program import error_lines, seed
from support.fake_cloudwatch import KEY_ID, SECRET_KEY, FakeCloudWatch, refuse
from support.shipper import Shipper
from support.waiting import wait_until

ROWS = 6000
GROUP = "cloudwatch://wardpost/audit"
THROTTLED = refuse(400, "ThrottlingException", "Rate exceeded")
HOUR = 3_600_000


@pytest.fixture
def endpoint():
    server = FakeCloudWatch()
    yield server
    server.stop()


def all_accounted_for(shipper):
    wait_until("every row is accounted for", lambda: shipper.status()["lag_rows"] == 0, seconds=60)


def test_an_outage_that_comes_and_goes_is_told_once_a_minute_too(database, endpoint):
    endpoint.plan.extend([THROTTLED, cloud.well] * 3)
    shipper = Shipper(database, GROUP, **endpoint.settings())
    service = shipper.start()
    try:
        all_accounted_for(shipper)
    finally:
        assert service.stop() == 0
    assert not endpoint.plan, "it was throttled less often than planned"
    assert len(error_lines(service.log_text())) == 1, service.log_text()
    assert service.log_text().count("rows get through again") == 1
    check_copy(endpoint.lines(), ROWS)


@pytest.mark.parametrize(
    "before, words", [(None, "no credentials"), ("wrong", "does not accept the credentials")], ids=["none", "wrong ones"]
)
def test_credentials_that_are_mended_need_no_new_start(before, words, database, endpoint, tmp_path):
    settings = endpoint.settings() | {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"}
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()

    def write(secret):
        file.write_text(f"[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {secret}\n")

    if before:
        write(before)
    shipper = Shipper(database, GROUP, **settings)
    service = shipper.start()
    try:
        wait_until("it says what is wrong", lambda: words in service.log_text())
        write(SECRET_KEY)
        all_accounted_for(shipper)
    finally:
        assert service.stop() == 0
    check_copy(endpoint.lines(), ROWS)


@pytest.mark.parametrize("hours", [-3, 15 * 24], ids=["we are ahead", "we are behind"])
def test_with_a_clock_that_the_service_does_not_share_nothing_is_given_up_and_all_is_sent_later(hours, database, endpoint):
    right = endpoint.now
    endpoint.now = lambda: right() + hours * HOUR
    shipper = Shipper(database, GROUP, **endpoint.settings())
    service = shipper.start()
    try:
        wait_until("it says what is wrong", lambda: "see that this machine's clock is right" in service.log_text())
        # The log tells it before the shipping state does.
        wait_until("the shipping state has it", lambda: shipper.status()["last_error"])
        status = shipper.status()
        assert (status["cursor"], status["quarantined"], len(endpoint.lines())) == (0, 0, 0)
        assert "clock" in status["last_error"]["error"]
        endpoint.now = right
        all_accounted_for(shipper)
    finally:
        assert service.stop() == 0
    check_copy(endpoint.lines(), ROWS)


@pytest.mark.parametrize(
    "days, words", [(30, "for too short a time"), (None, "forever"), (365, None), (731, None)]
)
def test_a_group_that_keeps_rows_for_another_time_is_told(days, words, database, endpoint):
    endpoint.groups["wardpost/audit"]["retention"] = days
    shipper = Shipper(database, GROUP, **endpoint.settings())
    service = shipper.start()
    try:
        wait_until("the group was looked at", lambda: "DescribeLogGroups" in endpoint.calls)
        all_accounted_for(shipper)
    finally:
        assert service.stop() == 0
    said = [json.loads(line) for line in service.log_text().splitlines() if "the log group keeps" in line]
    assert [words in line["message"] for line in said] == ([True] if words else [])
    assert endpoint.groups["wardpost/audit"]["retention"] == days


def test_without_permission_to_set_a_retention_that_is_said(database, endpoint):
    endpoint.groups.clear()

    def refused(wanted):
        raise cloud.Refusal("AccessDeniedException", "not authorized to perform: logs:PutRetentionPolicy")

    endpoint.PutRetentionPolicy = refused
    shipper = Shipper(database, GROUP, **endpoint.settings())
    shipper.run("once").expect(69, "logs:PutRetentionPolicy", "wardpost/audit")
    shipper.run("once").expect(0)
    check_copy(endpoint.lines(), ROWS)


def test_idle_it_asks_nobody(database, endpoint):
    shipper = Shipper(database, GROUP, **endpoint.settings())
    service = shipper.start()
    try:
        all_accounted_for(shipper)
        calls = len(endpoint.calls)
        # Each run of `status` takes a while, in which an idle shipper looks at the database several times.
        for _ in range(5):
            shipper.status()
        assert len(endpoint.calls) == calls
        rows = seed(database, 10)
        wait_until("the new rows have come", lambda: len(endpoint.lines()) >= ROWS + rows - 2)
        assert len(endpoint.calls) - calls <= rows
    finally:
        assert service.stop() == 0
