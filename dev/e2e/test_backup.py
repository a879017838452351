"""Backups in a directory: made, listed, proved, opened without us, pruned, and put back under a running site."""

import json
import re
import secrets
import subprocess

import pytest
from playwright.sync_api import expect

from support.backups import BackupWorker, sql, unpack
from support.browser import row
from support.clock import Clock, hurried
from support.database_program import KEY, open_database, seed
from support.main_job import send_and_read
from support.processes import binary
from support.shipper import Shipper
from support.site import Site
from support.visitor import Visitor
from support.waiting import wait_until

MESSAGES = 500
ROWS = MESSAGES + 2


def archive_of(worker, manifest):
    return worker.folder / "backups" / manifest["name"]


def line_of(worker, manifest):
    """What the list for people says of a backup, by its columns."""
    columns = r"^name +age +bytes  proved to restore$"
    out = worker.run("list").expect(0).out
    assert re.search(columns, out, re.MULTILINE), out
    line = r"^%s +(?P<age>\d+) (?P<unit>\w+) +(?P<bytes>\d+)  (?P<proved>\S+)$" % re.escape(manifest["name"])
    found = re.search(line, out, re.MULTILINE)
    assert found, out
    return found


def test_a_backup_is_made_listed_and_proved(worker):
    before = worker.list()
    assert (before["overdue"], before["backups"]) == (True, [])
    worker.run("list").expect(0, "NO BACKUP OF THE LAST 48 HOURS WAS PROVED")
    worker.run("verify").expect(1, "there is no backup yet")
    ((failed, why),) = worker.events()
    assert failed == "BACKUP_FAILED" and why["name"] is None and "there is no backup yet" in why["reason"]
    none = worker.run("verify", "--json").expect(1).json
    assert none["name"] is None and none["sound"] is False and none["recorded"] is True

    manifest = worker.now()
    assert manifest["rows"]["message"] == MESSAGES and manifest["rows"]["audit_log"] == MESSAGES + 4
    assert manifest["archive_bytes"] == archive_of(worker, manifest).stat().st_size
    assert manifest["audit_head"]["id"] == MESSAGES + 4
    assert manifest == json.loads((worker.folder / "backups" / manifest["name"].replace(".sqlite.gz.age", ".json")).read_text()) | {
        "target": f"file://{worker.folder}/backups"
    }
    listed = worker.list()
    assert listed["overdue"] is True and listed["backups"][0]["verified_at"] is None
    assert line_of(worker, manifest)["proved"] == "never"

    proved = worker.run("verify", "latest", "--json").expect(0).json
    assert proved["sound"] is True and proved["rows"]["message"] == MESSAGES
    worker.run("verify", manifest["name"]).expect(0, f"{MESSAGES} messages", "all checks passed")
    listed = worker.list()
    assert listed["overdue"] is False and listed["newest_verified"] == manifest["name"]
    assert 0 <= listed["backups"][0]["age_seconds"] < 120
    line = line_of(worker, manifest)
    assert line["proved"] == listed["backups"][0]["verified_at"] and int(line["bytes"]) == manifest["archive_bytes"]
    assert int(line["age"]) < 120 and line["unit"] == "s"
    actions = [action for action, _ in worker.events()]
    assert actions == ["BACKUP_FAILED", "BACKUP_FAILED", "BACKUP_CREATED", "BACKUP_VERIFIED", "BACKUP_VERIFIED"]
    created, verified = worker.events()[2][1], worker.events()[3][1]
    assert created == {
        "name": manifest["name"],
        "bytes": manifest["archive_bytes"],
        "sha256": manifest["archive_sha256"],
        "head": {"row": manifest["audit_head"]["id"], "hash": manifest["audit_head"]["hash"]},
        "content": {
            "database": manifest["database_id"],
            "stream": manifest["stream"],
            "schema": manifest["schema"],
            "database_bytes": manifest["database_bytes"],
            "database_sha256": manifest["database_sha256"],
        },
    }
    assert "accepted" not in verified
    assert verified["restore_seconds"] > 0 and verified["data_age_seconds"] >= 0
    assert worker.left_over() == []


