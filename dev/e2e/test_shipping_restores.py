"""A restore begins a stream of its own, and `log-shipper verify` follows them all from the oldest: a restore that was never
made cannot lead it to a copy that an intruder wrote."""

import json

import pytest

from support.audit_chain import append_row, rewrite_chain
from support.backups import BackupWorker
from support.database_program import open_database, seed, select
from support.fake_cloudwatch import FakeCloudWatch, refuse
from support.shipper import Shipper

MESSAGES = 30
NEWEST = MESSAGES + 2


@pytest.fixture
def shipper(tmp_path):
    """A database and its copy in a file, which agree."""
    seed(tmp_path / "wardpost.db", MESSAGES)
    shipper = Shipper(tmp_path / "wardpost.db", f"file://{tmp_path}/audit.jsonl")
    shipper.run("once").expect(0)
    shipper.run("verify").expect(0)
    return shipper


@pytest.fixture
def worker(shipper, tmp_path):
    (tmp_path / "backups").mkdir()
    return BackupWorker(shipper.database, f"file://{tmp_path}/backups")


def head_of(connection):
    row, digest = connection.execute("SELECT id, hash FROM audit_head").fetchone()
    return {"row": row, "hash": digest.hex()}


def forge(shipper, *, details=None, change="UPDATE audit_log SET ip = '192.0.2.99' WHERE id = 20", start=20):
    """What an intruder with the key does: an old row is changed, the chain made to hold, and a restore is made up."""
    connection = open_database(shipper.database)
    connection.execute(change)
    rewrite_chain(connection, start)
    told = {"backup": "wardpost-20261122T020000Z.sqlite.gz.age", "restored_head": head_of(connection), "given_up_head": None}
    row = append_row(connection, "DATABASE_RESTORED", told | (details or {}))
    connection.close()
    shipper.run("once").expect(0)
    return row


def found(shipper, code=1, *arguments):
    report = shipper.run("verify", "--json", *arguments).expect(code).json
    assert report["agrees"] == (code == 0)
    return [(one["kind"], one["id"]) for one in report["differences"]]


def test_a_forged_restore_does_not_lead_verify_to_another_copy(shipper):
    forge(shipper)
    shipper.run("verify").expect(1, "DIFFER")


def test_a_forged_restore_is_named_with_what_it_would_hide(shipper):
    row = forge(shipper)
    # The head that it names is that of the changed log. Nothing of the old rows' own differences is hidden by it.
    assert found(shipper) == [*[("changed", number) for number in range(20, NEWEST + 1)], ("head_unknown", row)]
    shipper.run("verify").expect(1, "row 20 is not the row that was shipped", "never had", "NOT PROVED")


def test_a_forged_restore_from_a_real_backup_is_found(worker, shipper):
    made = worker.now()
    shipper.run("once").expect(0)
    row = forge(shipper, details={"backup": made["name"]})
    assert ("head_unknown", row) in found(shipper)


def test_a_forged_restore_that_names_the_true_head_is_found(shipper):
    """The row before it is another one, whatever it says."""
    connection = open_database(shipper.database)
    true = head_of(connection)
    connection.close()
    row = forge(shipper, details={"restored_head": true})
    assert ("head_unknown", row) in found(shipper)


def test_a_restore_from_a_backup_that_was_never_recorded_is_found(shipper):
    """The rows are the true ones up to there, and no backup ended there."""
    row = forge(shipper, change="DELETE FROM audit_log WHERE id > 25", start=20)
    assert found(shipper) == [("backup_unknown", row)]


def restored(worker, shipper, *, more=5):
    """A backup, some more rows, all of it shipped; and then the backup is put back, and shipped as well."""
    made = worker.now()
    seed(worker.database, more)
    shipper.run("once").expect(0)
    old = shipper.status()
    worker.run("restore", made["name"], "--to", worker.database, "--replace").expect(0)
    shipper.run("once").expect(0)
    return made, old


