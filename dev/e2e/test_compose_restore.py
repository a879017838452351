"""The steps of docs/RUNBOOK.md, "Restore under compose", one by one: a database that the disk has damaged, and a machine
that is gone."""

import json
import os
import secrets
from pathlib import Path

from support.composed_site import PROGRAMS
from support.waiting import wait_until

DATABASE = "/var/lib/wardpost/wardpost.db"


def restore(composed, which, *more, mounted=(), **options):
    """The command by hand, while the programs are stopped."""
    command = ["backup-worker", "restore", which, "--to", DATABASE, *more]
    return composed.compose("run", "--rm", "--no-deps", *mounted, "backup-worker", *command, **options)


def volume(composed):
    """The folder of the database, as the machine has it."""
    (told,) = json.loads(composed.host.docker("volume", "inspect", "wardpost_database").stdout)
    return Path(told["Mountpoint"])


def back_up(composed):
    """A backup that was proved; the service itself may be at one, at its start."""

    def now():
        made = composed.run_in("backup-worker", "backup-worker", "now", "--json", check=False)
        assert made.returncode == 0 or "is running" in made.stderr or "is there already" in made.stderr, made.stderr
        return json.loads(made.stdout)["name"] if made.returncode == 0 else None

    name = wait_until("a backup is made", now, seconds=60)
    composed.run_in("backup-worker", "backup-worker", "verify", name)
    return name


def status(composed):
    return json.loads(composed.run_in("log-shipper", "log-shipper", "status", "--json").stdout)


def look_that_all_is_well(composed, name, restored):
    """The last steps of a restore, and what they promise."""
    composed.up()
    assert composed.member("amina").get("/messages").status_code != 200, "a session survived the restore"
    composed.forget_members()
    amina = composed.member("amina")
    row = amina.audit(action="DATABASE_RESTORED")[-1]
    assert row["details"]["backup"] == name and row["id"] == restored["restored_row"] + 1
    wait_until("every row is shipped again, under the new name", lambda: status(composed)["lag_rows"] == 0, 60)
    assert "/restored-" in status(composed)["stream"]
    composed.run_in("log-shipper", "log-shipper", "verify")
    composed.run_in("web", "web", "audit", "verify")
    back_up(composed)
    file = (volume(composed) / "wardpost.db").stat()
    assert (file.st_gid, file.st_mode & 0o777) == (10000, 0o660), "every program opens it"


def test_while_the_programs_run_nothing_is_restored(composed):
    number = composed.member("amina").send("Served while somebody tries")
    back_up(composed)
    refused = restore(composed, "latest", "--replace", check=False)
    assert refused.returncode == 1
    assert "a program has the database open: stop web, log-shipper and backup-worker first" in refused.stderr + refused.stdout
    assert composed.member("amina").find("Served while somebody tries") == number


def test_a_damaged_database_is_replaced_by_a_backup(composed):
    amina = composed.member("amina")
    number = amina.send("Kept by the backup")
    name = back_up(composed)
    amina.send("Sent after the backup")
    newest = amina.audit()[-1]["id"]
    wait_until("every row is shipped", lambda: status(composed)["lag_rows"] == 0, 60)

    # The disk has lost the beginning of the file.
    with (volume(composed) / "wardpost.db").open("r+b") as file:
        file.write(os.urandom(8192))
    composed.compose("restart", "web")
    wait_until("the site says what it found", lambda: "no Wardpost database under this key" in said(composed, "web"), 60)
    assert composed.stranger().get("/").status_code == 503

    composed.compose("stop", *PROGRAMS)
    # No log can be asked which one is the newest: it is named.
    assert "no audit log here" in restore(composed, "latest", "--replace", check=False).stderr
    restored = json.loads(restore(composed, name, "--replace", "--json").stdout)
    assert restored["name"] == name and restored["restored_row"] < newest
    aside = volume(composed) / Path(restored["replaced"]).name
    assert aside.exists(), "what was there is kept"
    look_that_all_is_well(composed, name, restored)
    amina = composed.member("amina")
    assert amina.find("Kept by the backup") == number
    assert "Sent after the backup" not in amina.get("/messages").text
    aside.unlink()


def test_a_restored_database_is_given_another_key(composed):
    """docs/KEY-ROTATION.md, DB_ENCRYPTION_KEY, from step 3 on, with the commands of compose."""
    number = composed.member("amina").send("Sent under the old key")
    new = secrets.token_hex(32)
    composed.change_secret(DB_ENCRYPTION_KEY_NEW=new)
    composed.compose("stop", *PROGRAMS)
    # As a restore leaves it: backup-worker's, and the group's.
    os.chown(volume(composed) / "wardpost.db", 10003, 10000)
    done = composed.compose("run", "--rm", "--no-deps", "web", "web", "rekey", "--yes", "--json").stdout
    assert json.loads(done)["opens_with"] == "DB_ENCRYPTION_KEY_NEW"
    composed.change_secret(DB_ENCRYPTION_KEY=new, DB_ENCRYPTION_KEY_NEW=None)
    composed.up()
    assert composed.member("amina").find("Sent under the old key") == number
    composed.run_in("web", "web", "audit", "verify")
    back_up(composed)


def said(composed, service):
    logs = composed.host.docker("logs", f"wardpost-{service}-1")
    return logs.stdout + logs.stderr


def test_a_machine_that_is_lost_is_made_again_from_a_backup(composed, tmp_path):
    number = composed.member("amina").send("Outlives the machine")
    name = back_up(composed)
    safe = tmp_path / "identity"
    safe.touch(mode=0o600)
    safe.write_text(composed.run_in("backup-worker", "backup-worker", "identity", "--print").stdout)
    os.chown(safe, 10003, -1)
    wait_until("every row is shipped", lambda: status(composed)["lag_rows"] == 0, 60)
    # All that the machine kept.
    composed.compose("down", "--volumes")
    assert "wardpost_database" not in composed.host.docker("volume", "ls", "--quiet").stdout.split()

    composed.compose("run", "--rm", "secrets-init-backup-worker")
    identity = ["--volume", f"{safe}:/identity.txt:ro"]
    restored = json.loads(restore(composed, name, "--identity", "/identity.txt", "--json", mounted=identity).stdout)
    assert (restored["name"], restored["replaced"]) == (name, None)
    running = composed.host.docker("ps", "--format", "{{.Names}}").stdout.split()
    assert running == ["wardpost-secrets-keeper-1"], "no site has made an empty database"
    look_that_all_is_well(composed, name, restored)
    assert composed.member("amina").find("Outlives the machine") == number
