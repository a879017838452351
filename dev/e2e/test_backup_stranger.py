"""Backups that this installation did not make, or not under that name: anyone who can write to the target knows the public
key, and can make an archive that opens and a manifest that fits it."""

import json
import secrets
import shutil
import time

import pytest

from support.backups import BackupWorker, sql, unpack
from support.database_program import seed, select
from support.fake_cloudwatch import FakeCloudWatch
from support.manifests import authenticated, manifest_of, of_format_1, sealed_for
from support.shipper import Shipper

ROWS = 300
TRIGGER = "CREATE TRIGGER helper AFTER INSERT ON session BEGIN UPDATE person SET disabled_at = NULL; END"


def soon():
    """A name that is newer than any that was made here, and of no time to come."""
    return time.strftime("wardpost-%Y%m%dT%H%M%SZ.sqlite.gz.age", time.gmtime(time.time() + 60))


@pytest.fixture
def strangers(tmp_path, worker):
    """Plants another database's backup, made with what is public: gives its name."""

    def plant(*statements):
        ours = worker.now()
        folder = tmp_path / "stranger"
        seed(folder / "wardpost.db", 20)
        (folder / "backups").mkdir()
        theirs = BackupWorker(folder / "wardpost.db", f"file://{folder}/backups")
        manifest = theirs.now()
        manifest.pop("target")
        (folder / "key").write_text(theirs.run("identity", "--print").expect(0).out)
        plain = unpack(folder / "backups" / manifest["name"], folder / "key", folder / "plain.sqlite")
        sql(plain, "; ".join(["PRAGMA journal_mode = DELETE", *statements]))
        name = soon()
        manifest |= {"name": name, "made_at": f"{name[9:13]}-{name[13:15]}-{name[15:17]}T{name[18:20]}:{name[20:22]}:{name[22:24]}.000Z"}
        archive, manifest = sealed_for(ours["recipients"][-1], plain.read_bytes(), manifest)
        place = tmp_path / "backups" / name
        place.write_bytes(archive)
        manifest_of(place).write_text(of_format_1(manifest))
        return place, manifest, ours["name"]

    return plant


def test_another_databases_archive_with_a_foreign_trigger_is_refused(strangers, worker, tmp_path):
    place, manifest, ours = strangers(TRIGGER)
    refused = worker.run("verify", "latest", "--json").expect(1).json
    assert refused["sound"] is False and refused["name"] == place.name
    assert "format 1" in refused["reason"] and "another database" in refused["reason"], refused
    # What to do stands in the words: the name of the newest of ours.
    assert ours in refused["reason"] and "--accept-unrecorded" in refused["reason"]
    worker.run("verify", "latest").expect(1, f"nobody vouches for {place.name}")
    before = worker.database.read_bytes()
    for which in ("latest", place.name):
        worker.run("restore", which, "--to", worker.database, "--replace").expect(1, f"nobody vouches for {place.name}")
    assert worker.database.read_bytes() == before
    # Even --accept-unrecorded does not take a schema that is not the program's own.
    worker.run("verify", place.name, "--accept-unrecorded").expect(1, "the trigger `helper` is not the program's")
    worker.run("restore", place.name, "--to", tmp_path / "r.db", "--accept-unrecorded").expect(1, "trigger `helper`")
    assert not (tmp_path / "r.db").exists()
    # A code under another key than ours is none.
    manifest_of(place).write_text(authenticated(manifest, secrets.token_bytes(32)))
    worker.run("verify", place.name).expect(1, "code does not fit")
    worker.run("verify", ours).expect(0, "all checks passed")
    assert {one["name"]: one["recorded"] for one in worker.list()["backups"]} == {place.name: False, ours: True}
    worker.run("list").expect(0, "NOT RECORDED")


def test_a_strangers_backup_is_taken_only_on_the_operators_word_and_the_log_says_so(strangers, worker, tmp_path):
    place, _, ours = strangers()
    worker.run("verify", place.name).expect(1, f"nobody vouches for {place.name}")
    proved = worker.run("verify", place.name, "--accept-unrecorded", "--json").expect(0).json
    assert proved["accepted"] == ["no_code", "not_recorded", "other_database"] and proved["authenticated"] is False
    # It proves nothing about the clinic's own data.
    assert worker.list()["newest_verified"] is None
    worker.run("restore", place.name, "--to", tmp_path / "r.db", "--accept-unrecorded").expect(0, "written into the audit log")
    ((action, details),) = BackupWorker(tmp_path / "r.db", f"file://{tmp_path}/backups").events()[-1:]
    assert action == "DATABASE_RESTORED" and details["accepted"] == ["no_code", "not_recorded", "other_database"]
    assert (details["authenticated"], details["known_from"]) == (False, None)


