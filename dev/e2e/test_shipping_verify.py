"""What `log-shipper verify` is for: anyone who changes the log here or the copy there is found, and the row is named."""

import json
import shutil

import pytest

from support.audit_chain import rewrite_chain
from support.database_program import copy_database, open_database, seed
from support.fake_cloudwatch import FakeCloudWatch, refuse
from support.shipper import Shipper

ROWS = 300


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A database and its copy, which agree."""
    folder = tmp_path_factory.mktemp("shipped")
    assert seed(folder / "wardpost.db", ROWS - 2) == ROWS
    Shipper(folder / "wardpost.db", f"file://{folder}/audit.jsonl").run("once").expect(0)
    return folder


@pytest.fixture
def shipper(shipped, tmp_path):
    """The same to spoil. The shipping state knows a copy by its address, so both go where the first ones were."""
    database = copy_database(shipped / "wardpost.db", tmp_path / "wardpost.db")
    shutil.copyfile(shipped / "audit.jsonl", tmp_path / "audit.jsonl")
    connection = open_database(database)
    connection.execute("UPDATE shipping SET sink = ?", (f"file://{tmp_path}/audit.jsonl",))
    connection.close()
    return Shipper(database, f"file://{tmp_path}/audit.jsonl")


def found(shipper, code=1, *arguments):
    report = shipper.run("verify", "--json", *arguments).expect(code).json
    assert report["agrees"] == (code == 0)
    return [(one["kind"], one["id"], one.get("to", one["id"])) for one in report["differences"]]


def test_a_sound_copy_agrees(shipper):
    report = shipper.run("verify", "--json").expect(0).json
    assert report == {
        "agrees": True, "first": 1, "last": ROWS, "checked": ROWS, "not_yet_shipped": 0, "quarantined": [],
        "older_than_retention": 0, "given_up_by_restores": 0, "retention_days": None, "differences": [], "more_differences": 0,
        "streams": [{"name": shipper.status()["stream"], "role": "current", "checked": ROWS, "given_up": None, "restore": None}],
    }  # fmt: skip
    shipper.run("verify").expect(0, f"{ROWS} rows compared")


def test_an_intruder_who_rewrote_the_whole_local_chain_is_found(shipper):
    connection = open_database(shipper.database)
    connection.execute("UPDATE audit_log SET ip = '192.0.2.99' WHERE id = 290")
    rewrite_chain(connection, 290)
    connection.close()
    assert found(shipper) == [("changed", number, number) for number in range(290, ROWS + 1)]
    shipper.run("verify").expect(1, "row 290 is not the row that was shipped", "DIFFER")


def test_a_row_changed_without_its_hash_is_found(shipper):
    connection = open_database(shipper.database)
    connection.execute("UPDATE audit_log SET ip = '192.0.2.99' WHERE id = 200")
    connection.close()
    assert found(shipper) == [("changed", 200, 200)]


def test_an_end_that_was_cut_off_here_is_found(shipper):
    connection = open_database(shipper.database)
    connection.execute("DELETE FROM audit_log WHERE id > 250")
    connection.execute("UPDATE audit_head SET id = 250, hash = (SELECT hash FROM audit_log WHERE id = 250)")
    connection.close()
    assert found(shipper) == [("gone_here", 251, ROWS)]


def test_a_row_taken_out_of_the_middle_is_found(shipper):
    connection = open_database(shipper.database)
    connection.execute("DELETE FROM audit_log WHERE id = 100")
    connection.close()
    assert found(shipper) == [("gone_here", 100, 100)]


def edit_copy(shipper, edit):
    path = shipper.folder / "audit.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in edit(lines)))


@pytest.mark.parametrize(
    "edit, expected",
    [
        (lambda lines: lines[:50] + lines[60:], [("missing", 51, 60)]),
        (lambda lines: lines[20:], [("missing", 1, 20)]),
        (lambda lines: lines[:-7], [("missing", ROWS - 6, ROWS)]),
        (lambda lines: lines[:9] + [lines[9].replace("127.0.0.1", "127.0.0.2")] + lines[10:], [("altered", 10, 10)]),
        (lambda lines: lines[::-1] + lines[5:9], []),
        (lambda lines: [*lines, "not an event"], [("unreadable", None, None)]),
        (lambda lines: [*lines, lines[3].replace('"stream":"', '"stream":"another')], [("stream_unexplained", None, None)]),
    ],
    ids=["dropped", "cut off at the start", "cut off at the end", "altered", "agreeing twice", "unreadable", "of another log"],
)
def test_a_copy_that_was_changed_is_found(edit, expected, shipper):
    edit_copy(shipper, edit)
    assert found(shipper, 1 if expected else 0) == expected


def test_a_database_put_back_and_gone_another_way_is_found(shipper, tmp_path):
    """Somebody put an old database back without `backup-worker restore`: the rows that were written instead stand out."""
    old = shutil.copyfile(shipper.database, tmp_path / "old.db")
    seed(shipper.database, 20)
    shipper.run("once").expect(0)
    newest = shipper.status()["newest"]
    shutil.copyfile(old, shipper.database)
    seed(shipper.database, 10)
    shipper.run("once").expect(0)
    second = shipper.status()["newest"]
    assert found(shipper) == [
        *[("conflicting", number, number) for number in range(ROWS + 1, second + 1)],
        ("gone_here", second + 1, newest),
    ]


def test_a_range_is_compared_by_number_and_by_time(shipper):
    edit_copy(shipper, lambda lines: lines[:50] + lines[60:])
    assert found(shipper, 0, "--from", "61") == []
    assert found(shipper, 1, "--from", "55", "--to", "57") == [("missing", 55, 57)]
    assert found(shipper, 0, "--to", "2020-01-01") == []
    report = shipper.run("verify", "--json", "--from", "2020-01-01", "--to", "2099-01-01").expect(1).json
    assert (report["first"], report["last"]) == (1, ROWS)
    # From here on nothing was written: nothing to compare, and nothing wrong.
    assert found(shipper, 0, "--from", "2099-01-01") == []
    for bounds in (["--from", "57", "--to", "55"], ["--from", "2026-02-01", "--to", "2026-02-01"]):
        shipper.run("verify", *bounds).expect(64, "nothing would be compared")


def test_what_is_known_to_be_spoiled_does_not_hide_the_rest(shipper):
    """After an incident the rows since then are verified every night; the old difference is not told each time."""
    edit_copy(shipper, lambda lines: [line.replace("127.0.0.1", "127.0.0.2") if number in (9, 199) else line for number, line in enumerate(lines)])
    assert found(shipper) == [("altered", 10, 10), ("altered", 200, 200)]
    assert found(shipper, 1, "--from", "11") == [("altered", 200, 200)]
    assert found(shipper, 0, "--from", "11", "--to", "199") == []
    assert found(shipper, 0, "--from", "201") == []


def test_what_is_not_shipped_yet_is_no_difference(shipper):
    rows = seed(shipper.database, 10)
    report = shipper.run("verify", "--json").expect(0).json
    assert report["not_yet_shipped"] == shipper.status()["lag_rows"] > rows - 3


def test_a_copy_that_cannot_be_read_is_not_called_different(shipper):
    server = FakeCloudWatch()
    server.GetLogEvents = lambda wanted: refuse(503, "ServiceUnavailableException")()
    try:
        away = Shipper(shipper.database, "cloudwatch://wardpost/audit", **server.settings())
        away.run("once").expect(0)
        away.run("verify").expect(69, "cannot be read")
    finally:
        server.stop()


@pytest.mark.parametrize("passes, code", [(1, 0), (9, 1)])
def test_a_service_that_shows_late_is_asked_again_before_rows_are_called_missing(passes, code, shipper):
    server = FakeCloudWatch()
    begun = []

    def shown_late(wanted):
        if "nextToken" not in wanted:
            begun.append(wanted)
        page = FakeCloudWatch.GetLogEvents(server, wanted)
        if len(begun) <= passes:
            page["events"] = [event for event in page["events"] if json.loads(event["message"])["id"] <= ROWS - 20]
        return page

    server.GetLogEvents = shown_late
    try:
        away = Shipper(shipper.database, "cloudwatch://wardpost/audit", **server.settings())
        away.run("once").expect(0)
        assert found(away, code) == ([("missing", ROWS - 19, ROWS)] if code else [])
    finally:
        server.stop()


def test_rows_that_the_group_has_let_go_are_told_and_are_no_difference(shipper):
    server = FakeCloudWatch()
    try:
        connection = open_database(shipper.database)
        connection.execute("UPDATE audit_log SET at = at - 400 * 86400000 WHERE id <= 40")
        connection.close()
        away = Shipper(shipper.database, "cloudwatch://wardpost/audit", **server.settings())
        away.run("once").expect(0)
        streams = server.groups["wardpost/audit"]["streams"]
        for events in streams.values():
            events[:] = [event for event in events if json.loads(event[1])["id"] > 40]
        report = away.run("verify", "--json").expect(0).json
        assert report["older_than_retention"] == 40
    finally:
        server.stop()