def keygen(path):
    made = subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True, text=True)
    return made.stderr.split("Public key: ")[1].strip()


def test_three_standard_tools_open_it_in_an_emergency(worker, tmp_path):
    offline = [tmp_path / "one.txt", tmp_path / "other.txt"]
    public = [keygen(path) for path in offline]
    manifest = worker.now(WARDPOST_BACKUP_RECIPIENTS=" , ".join(public))
    assert manifest["recipients"][:2] == public and len(manifest["recipients"]) == 3
    safe = tmp_path / "safe.txt"
    safe.write_text(worker.run("identity", "--print").expect(0).out)
    plain = unpack(archive_of(worker, manifest), safe, tmp_path / "plain.sqlite")
    for number, identity in enumerate(offline):
        other = unpack(archive_of(worker, manifest), identity, tmp_path / f"plain{number}.sqlite")
        assert other.read_bytes() == plain.read_bytes()
    assert sql(plain, "PRAGMA integrity_check") == "ok"
    for table, count in manifest["rows"].items():
        assert sql(plain, f"SELECT count(*) FROM {table}") == str(count), table
    assert "Please read this before your round." in sql(plain, "SELECT body FROM message_body LIMIT 1")
    assert [action for action, _ in worker.events()] == ["BACKUP_CREATED", "BACKUP_IDENTITY_SHOWN"]


def test_the_key_is_not_printed_by_accident(worker):
    run = worker.run("identity").expect(64, "--print")
    assert "AGE-SECRET-KEY" not in run.out + run.err
    assert worker.events() == []


def test_a_stolen_server_cannot_read_backups_for_an_offline_key(worker, tmp_path):
    public = keygen(tmp_path / "offline.txt")
    offline = {"WARDPOST_BACKUP_RECIPIENTS": public, "WARDPOST_BACKUP_OFFLINE_ONLY": "true"}
    manifest = worker.now(**offline)
    assert manifest["recipients"] == [public]
    worker.run("verify", **offline).expect(1, "another key", "--identity")
    worker.run("verify", "--identity", tmp_path / "offline.txt", **offline).expect(0)
    worker.run("restore", "latest", "--to", tmp_path / "r.db", "--identity", tmp_path / "offline.txt").expect(0)
    unpack(archive_of(worker, manifest), tmp_path / "offline.txt", tmp_path / "plain.sqlite")
    worker.run("now", WARDPOST_BACKUP_OFFLINE_ONLY="true").expect(78, "nobody who could open")
    private = (tmp_path / "offline.txt").read_text().splitlines()[-1]
    refused = worker.run("now", WARDPOST_BACKUP_RECIPIENTS=private).expect(78, "private key")
    assert private not in refused.out + refused.err


def test_old_backups_open_after_the_database_key_was_changed_with_the_kept_identity(worker, tmp_path):
    manifest = worker.now()
    (tmp_path / "kept.txt").write_text(worker.run("identity", "--print").expect(0).out)
    new = {"DB_ENCRYPTION_KEY": secrets.token_hex(32)}
    elsewhere = BackupWorker(tmp_path / "new.db", f"file://{tmp_path}/backups", **new)
    elsewhere.run("verify", manifest["name"]).expect(1, "another key")
    elsewhere.run("restore", manifest["name"], "--to", tmp_path / "new.db", "--identity", tmp_path / "kept.txt").expect(0)
    # It is encrypted with the new key now, and with no other.
    assert elsewhere.run("list", "--json").expect(0).json["backups"][0]["name"] == manifest["name"]
    with pytest.raises(Exception, match="file is not a database"):
        open_database(tmp_path / "new.db", KEY)


def test_another_machine_can_prove_it_and_says_that_nothing_was_written_down(worker, tmp_path):
    name = worker.now()["name"]
    other = BackupWorker(tmp_path / "elsewhere" / "wardpost.db", f"file://{tmp_path}/backups")
    (tmp_path / "elsewhere").mkdir()
    # A log that is not here vouches for nothing; the key does, for the one that is named.
    other.run("verify").expect(1, "no audit log here", "log-shipper backups --json")
    other.run("verify", name).expect(0, "no database", "all checks passed")
    other.run("list").expect(0, "what was proved is not known here")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["wardpost.db.backup-work"]