def test_a_restore_is_followed_and_what_it_gave_up_is_listed(worker, shipper):
    made, old = restored(worker, shipper)
    report = shipper.run("verify", "--json").expect(0).json
    first, second = report["streams"]
    assert (first["name"], first["role"], first["checked"]) == (old["stream"], "before", NEWEST)
    assert first["given_up"] == {"from": NEWEST + 1, "to": old["newest"], "rows": old["newest"] - NEWEST}
    assert second["role"] == "current" and second["name"] == shipper.status()["stream"]
    assert second["restore"] == {"row": NEWEST + 1, "backup": made["name"], "before": old["stream"], "proof": "proved"}
    assert report["given_up_by_restores"] == old["newest"] - NEWEST
    shipper.run("verify").expect(0, f"{NEWEST + 1} to {old['newest']}", made["name"])


def test_an_old_row_changed_after_a_real_restore_is_found_in_both_streams(worker, shipper):
    restored(worker, shipper)
    connection = open_database(shipper.database)
    connection.execute("UPDATE audit_log SET ip = '192.0.2.99' WHERE id = 20")
    connection.close()
    assert found(shipper) == [("changed", 20), ("changed", 20)]


def test_rows_of_an_earlier_version_are_taken_at_their_word_and_it_is_said(worker, shipper):
    """BACKUP_CREATED did not say where the backup's log ended, and DATABASE_RESTORED not which log it gave up."""
    made = worker.now()
    connection = open_database(shipper.database)
    connection.execute("UPDATE audit_log SET details = json_remove(details, '$.head') WHERE action = 'BACKUP_CREATED'")
    rewrite_chain(connection, NEWEST + 1)
    connection.close()
    shipper.run("once").expect(0)
    worker.run("restore", made["name"], "--to", worker.database, "--replace").expect(0)
    connection = open_database(shipper.database)
    connection.execute("UPDATE audit_log SET details = json_remove(details, '$.given_up_stream') WHERE id = ?", (NEWEST + 1,))
    rewrite_chain(connection, NEWEST + 1)
    connection.close()
    shipper.run("once").expect(0)
    report = shipper.run("verify", "--json").expect(0).json
    assert report["streams"][1]["restore"]["proof"] == "by_name_only"
    shipper.run("verify").expect(0, "by an earlier version")


def test_a_backup_that_is_put_back_twice_leaves_a_stream_that_is_explained(worker, shipper):
    made, _ = restored(worker, shipper)
    worker.run("restore", made["name"], "--to", worker.database, "--replace").expect(0)
    shipper.run("once").expect(0)
    assert roles(shipper) == ["before", "current", "given_up"]


def test_the_empty_database_of_a_new_machine_is_explained_by_the_restore_that_replaces_it(worker, shipper):
    """The site was started first, and what it made was shipped before anybody thought of it."""
    made = worker.now()
    shipper.run("once").expect(0)
    shipper.database.unlink()
    seed(shipper.database, 1)
    assert len(alarms(shipper.run("once").expect(0))) == 1
    assert ("stream_unexplained", None) in found(shipper)
    worker.run("restore", made["name"], "--to", worker.database, "--replace").expect(0)
    shipper.run("once").expect(0)
    assert roles(shipper) == ["before", "current", "given_up"]


def test_a_database_that_goes_on_elsewhere_is_not_explained(worker, shipper):
    """A second machine runs a backup, and ships to the same place."""
    made = worker.now()
    shipper.run("once").expect(0)
    elsewhere = shipper.folder / "elsewhere.db"
    worker.run("restore", made["name"], "--to", elsewhere).expect(0)
    other = Shipper(elsewhere, f"file://{shipper.folder}/audit.jsonl")
    other.run("once").expect(0)
    other.run("verify").expect(0)
    assert found(shipper) == [("stream_unexplained", None)]


def test_a_stream_that_is_missing_is_found_until_somebody_takes_note(worker, shipper):
    _, old = restored(worker, shipper)
    path = shipper.folder / "audit.jsonl"
    lines = [line for line in path.read_text().splitlines() if f'"stream":"{old["stream"]}"' not in line]
    path.write_text("".join(f"{line}\n" for line in lines))
    # The shipping state in the backup says how far the stream had come.
    assert found(shipper) == [("missing", 1), ("missing", NEWEST + 1), ("stream_missing", NEWEST + 1)]
    assert found(shipper, 0, "--from", NEWEST + 2) == []


