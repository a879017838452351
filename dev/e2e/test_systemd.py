"""The package as an operator installs it, on a real systemd: a day's work, the commands, and an orderly end."""

import json
import re
import secrets
import socket
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from support.browser import row, sign_in, write_message
from support.database_program import open_database
from support.installed_site import BUCKET, EVERYTHING, PROGRAMS
from support.processes import ROOT
from support.secrets_init import NAME, VERSION, parse_env
from support.visitor import Visitor
from support.waiting import wait_until


UNITS = sorted(file.name for file in (ROOT / "systemd" / "units").iterdir() if file.is_file())


def shipped_actions(installed):
    return [row["action"] for row in installed.shipped().values()]


def wait_for_the_first_drill(installed):
    """backup-worker makes and proves a backup at its first start; meanwhile nobody else can."""
    wait_until("a backup is proved", lambda: "BACKUP_VERIFIED" in shipped_actions(installed), 60)


def test_the_target_stands_for_everything(installed):
    # Without roles in AWS there is nobody to hand credentials to: test_systemd_credentials.py.
    credentials = [unit for unit in UNITS if unit.startswith("wardpost-credentials.")]
    assert {installed.machine.show(unit, "ActiveState") for unit in credentials} == {"inactive"}
    started = [unit for unit in UNITS if unit.endswith((".target", ".socket", ".timer")) and unit not in credentials]
    assert {*started, *PROGRAMS, "wardpost-secrets.service"} == set(EVERYTHING)
    installed.wait_until_up()
    # What cron sends by mail where there are no other alarms.
    (command,) = re.findall("^ +0 7 .* root (systemctl .*)$", (ROOT / "docs" / "INSTALL.md").read_text(), re.MULTILINE)
    assert installed.machine.run("sh", "-c", command).stdout == ""


def make_a_backup(machine):
    """One by hand; the service itself may be at one."""
    command = ("wardpost", "backup-worker", "now")
    wait_until("a backup is made", lambda: machine.run(*command, check=False).returncode == 0, 60)


def test_a_member_signs_in_and_sends_and_the_rows_reach_the_sink(installed, windows):
    page = sign_in(windows.window(installed), "amina")
    write_message(page, "From an installed site")
    row(page, "From an installed site").wait_for()
    wait_until("both rows are shipped", lambda: {"LOGIN", "MESSAGE_CREATE"} <= set(shipped_actions(installed)), 60)


@pytest.mark.parametrize("what", ["chain", "copy", "backup"])
def test_a_timer_verifies_what_the_programs_wrote(installed, what):
    wait_for_the_first_drill(installed)
    timer, unit = f"wardpost-verify-{what}.timer", f"wardpost-verify-{what}.service"
    assert installed.machine.show(timer, "ActiveState") == "active", "the target starts its timers"
    assert installed.machine.fire(timer) == "success", installed.machine.status(unit)
    said = [json.loads(line) for line in installed.machine.journal(unit).splitlines() if line.startswith("{")]
    assert {"chain": {"sound": True}, "copy": {"agrees": True}, "backup": {"sound": True, "recorded": True}}[
        what
    ].items() <= said[-1].items()


def test_a_timer_that_finds_damage_fails_its_unit(installed):
    machine = installed.machine
    machine.run("sh", "-c", "cd /var/lib/wardpost && for end in '' -wal; do cp wardpost.db$end damaged.db$end; done")
    copy = machine.root / "var/lib/wardpost/damaged.db"
    tampering = open_database(copy, installed.secret["DB_ENCRYPTION_KEY"])
    tampering.execute("UPDATE audit_log SET details = '{}' WHERE id = 1")
    tampering.close()
    machine.run("sh", "-c", "chown wardpost-web:wardpost /var/lib/wardpost/damaged.db && chmod 660 /var/lib/wardpost/damaged.db")
    unit = "wardpost-verify-chain.service"
    machine.drop_in(unit, "[Service]\nEnvironment=WARDPOST_DB=/var/lib/wardpost/damaged.db\n")
    try:
        assert machine.fire("wardpost-verify-chain.timer") == "exit-code"
        assert '"first_bad_row":1' in machine.journal(unit)
    finally:
        machine.drop_in(unit, "")
        machine.run("sh", "-c", "rm /var/lib/wardpost/damaged.db*")
        machine.systemctl("reset-failed", unit)


def not_the_programs(machine):
    """What in the database's folder belongs to root, or to another group."""
    belongs = ["(", "-user", "root", "-or", "!", "-group", "wardpost", ")"]
    return machine.run("find", "/var/lib/wardpost", "-mindepth", "1", *belongs).stdout