def test_a_restore_needs_a_word_keeps_the_old_file_and_says_what_was_given_up(worker, tmp_path):
    manifest = worker.now()
    shipper = Shipper(worker.database, f"file://{tmp_path}/audit.jsonl")
    shipper.run("once").expect(0)
    seed(worker.database, 5)
    worker.run("restore", "latest", "--to", worker.database).expect(1, "--replace")
    done = worker.run("restore", "latest", "--to", worker.database, "--replace", "--json").expect(0).json
    assert done["restored_row"] == MESSAGES + 2 and done["given_up_row"] > MESSAGES + 2
    assert done["replaced"].startswith(str(worker.database) + ".replaced-")
    ((action, details),) = worker.events()
    assert action == "DATABASE_RESTORED" and details["backup"] == manifest["name"]
    assert details["restored_head"]["row"] == MESSAGES + 2
    assert details["given_up_head"]["row"] == done["given_up_row"]
    # What was replaced can be put back.
    replaced = Shipper(tmp_path / done["replaced"], f"file://{tmp_path}/old.jsonl")
    assert replaced.status()["newest"] == done["given_up_row"]
    # The log goes on under a name of its own, so that what was given up and what comes meet nowhere.
    shipper.run("once").expect(0)
    assert f"/restored-{MESSAGES + 3}-" in shipper.status()["stream"]
    shipper.run("verify").expect(0)


def test_a_moment_finds_the_newest_backup_before_it(worker, tmp_path):
    first = worker.now()
    worker.another_second()
    second = worker.now()
    at = second["made_at"]
    done = worker.run("restore", "--at", at, "--to", tmp_path / "a.db", "--json").expect(0).json
    assert done["name"] == second["name"]
    done = worker.run("restore", "--at", first["made_at"], "--to", tmp_path / "b.db", "--json").expect(0).json
    assert done["name"] == first["name"]
    worker.run("restore", "--at", "2020-01-01T00:00:00Z", "--to", tmp_path / "c.db").expect(1, "2020-01-01")
    worker.run("restore", "latest", "--at", at, "--to", tmp_path / "c.db").expect(64)
    worker.run("restore", "--to", tmp_path / "c.db").expect(64)


def test_old_backups_go_but_never_the_newest_that_was_proved(worker, tmp_path):
    def made(**clock):
        worker.another_second()
        return worker.now(**clock)["name"]

    def names():
        return [backup["name"] for backup in worker.list()["backups"]]

    made()
    proved = made()
    worker.run("verify").expect(0)
    # Somebody removes the newest that was proved: then it is another one.
    removed = made()
    worker.run("verify").expect(0)
    for path in (tmp_path / "backups").glob(removed.replace(".sqlite.gz.age", "*")):
        path.unlink()
    clock = Clock(tmp_path)
    clock.move(minutes=40 * 24 * 60)
    later = made(**clock.environment())
    assert names() == [later, proved]
    worker.run("verify", **clock.environment()).expect(0)
    latest = made(**clock.environment())
    assert names() == [latest, later]


def test_a_database_that_the_site_has_open_is_not_replaced_and_the_restored_one_is_served(windows, tmp_path):
    data = tmp_path / "demo"
    site = Site(data)
    key = dict(line.split("=", 1) for line in (data / "env").read_text().splitlines() if "=" in line)["DB_ENCRYPTION_KEY"]
    (tmp_path / "backups").mkdir()
    database = data / "wardpost.db"
    worker = BackupWorker(database, f"file://{tmp_path}/backups", DB_ENCRYPTION_KEY=key.strip('"'))
    amina = Visitor(site, "amina")
    amina.send("Before the backup", "This must come back.")
    worker.now()
    amina.send("After the backup", "This was given up.")
    worker.run("restore", "latest", "--to", database, "--replace").expect(1, "has the database open", "stop web")
    site.stop()
    worker.run("restore", "latest", "--to", database, "--replace").expect(0)
    site = Site(data)
    try:
        amina = Visitor(site, "amina")
        page = amina.get("/messages").text
        assert "Before the backup" in page and "After the backup" not in page
        page = windows.window(site)
        send_and_read(page)
        page.goto("/messages")
        row(page, "Before the backup").get_by_role("link").click()
        expect(page.get_by_text("This must come back.")).to_be_visible()
        assert site.command("audit", "verify").returncode == 0
    finally:
        site.stop()