def test_an_old_pair_under_a_new_name_is_not_new(worker, tmp_path):
    old = worker.now()
    old.pop("target")
    seed(worker.database, 30)
    worker.another_second()
    newest = worker.now()
    name = soon()
    place = tmp_path / "backups" / name
    shutil.copyfile(tmp_path / "backups" / old["name"], place)
    renamed = old | {"name": name}
    manifest_of(place).write_text(json.dumps(renamed, indent=2) + "\n")
    worker.run("verify", "latest").expect(1, "code does not fit")
    # Without a code, as format 1 was.
    manifest_of(place).write_text(of_format_1(renamed))
    refused = worker.run("verify", "latest", "--json").expect(1).json["reason"]
    assert f"less of the audit log than {newest['name']}" in refused and newest["name"] in refused
    worker.run("restore", name, "--to", tmp_path / "r.db").expect(1, "an old one under a new name")
    restored = worker.run("restore", name, "--to", tmp_path / "r.db", "--accept-unrecorded", "--json").expect(0).json
    assert restored["accepted"] == ["no_code", "not_recorded", "older_head"]


def test_what_is_put_in_the_place_of_a_recorded_backup_is_refused_whatever_is_said(worker, tmp_path):
    manifest = worker.now()
    manifest.pop("target")
    (tmp_path / "key").write_text(worker.run("identity", "--print").expect(0).out)
    place = tmp_path / "backups" / manifest["name"]
    plain = unpack(place, tmp_path / "key", tmp_path / "plain.sqlite")
    archive, manifest = sealed_for(manifest["recipients"][-1], plain.read_bytes(), manifest)
    place.write_bytes(archive)
    for text in (of_format_1(manifest), authenticated(manifest)):
        manifest_of(place).write_text(text)
        worker.run("verify", "--accept-unrecorded").expect(1, "not the backup that was made under this name", "replaced")


def test_a_removed_newest_backup_is_missed(worker, tmp_path):
    older = worker.now()
    worker.another_second()
    newest = worker.now()
    for path in (tmp_path / "backups").glob(newest["name"].replace(".sqlite.gz.age", "*")):
        path.unlink()
    worker.run("verify").expect(1, newest["name"], "does not have it")
    worker.run("restore", "latest", "--to", tmp_path / "r.db").expect(1, newest["name"], "by its name")
    worker.run("verify", older["name"]).expect(0)


def test_a_backup_of_an_older_program_is_taken_by_its_name(worker, tmp_path):
    manifest = worker.now()
    manifest_of(tmp_path / "backups" / manifest["name"]).write_text(of_format_1(manifest))
    worker.run("verify").expect(1, "format 1", "ask for it by its name")
    worker.run("verify", manifest["name"]).expect(0, "all checks passed", "has no code")
    assert worker.list()["newest_verified"] == manifest["name"]
    worker.run("restore", manifest["name"], "--to", tmp_path / "r.db").expect(0)
    ((_, details),) = BackupWorker(tmp_path / "r.db", f"file://{tmp_path}/backups").events()[-1:]
    assert (details["accepted"], details["known_from"]) == (["no_code"], "log")


def test_a_new_machine_asks_the_shipped_copy(worker, tmp_path):
    old = worker.now()
    worker.another_second()
    manifest = worker.now()
    copy = f"file://{tmp_path}/audit.jsonl"
    Shipper(worker.database, copy).run("once").expect(0)
    new = tmp_path / "new" / "wardpost.db"
    new.parent.mkdir()
    here = BackupWorker(new, f"file://{tmp_path}/backups")
    refused = here.run("restore", "latest", "--to", new).expect(1, "no audit log here", "log-shipper backups --json", "--recorded")
    assert "by its name" in refused.err

    told = Shipper(new, copy).run("backups", "--json").expect(0)
    assert [one["name"] for one in told.json["backups"]] == [old["name"], manifest["name"]]
    Shipper(new, copy).run("backups").expect(0, old["name"], manifest["name"], manifest["archive_sha256"])
    (tmp_path / "recorded.json").write_text(told.out)
    recorded = ("--recorded", tmp_path / "recorded.json")
    assert here.run("verify", "--json", *recorded).expect(0, "no database").json["known_from"] == "copy"
    here.run("verify", "--recorded", tmp_path / "none.json").expect(1, "log-shipper backups --json")
    done = here.run("restore", "latest", "--to", new, "--json", *recorded).expect(0).json
    assert (done["name"], done["known_from"], done["accepted"]) == (manifest["name"], "copy", [])
    # By name it goes without, and the log says that nobody was asked.
    here.run("restore", old["name"], "--to", tmp_path / "r.db").expect(0)
    by_name = BackupWorker(tmp_path / "s.db", f"file://{tmp_path}/backups")
    by_name.run("restore", old["name"], "--to", tmp_path / "s.db").expect(0)
    assert by_name.events()[-1][1]["accepted"] == ["no_log"]