def test_the_command_runs_each_program_as_its_own_user(installed):
    machine = installed.machine
    Visitor(installed, "tomas")
    staff = machine.run("wardpost", "web", "staff", "list", "--json").stdout
    assert "tomas@clinic.example" in staff
    assert json.loads(machine.run("wardpost", "backup-worker", "list", "--json").stdout)
    assert json.loads(machine.run("wardpost", "log-shipper", "status", "--json").stdout)["quarantined"] == 0
    refused = machine.run("wardpost", "secrets-init", check=False)
    assert refused.returncode == 64 and "usage" in refused.stderr
    assert machine.run("wardpost", "web", "no-such-command", check=False).returncode == 64
    assert not_the_programs(machine) == ""


def test_a_backup_that_is_restored_is_served_again(installed):
    machine = installed.machine
    number = Visitor(installed, "noor").send("Kept by a backup")
    wait_for_the_first_drill(installed)
    machine.run("wardpost", "backup-worker", "now")
    # Stopping the target alone does not wait until its units have ended.
    machine.systemctl("stop", "wardpost.target", "wardpost-*")
    machine.run(
        "wardpost", "backup-worker", "restore", "latest", "--to", "/var/lib/wardpost/wardpost.db", "--replace"
    )
    assert not_the_programs(machine) == ""
    machine.systemctl("start", "wardpost.target")
    for unit in PROGRAMS:
        machine.wait_for(unit, "active")
    assert Visitor(installed, "noor").get(f"/messages/{number}").status_code == 200
    wait_until("the restore is shipped", lambda: "DATABASE_RESTORED" in shipped_actions(installed), 60)


def test_backups_go_to_another_disk_where_the_runbook_lets_them(installed):
    """Without AWS: `ReadWritePaths=` for a folder that is its user's own, under "Install"."""
    machine, folder, unit = installed.machine, "/mnt/backups/wardpost", "wardpost-backup-worker.service"
    wait_for_the_first_drill(installed)
    machine.run("install", "-d", "-o", "wardpost-backup-worker", "-m", "700", folder)
    machine.drop_in(unit, f"[Service]\nReadWritePaths=-{folder}\n")
    installed.set_settings(WARDPOST_BACKUP_TARGET=f"file://{folder}")
    try:
        machine.systemctl("restart", unit)
        pid = machine.outside_pid(machine.main_pid(unit))
        for path, may in ((folder, True), ("/mnt/backups", False)):
            assert (machine.run("touch", f"{path}/e2e", of=pid, check=False).returncode == 0) == may, path
        make_a_backup(machine)
        machine.systemctl("start", "wardpost-verify-backup.service")
        assert json.loads(machine.run("wardpost", "backup-worker", "list", "--json").stdout)["backups"][0]["verified_at"]
    finally:
        installed.set_settings()
        machine.drop_in(unit, "")
        machine.systemctl("restart", unit)


def test_a_backup_tells_under_which_version_of_the_secret_it_was_made(installed):
    """Anyone who opens it in a year has to know which key to look for. No program may read the env file itself."""
    machine = installed.machine
    wait_for_the_first_drill(installed)
    machine.run("wardpost", "backup-worker", "now")
    bucket = installed.moto.connect("s3")
    newest = max(item["Key"] for item in bucket.list_objects_v2(Bucket=BUCKET)["Contents"] if item["Key"].endswith(".json"))
    manifest = json.load(bucket.get_object(Bucket=BUCKET, Key=newest)["Body"])
    written = parse_env(machine.run("cat", "/run/wardpost/env").stdout)[VERSION]
    versions = installed.moto.client.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert manifest["secret_version"] == written in {version["VersionId"] for version in versions}


def test_stopping_answers_what_is_on_its_way_and_then_nobody(installed):
    machine = installed.machine
    visitor = Visitor(installed, "amina")
    form = urlencode({"csrf": visitor.csrf, "key": secrets.token_hex(16), "subject": "Sent while stopping", "body": "b"})
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    site = urlsplit(installed.address)
    with socket.create_connection((site.hostname, site.port), timeout=60) as connection:
        head = (
            f"POST /messages HTTP/1.1\r\nHost: {site.netloc}\r\nOrigin: {installed.address}\r\nCookie: {cookies}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
        )
        connection.sendall((head + form[:20]).encode())
        # Answered after the head of ours was read: the site serves what came first.
        installed.get("/healthz")
        machine.systemctl("stop", "--no-block", "wardpost.target")
        machine.wait_for("wardpost-web.service", "deactivating")
        connection.sendall(form[20:].encode())
        answer = connection.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 303 "), answer
    for unit in [*PROGRAMS, "wardpost-web.socket", "wardpost-secrets-check.timer"]:
        machine.wait_for(unit, "inactive")
        assert machine.show(unit, "Result") == "success", machine.status(unit)
    with pytest.raises(requests.ConnectionError):
        installed.get("/healthz")
    machine.systemctl("start", "wardpost.target")
    for unit in PROGRAMS:
        machine.wait_for(unit, "active")
    assert Visitor(installed, "amina").find("Sent while stopping")