def test_a_database_that_does_not_open_hinders_no_proof(worker):
    manifest = worker.now()
    content = worker.database.read_bytes()
    worker.database.write_bytes(b"\0" * 4096 + content[4096:])
    worker.run("verify").expect(1, "the database here cannot be asked", "no audit log here", "ask for it by its name")
    proved = worker.run("verify", manifest["name"], "--json").expect(0, "the database here cannot be asked")
    assert proved.json["sound"] is True and proved.json["recorded"] is False
    worker.run("list").expect(0, manifest["name"], "what was proved is not known here", "the database here cannot be asked")
    worker.run("now").expect(78, "DB_ENCRYPTION_KEY")
    worker.run("restore", "latest", "--to", worker.database, "--replace").expect(1, "no audit log here")
    worker.run("restore", manifest["name"], "--to", worker.database, "--replace").expect(0)
    assert worker.list()["backups"][0]["name"] == manifest["name"]


def test_why_it_failed_is_told_also_where_it_cannot_be_written_down(worker):
    (worker.folder / "backups").rename(worker.folder / "away")
    writer = open_database(worker.database)
    writer.execute("BEGIN IMMEDIATE")
    try:
        for command in ("now", "verify"):
            worker.run(command, **hurried(20)).expect(69, "is not there: mount it")
    finally:
        writer.close()


def test_one_run_at_a_time(worker):
    seed(worker.database, 4000, random_bytes=2000)
    child = subprocess.Popen([binary("backup-worker"), "now"], env=worker.environment(), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until("it is at work", lambda: worker.left_over())
        worker.run("now").expect(1, "another backup or drill is running")
        busy = worker.run("verify", "--json").expect(69, "another backup or drill is running").json
        assert busy["sound"] is None and busy["recorded"] is False and "another backup or drill is running" in busy["reason"]
    finally:
        assert child.wait(60) == 0
    assert [action for action, _ in worker.events()] == ["BACKUP_CREATED"]


def test_backups_right_after_each_other_have_names_of_their_own(worker):
    """A name says in which second a backup was begun, and a small one takes less than a second."""
    names = [worker.now()["name"] for _ in range(4)]
    assert len(set(names)) == len(names) and names == sorted(names)
    assert [backup["name"] for backup in worker.list()["backups"]] == names[::-1]


def test_wrong_settings_are_all_named(worker):
    wrong = {"WARDPOST_BACKUP_TARGET": "backups", "WARDPOST_BACKUP_SCHEDULE": "daily", "WARDPOST_BACKUP_KEEP_DAYS": "0"}
    for arguments in ([], ["now"], ["--check-config"]):
        worker.run(*arguments, **wrong).expect(78, *wrong)
    worker.run("list", WARDPOST_BACKUP_TARGET=None).expect(78, "WARDPOST_BACKUP_TARGET")
    shown = worker.run("--check-config", "--json").expect(0).json
    assert shown["WARDPOST_BACKUP_SCHEDULE"]["value"] == "0 0 2 * * *" and shown["DB_ENCRYPTION_KEY"]["value"] == "***"
    for arguments in (["--help"], *([command, "--help"] for command in ("now", "list", "verify", "restore", "identity"))):
        worker.run(*arguments).expect(0, "Example")
    worker.run("launch").expect(64)


def test_a_missing_database_and_a_wrong_key_are_no_backup(worker, tmp_path):
    worker.run("now", WARDPOST_DB=str(tmp_path / "none.db")).expect(78, "none.db")
    worker.run("now", DB_ENCRYPTION_KEY="0" * 64).expect(78, "DB_ENCRYPTION_KEY")
    assert not (tmp_path / "none.db").exists() and worker.list()["backups"] == []