def test_the_copy_in_cloudwatch_tells_it_too_page_by_page_and_of_every_stream(worker, tmp_path):
    names = []
    for _ in range(2):
        names.append(worker.now()["name"])
        worker.another_second()
    server = FakeCloudWatch()
    try:
        shipper = Shipper(worker.database, "cloudwatch://wardpost/audit", **server.settings())
        shipper.run("once").expect(0)
        worker.run("restore", names[0], "--to", worker.database, "--replace").expect(0)
        names.append(worker.now()["name"])
        shipper.run("once").expect(0)
        assert len(server.groups["wardpost/audit"]["streams"]) == 2
        elsewhere = Shipper(tmp_path / "new" / "wardpost.db", "cloudwatch://wardpost/audit", **server.settings())
        told = elsewhere.run("backups", "--json").expect(0).json["backups"]
        made = [one["name"] for one in told if one["action"] == "BACKUP_CREATED"]
        assert made == names and [one["name"] for one in told if one["action"] == "DATABASE_RESTORED"] == names[:1]
        assert server.calls.count("FilterLogEvents") == 2
        server.groups.clear()
        elsewhere.run("backups").expect(69, "the copy cannot be read")
    finally:
        server.stop()


def test_an_answer_that_was_changed_on_its_way_is_not_given(worker, tmp_path):
    worker.now()
    copy = tmp_path / "audit.jsonl"
    shipper = Shipper(worker.database, f"file://{copy}")
    shipper.run("once").expect(0)
    copy.write_text(copy.read_text().replace('"sha256":"', '"sha256":"0'))
    shipper.run("backups", "--json").expect(1, "not what its hash covers")


def test_no_session_survives_a_restore(worker):
    assert select(worker.database, "SELECT count(*) FROM session WHERE ended_at IS NULL") == [(1,)]
    worker.now()
    done = worker.run("restore", "latest", "--to", worker.database, "--replace", "--json").expect(0).json
    assert done["ended_sessions"] == 1
    assert select(worker.database, "SELECT end_reason FROM session") == [("restored",)]
    assert select(worker.database, "SELECT action FROM audit_log ORDER BY id DESC LIMIT 2") == [
        ("SESSION_EXPIRED",), ("DATABASE_RESTORED",)
    ]


def test_after_a_restore_what_was_restored_is_known_and_what_was_made_later_is_not(worker):
    first = worker.now()
    seed(worker.database, 10)
    worker.another_second()
    later = worker.now()
    worker.run("restore", first["name"], "--to", worker.database, "--replace").expect(0)
    worker.run("verify", first["name"]).expect(0)
    worker.run("verify").expect(1, "before a restore", first["name"])
    proved = worker.run("verify", later["name"], "--json").expect(0).json
    assert (proved["authenticated"], proved["known_from"], proved["accepted"]) == (True, None, ["not_recorded"])
    worker.another_second()
    newest = worker.now()
    assert worker.run("verify", "--json").expect(0).json["name"] == newest["name"]


def test_a_bomb_and_a_huge_manifest_are_refused_early(worker, tmp_path):
    manifest = worker.now()
    manifest.pop("target")
    place = tmp_path / "backups" / manifest["name"]
    none = BackupWorker(tmp_path / "none.db", f"file://{tmp_path}/backups")
    # A gigabyte of zeros behind a good beginning, and a manifest that a holder of the key wrote.
    (tmp_path / "key").write_text(worker.run("identity", "--print").expect(0).out)
    plain = unpack(place, tmp_path / "key", tmp_path / "plain.sqlite").read_bytes()
    archive, said = sealed_for(manifest["recipients"][-1], plain + bytes(1 << 30), manifest)
    place.write_bytes(archive)
    said |= {"database_bytes": len(plain)}
    manifest_of(place).write_text(authenticated(said))
    none.run("verify", manifest["name"]).expect(1, f"the database in it is longer than {len(plain)} bytes")
    manifest_of(place).write_text(authenticated(said | {"database_bytes": 1 << 60}))
    none.run("verify", manifest["name"]).expect(1, "too full", f"{1 << 60} bytes")
    manifest_of(place).write_text(authenticated(said | {"archive_bytes": 1000}))
    none.run("verify", manifest["name"]).expect(1, "the archive is longer than 1000 bytes")
    # A header without an end, which age would read to the end of memory.
    place.write_bytes(b"age-encryption.org/v1\n-> X25519 " + b"a" * 3_000_000)
    manifest_of(place).write_text(authenticated(said | {"archive_bytes": place.stat().st_size}))
    none.run("verify", manifest["name"]).expect(1, "the header of the archive is longer than 65536 bytes")
    with manifest_of(place).open("w") as file:
        file.truncate(10 << 30)
    none.run("verify", manifest["name"]).expect(1, "the manifest is longer than 65536 bytes")
