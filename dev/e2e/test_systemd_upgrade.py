"""A newer version installed over the one that is there, as docs/INSTALL.md has it under "Upgrade"."""

import json

import sqlcipher3

from support.audit_chain import rewrite_chain
from support.installed_site import PROGRAMS
from support.processes import ROOT
from support.steady_askers import SteadyAskers
from support.visitor import Visitor
from support.waiting import wait_until

DATABASE = "var/lib/wardpost/wardpost.db"
MIGRATIONS = sorted((ROOT / "libs" / "store" / "migrations").glob("*.sql"))


def leave_it_as_the_first_version_did(file, key):
    """Puts what is in the file into one that the first schema made, in its place."""
    older = file.with_name("older.db")
    connection = sqlcipher3.connect(str(older), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{key}'\"")
    connection.executescript(MIGRATIONS[0].read_text())
    connection.execute(f"ATTACH '{file}' AS newest KEY \"x'{key}'\"")
    for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        columns = ", ".join(name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})"))
        # Keys have a table of their own since schema 4.
        keys = " NATURAL JOIN (SELECT message_id AS id, idempotency_key FROM newest.message_key)" if table == "message" else ""
        connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newest.{table}{keys} ORDER BY 1")
    write_names_into_the_log(connection)
    (application,) = connection.execute("PRAGMA newest.application_id").fetchone()
    connection.execute(f"PRAGMA main.application_id = {application}")
    connection.execute("PRAGMA main.user_version = 1")
    connection.close()
    file.write_bytes(older.read_bytes())
    older.unlink()


def write_names_into_the_log(connection):
    """Names stand beside the log, and hashes of people in it, since schema 6."""
    (guard,) = connection.execute("SELECT sql FROM main.sqlite_master WHERE name = 'audit_log_fixed'").fetchone()
    connection.execute("DROP TRIGGER main.audit_log_fixed")
    beside = dict(connection.execute("SELECT audit_id, details FROM newest.audit_personal").fetchall())
    for row, stored in connection.execute("SELECT id, details FROM main.audit_log").fetchall():
        details = json.loads(stored) | json.loads(beside.get(row, "{}"))
        kept = {name: value for name, value in details.items() if name not in ("who", "personal")}
        text = json.dumps(kept, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        connection.execute("UPDATE main.audit_log SET details = ? WHERE id = ?", (text, row))
    rewrite_chain(connection, 1)
    connection.execute(guard)


def test_the_data_and_the_settings_of_the_version_before_are_taken_over(installed):
    machine = installed.machine
    amina = Visitor(installed, "amina")
    number = amina.send("Written under the version before")
    rows = len(amina.audit())
    machine.systemctl("stop", "wardpost.target", "wardpost-*")
    leave_it_as_the_first_version_did(machine.root / DATABASE, installed.secret["DB_ENCRYPTION_KEY"])
    # SQLite makes its companion files again, and the next one to open the file is another user.
    machine.run("sh", "-c", f"rm -f /{DATABASE}-wal /{DATABASE}-shm")
    own = {path: (machine.root / path).read_text() for path in ("etc/wardpost/wardpost.env", "etc/wardpost/aws.env")}

    machine.install()
    assert own == {path: (machine.root / path).read_text() for path in own}, "an operator's settings are kept"
    machine.systemctl("start", "wardpost.target")
    for unit in PROGRAMS:
        machine.wait_for(unit, "active")

    # Its address is set by a drop-in, which was kept too.
    assert amina.get(f"/messages/{number}").status_code == 200, "the message and the session are there"
    assert len(amina.audit()) >= rows
    assert "holds" in machine.run("wardpost", "web", "audit", "verify").stdout
    # Both read tables that the first version did not have.
    machine.run("wardpost", "web", "emergency-access", "list")
    wait_until(
        "every row is shipped again",
        lambda: json.loads(machine.run("wardpost", "log-shipper", "status", "--json").stdout)["lag_rows"] == 0,
        60,
    )
    assert (machine.root / DATABASE).stat().st_mode & 0o777 == 0o660


KEEP = ("rm -rf /usr/local/lib/wardpost.before", "cp -a /usr/local/lib/wardpost /usr/local/lib/wardpost.before")
GO_BACK = "cp -a --remove-destination /usr/local/lib/wardpost.before/. /usr/local/lib/wardpost/"


def restart(machine):
    before = {unit: machine.main_pid(unit) for unit in PROGRAMS}
    machine.systemctl("restart", *PROGRAMS)
    for unit in PROGRAMS:
        machine.wait_for(unit, "active")
    assert all(machine.main_pid(unit) not in (None, pid) for unit, pid in before.items())


def test_an_upgrade_while_people_work_and_the_way_back_lose_no_request(installed):
    machine = installed.machine
    page = (ROOT / "docs" / "INSTALL.md").read_text().splitlines()
    assert {*KEEP, GO_BACK} <= {line.strip() for line in page}
    program = machine.root / "usr/local/lib/wardpost/log-shipper"
    with SteadyAskers(f"{installed.address}/") as askers:
        askers.wait_for_more()
        # What an upgrade before this one has left must not be what is gone back to.
        for command in (*KEEP, *KEEP):
            machine.run(*command.split())
        kept = program.stat().st_mtime_ns
        machine.install()
        assert program.stat().st_mtime_ns > kept, "it is a new file, of the same text"
        restart(machine)
        askers.wait_for_more()
        # The programs run: their files cannot be written into.
        machine.run(*GO_BACK.split())
        assert program.stat().st_mtime_ns == kept
        restart(machine)
        askers.wait_for_more()
    askers.check()