def test_a_range_does_not_hide_rows_that_a_forged_restore_would_give_up(shipper):
    """The nightly verification of a machine with a past begins after its last incident."""
    row = forge(shipper, change="DELETE FROM audit_log WHERE id > 25", start=20)
    assert row == 26
    assert found(shipper, 1, "--from", row + 2) == [("backup_unknown", row)]


def roles(shipper):
    """What each stream of the copy is found to be, in a copy that agrees."""
    return [stream["role"] for stream in shipper.run("verify", "--json").expect(0).json["streams"]]


def alarms(run):
    return [json.loads(line) for line in run.err.splitlines() if '"new_audit_stream"' in line]


def test_a_new_stream_is_an_alarm_once(worker, shipper):
    made = worker.now()
    assert alarms(shipper.run("once").expect(0)) == []
    worker.run("restore", made["name"], "--to", worker.database, "--replace").expect(0)
    (alarm,) = alarms(shipper.run("once").expect(0))
    assert (alarm["level"], alarm["alarm"], alarm["stream"]) == ("ERROR", "SECURITY_ALERT", shipper.status()["stream"])
    for _ in range(2):
        seed(worker.database, 1)
        assert alarms(shipper.run("once").expect(0)) == []
    rows = select(worker.database, "SELECT id FROM audit_log WHERE action = 'SECURITY_ALERT'")
    assert rows == [(int(alarm["row"]),)]


def test_the_first_stream_of_a_copy_is_no_alarm_and_a_stranger_in_it_is(shipper, tmp_path):
    assert select(shipper.database, "SELECT id FROM audit_log WHERE action = 'SECURITY_ALERT'") == []
    seed(tmp_path / "stranger.db", 1)
    stranger = Shipper(tmp_path / "stranger.db", f"file://{tmp_path}/audit.jsonl")
    assert len(alarms(stranger.run("once").expect(0))) == 1


@pytest.fixture
def cloud():
    server = FakeCloudWatch()
    yield server
    server.stop()


@pytest.fixture
def away(worker, cloud):
    """The same to a log group."""
    return Shipper(worker.database, "cloudwatch://wardpost/audit", **cloud.settings())


def test_every_stream_of_a_group_is_found(worker, away, cloud):
    restored(worker, away)
    assert [stream["role"] for stream in away.run("verify", "--json").expect(0).json["streams"]] == ["before", "current"]
    for number in range(5):
        cloud.groups["wardpost/audit"]["streams"][f"stranger-{number}"] = []
    assert found(away) == [("stream_unexplained", None)] * 5


def test_a_forged_restore_is_found_in_a_group(away):
    away.run("once").expect(0)
    row = forge(away)
    assert found(away)[-1] == ("head_unknown", row)


@pytest.mark.parametrize("days, kinds", [(364, [("retention_too_short", None)]), (365, []), (None, [])])
def test_a_group_that_lets_rows_go_too_early_is_found(days, kinds, away, cloud):
    away.run("once").expect(0)
    cloud.groups["wardpost/audit"]["retention"] = days
    assert found(away, 1 if kinds else 0) == kinds


@pytest.mark.parametrize("call", ["DescribeLogGroups", "DescribeLogStreams"])
def test_a_right_that_is_missing_is_named_and_nothing_is_called_different(call, away, cloud):
    away.run("once").expect(0)
    setattr(cloud, call, lambda wanted: refuse(400, "AccessDeniedException")())
    away.run("verify").expect(69, f"logs:{call}", "wardpost/audit")


def test_a_group_that_does_not_tell_its_streams_gets_the_rows_and_an_alarm(away, cloud):
    """Whether the stream is the first one cannot be known."""
    cloud.DescribeLogStreams = lambda wanted: refuse(400, "AccessDeniedException")()
    for count in (1, 0):
        assert len(alarms(away.run("once").expect(0))) == count
    assert away.status()["lag_rows"] == 0
