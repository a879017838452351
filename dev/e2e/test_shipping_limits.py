"""Rows that are longer than an event may be, through a service that is as strict as the API reference says."""

import json

import pytest

from support import fake_cloudwatch as cloud
from support.audit_chain import check_copy, rewrite_chain
from support.database_program import open_database, seed
from support.fake_cloudwatch import FakeCloudWatch
from support.shipper import Shipper

ROWS = 60
GROUP = "cloudwatch://wardpost/audit"
# Around one event, around one call, and beyond several; of characters of one to four bytes, and of those that JSON escapes.
LONG = {1: 300_000, 7: 262_118, 8: 2_500_000, 9: 5, 20: 1_048_576, 21: 1_048_550, ROWS: 400_000}
LETTERS = 'x"é€\\😀\n'


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "wardpost.db"
    assert seed(path, ROWS - 2) == ROWS
    connection = open_database(path)
    for number, length in LONG.items():
        text = (LETTERS * (length // len(LETTERS.encode()) + 1))[:length]
        details = json.dumps({"text": text}, ensure_ascii=False)
        connection.execute("UPDATE audit_log SET details = ? WHERE id = ?", (details, number))
    rewrite_chain(connection, 1)
    connection.close()
    return path


@pytest.fixture
def endpoint():
    server = FakeCloudWatch()
    yield server
    server.stop()


def whole(lines):
    """The lines, those that came in parts put together again; of a row that was cut twice, the cut that is whole."""
    found, cuts = [], {}
    for line in lines:
        event = json.loads(line)
        if "part" in event:
            cut = cuts.setdefault((event["id"], event["parts"], event.get("shipped_at")), {})
            cut[event["part"]] = event["text"]
        else:
            found.append(line)
    for (_, parts, _), cut in cuts.items():
        if len(cut) == parts:
            found.append("".join(cut[number] for number in range(1, parts + 1)))
    return found


def test_oversize_rows_arrive_in_parts_and_are_whole_again(database, endpoint):
    shipper = Shipper(database, GROUP, **endpoint.settings())
    shipper.run("once").expect(0)
    parts = {event["id"] for event in map(json.loads, endpoint.lines()) if "part" in event}
    assert parts == {number for number, length in LONG.items() if length > 100_000}
    check_copy(whole(endpoint.lines()), ROWS)
    assert shipper.status()["quarantined"] == 0
    shipper.run("verify").expect(0, f"{ROWS} rows compared")


@pytest.mark.parametrize(
    "plan",
    [[cloud.rejecting(old=1)], [cloud.rejecting(new=1)], [cloud.well, cloud.cut_off_afterwards], [cloud.well, cloud.cut_off]],
    ids=["a part too old", "a part too new", "accepted and unanswered", "cut off"],
)
def test_parts_that_are_sent_again_are_no_difference(plan, database, endpoint):
    shipper = Shipper(database, GROUP, **endpoint.settings())
    endpoint.plan.extend(plan)
    if shipper.run("once").code != 0:
        shipper.run("once").expect(0)
    assert not endpoint.plan
    check_copy(whole(endpoint.lines()), ROWS)
    shipper.run("verify").expect(0, f"{ROWS} rows compared")


@pytest.mark.parametrize("part", [1, 2, 6])
def test_an_oversize_row_of_which_a_part_is_poison_is_given_up_on_as_a_whole(part, database, endpoint):
    endpoint.poison = lambda message: (event := json.loads(message))["id"] == 8 and event["part"] == part
    shipper = Shipper(database, GROUP, **endpoint.settings())
    shipper.run("once").expect(0, "1 quarantined")
    assert [row["id"] for row in shipper.status()["quarantined_rows"]] == [8]
    report = shipper.run("verify", "--json").expect(0).json
    assert (report["quarantined"], report["checked"]) == ([8], ROWS)
