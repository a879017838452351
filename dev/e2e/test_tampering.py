"""Somebody with the key changes the database behind the programs' back, with a build of SQLCipher that is not ours: every
change is found and named."""

import json
import re
import shutil
import subprocess

import pytest
import sqlcipher3

from support.audit_chain import check_people
from support.people import PEOPLE
from support.processes import binary, clean_environment
from support.site import Site
from support.visitor import Visitor
from support.waiting import wait_until


def open_database(path, key):
    """The file, with the triggers that guard it taken away: an intruder with the key would do the same."""
    connection = sqlcipher3.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{key}'\"")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    return connection


def key_of(data):
    return re.search(r'DB_ENCRYPTION_KEY="?([0-9a-f]{64})', (data / "env").read_text())[1]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The data of a site that has seen some work and is stopped."""
    data = tmp_path_factory.mktemp("sound") / "demo"
    site = Site(data)
    amina = Visitor(site, "amina")
    Visitor(site, "huong")
    assert site.command("staff", "disable", PEOPLE["huong"].email).returncode == 0
    for number in range(4):
        amina.get(f"/messages/{amina.send(f'Message {number}', 'As it was sent.')}")
    amina.delete(amina.find("Message 3"))
    site.stop()
    return data


@pytest.fixture
def data(sound, tmp_path):
    """A copy of it to spoil."""
    return shutil.copytree(sound, tmp_path / "demo")


def verify(data):
    """The exit code of `web audit verify`, and what it found."""
    environment = clean_environment(WARDPOST_ENV_FILE=str(data / "env"), WARDPOST_DB=str(data / "wardpost.db"))
    command = [binary("web"), "audit", "verify", "--json"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return result.returncode, json.loads(result.stdout)


def spoil(data, change, *, row_of):
    """Makes one change to the stopped site's database; gives the number of the first row of an action, as `:row` in it."""
    connection = open_database(data / "wardpost.db", key_of(data))
    connection.execute("PRAGMA foreign_keys = OFF")
    row = connection.execute("SELECT min(id) FROM audit_log WHERE action = ?", (row_of,)).fetchone()[0]
    before = connection.total_changes
    connection.execute(change, {"row": row})
    assert connection.total_changes > before, "nothing was changed"
    connection.close()
    return row


def test_what_nobody_touched_is_sound(data):
    code, verdict = verify(data)
    assert (code, verdict["sound"]) == (0, True)
    assert verdict["rows"] == verdict["head"]
    assert check_people(open_database(data / "wardpost.db", key_of(data))) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_log SET at = at + 1 WHERE id = :row",
        "UPDATE audit_log SET person_id = NULL WHERE id = :row",
        "UPDATE audit_log SET action = 'AUDIT_VIEW' WHERE id = :row",
        "UPDATE audit_log SET details = replace(details, '1', '2') WHERE id = :row",
        "UPDATE audit_log SET ip = '192.0.2.1' WHERE id = :row",
        "UPDATE audit_log SET message_id = 2 WHERE id = :row",
        "UPDATE audit_log SET hash = zeroblob(32) WHERE id = :row",
        "UPDATE audit_log SET previous_hash = zeroblob(32) WHERE id = :row",
        "DELETE FROM audit_log WHERE id = :row",
    ],
)
def test_a_changed_row_is_named(change, data):
    row = spoil(data, change, row_of="MESSAGE_VIEW")
    code, verdict = verify(data)
    assert (code, verdict["sound"], verdict["first_bad_row"]) == (1, False, row), verdict


def test_an_end_that_was_cut_off_is_noticed(data):
    connection = open_database(data / "wardpost.db", key_of(data))
    last = connection.execute("SELECT max(id) FROM audit_log").fetchone()[0]
    connection.execute("DELETE FROM audit_log WHERE id > ?", (last - 2,))
    connection.close()
    code, verdict = verify(data)
    assert (code, verdict["first_bad_row"]) == (1, last - 1), verdict


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE message SET subject = 'Another ' || subject WHERE id = 1",
        "UPDATE message_body SET body = 'As it was never sent.' WHERE message_id = 1",
        "UPDATE message SET author_id = author_id + 1 WHERE id = 1",
        "UPDATE message SET sent_at = sent_at - 86400000 WHERE id = 1",
        "INSERT INTO message_deletion (message_id, at) VALUES (1, 1)",
    ],
)
def test_a_changed_message_is_found_through_the_row_that_recorded_it(change, data):
    row = spoil(data, change, row_of="MESSAGE_CREATE")
    code, verdict = verify(data)
    assert (code, verdict["first_bad_row"]) == (1, row), verdict
    assert "message 1" in verdict["fault"]


@pytest.mark.parametrize("column", ["name", "email", "subject", "disabled_at"])
def test_somebody_exchanged_with_somebody_else_is_named(column, data):
    connection = open_database(data / "wardpost.db", key_of(data))
    connection.execute("PRAGMA foreign_keys = OFF")
    (first, one), (second, other) = connection.execute(
        f"SELECT id, {column} FROM person ORDER BY {column} IS NULL, id LIMIT 2"
    ).fetchall()
    if column == "subject":
        # Issuer and subject are unique together.
        connection.execute("UPDATE person SET subject = 'on its way' WHERE id = ?", (first,))
    for person, value in ((second, one), (first, other)):
        connection.execute(f"UPDATE person SET {column} = ? WHERE id = ?", (value, person))
    connection.close()
    code, verdict = verify(data)
    assert (code, verdict["sound"]) == (1, False), verdict
    assert f"person {min(first, second)} " in verdict["fault"]

    site = Site(data)
    try:
        tomas = Visitor(site, "tomas")
        shown = lambda: re.sub(r"<[^>]+>", "", tomas.get("/audit").text)
        wait_until("the page says so", lambda: verdict["fault"] in shown())
        assert f"changed at row {verdict['first_bad_row']}." in shown()
    finally:
        site.stop()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("UPDATE audit_personal SET details = replace(details, '@', '@not.') WHERE audit_id = :row", "changed"),
        ("DELETE FROM audit_personal WHERE audit_id = :row", "erased"),
    ],
)
def test_names_beside_the_log_are_held_against_it(change, word, data):
    row = spoil(data, change, row_of="LOGIN")
    code, verdict = verify(data)
    assert (code, verdict["first_bad_row"]) == (1, row), verdict
    assert word in verdict["fault"]


def test_the_page_says_so_to_every_member(data, windows):
    row = spoil(data, "UPDATE audit_log SET ip = '192.0.2.1' WHERE id = :row", row_of="MESSAGE_VIEW")
    site = Site(data)
    try:
        amina = Visitor(site, "amina")
        assert f"row {row}" in re.sub(r"<[^>]+>", "", amina.get("/audit").text)
        assert "audit chain is broken" in site.log_text()
    finally:
        site.stop()
