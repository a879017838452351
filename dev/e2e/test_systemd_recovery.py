"""On a real systemd: programs that are killed, a secret that changes, and a machine that loses its power."""

import secrets

import pytest

from support.installed_site import PROGRAMS
from support.machine import UNIT_SECONDS
from support.steady_askers import ASKERS, SteadyAskers
from support.visitor import Visitor
from support.waiting import wait_until

DATABASE = "/var/lib/wardpost/wardpost.db"
CHECK, ROTATE = "wardpost-secrets-check.timer", "wardpost-secrets-rotate.service"


def main_pids(machine):
    return {unit: machine.main_pid(unit) for unit in PROGRAMS}


def wait_for_others(machine, before, seconds=UNIT_SECONDS):
    """Waits until every program is another process than before, and works."""

    def all_changed():
        now = main_pids(machine)
        changed = all(now[unit] not in (None, before[unit]) for unit in before)
        return changed and all(machine.show(unit, "ActiveState") == "active" for unit in before)

    wait_until(f"{', '.join(before)} run again", all_changed, seconds)


@pytest.mark.parametrize("unit", PROGRAMS)
def test_a_program_that_is_killed_comes_back_by_itself(installed, unit):
    machine = installed.machine
    wait_for_others(machine, {unit: machine.kill(unit)})
    subject = f"Sent after {unit} was killed"
    Visitor(installed, "amina").send(subject)
    wait_until("the row is shipped", lambda: installed.has_shipped("MESSAGE_CREATE"), 60)


def test_programs_that_hang_are_started_again(installed):
    """They live, and do nothing more: it is systemd that misses a sign of life."""
    machine = installed.machine
    try:
        for unit in PROGRAMS:
            machine.drop_in(unit, "[Service]\nWatchdogSec=3s\n")
        machine.systemctl("restart", *PROGRAMS)
        before = main_pids(machine)
        machine.systemctl("kill", "--kill-whom=main", "--signal=STOP", *PROGRAMS)
        wait_for_others(machine, before)
        assert {machine.show(unit, "NRestarts") for unit in PROGRAMS} == {"1"}, "once, and they go on"
    finally:
        for unit in PROGRAMS:
            machine.drop_in(unit, "")
        machine.systemctl("restart", *PROGRAMS)
    assert "watchdog" in machine.journal(*PROGRAMS).casefold()


def test_a_request_while_the_site_cannot_start_is_answered_once_it_can(installed):
    """The socket stays, however often the service behind it fails."""
    machine, unit = installed.machine, "wardpost-web.service"
    with SteadyAskers(f"{installed.address}/healthz") as askers:
        askers.wait_for_more()
        machine.drop_in(unit, "[Service]\nExecStartPre=/bin/false\nRestartSec=100ms\n")
        try:
            machine.kill(unit)
            # More often than systemd lets a socket start a service within 2 seconds.
            wait_until("it has failed again and again", lambda: int(machine.show(unit, "NRestarts")) >= 30, 60)
        finally:
            machine.drop_in(unit, "")
        machine.wait_for(unit, "active")
        askers.wait_for_more()
    lost = [answer for answer in askers.answers if answer != 200]
    # What was being answered when it was killed is lost, one a client at most.
    assert len(lost) <= ASKERS, lost
    assert machine.show("wardpost-web.socket", "Result") == "success"


def test_a_changed_secret_is_taken_over_and_no_request_is_lost(installed):
    machine = installed.machine
    assert machine.fire(CHECK) == "success"
    before = main_pids(machine)
    visitor = Visitor(installed, "amina")
    changed = installed.secret | {"APP_SECRET": secrets.token_hex(32)}
    with SteadyAskers(f"{installed.address}/") as askers:
        askers.wait_for_more()
        installed.moto.put(changed)
        assert machine.fire(CHECK) == "success"
        wait_for_others(machine, before)
        askers.wait_for_more()
    askers.check()
    machine.wait_for(ROTATE, "inactive")
    assert machine.show(ROTATE, "Result") == "success", machine.status(ROTATE)
    environment = machine.run("cat", f"/proc/{machine.main_pid('wardpost-web.service')}/environ").stdout.split("\0")
    # Not in the assertion itself, which would say the value when it fails.
    taken_over = f"APP_SECRET={changed['APP_SECRET']}" in environment
    assert taken_over, "web runs with another APP_SECRET than the new one"
    assert visitor.get("/messages").status_code == 200, "who was signed in still is"
    installed.secret = changed

    # Nothing has changed since: nothing is started again.
    now = main_pids(machine)
    assert machine.fire(CHECK) == "success"
    assert main_pids(machine) == now


def test_another_database_key_is_not_taken_over(installed):
    """With it, no program could open the database any more."""
    machine = installed.machine
    before = main_pids(machine)
    installed.moto.put(installed.secret | {"DB_ENCRYPTION_KEY": secrets.token_hex(32)})
    try:
        assert machine.fire(CHECK) == "success"
        machine.wait_for(ROTATE, "failed")
        assert "DATABASE_KEY_CHANGED" in machine.journal(ROTATE)
        assert main_pids(machine) == before
    finally:
        installed.moto.put(installed.secret)
        machine.systemctl("reset-failed", ROTATE)


def test_the_database_gets_another_key_while_people_keep_asking(installed):
    """docs/KEY-ROTATION.md, DB_ENCRYPTION_KEY, from step 3 on: nobody starts a program meanwhile, and no connection does."""
    machine = installed.machine
    number = Visitor(installed, "amina").send("Sent under the old key")
    old, new = installed.secret, secrets.token_hex(32)
    installed.moto.put(old | {"DB_ENCRYPTION_KEY_NEW": new})
    machine.systemctl("restart", "wardpost-secrets")
    with SteadyAskers(f"{installed.address}/healthz") as askers:
        askers.wait_for_more()
        machine.systemctl("stop", "wardpost.target", "wardpost-*")
        askers.wait_for_more()
        assert machine.show("wardpost-web.service", "ActiveState") == "inactive", "somebody who knocked has started it"
        # As after a restore: another program's, and the group's.
        machine.run("chown", "wardpost-backup-worker:wardpost", DATABASE)
        done = machine.run("wardpost", "web", "rekey", "--yes", "--json", check=False)
        # Not an `assert ==`: the failure's own words would go on to say the keys.
        if done.returncode != 0:
            installed.moto.put(old)
            machine.systemctl("restart", "wardpost-secrets")
            machine.systemctl("start", "wardpost.target")
            raise AssertionError(f"it was not given another key: {done.stderr}")
        installed.secret = old | {"DB_ENCRYPTION_KEY": new}
        installed.moto.put(installed.secret)
        machine.systemctl("restart", "wardpost-secrets")
        machine.systemctl("start", "wardpost.target")
        installed.wait_until_up()
    assert machine.run("stat", "--format=%a %U:%G", DATABASE).stdout.strip() == "660 wardpost-web:wardpost"
    assert Visitor(installed, "amina").get(f"/messages/{number}").status_code == 200
    assert "holds" in machine.run("wardpost", "web", "audit", "verify").stdout
    # The worker may be at one of its own.
    wait_until("a backup is made under the new key", lambda: machine.run("wardpost", "backup-worker", "now", check=False).returncode == 0, 60)
    machine.run("wardpost", "backup-worker", "verify")
    wait_until("the change is shipped", lambda: installed.has_shipped("DATABASE_REKEYED"), 60)


def test_a_machine_that_is_started_again_comes_up_by_itself(installed):
    machine = installed.machine
    number = Visitor(installed, "huong").send("Sent before the machine was started again")
    machine.shut_down()
    machine.boot()
    installed.wait_until_up()
    for unit in PROGRAMS:
        assert machine.show(unit, "NRestarts") == "0", machine.status(unit)
    assert Visitor(installed, "huong").get(f"/messages/{number}").status_code == 200


def test_a_machine_that_lost_its_power_comes_up_by_itself_even_before_its_secrets_can_be_had(installed):
    machine = installed.machine
    number = Visitor(installed, "noor").send("Sent just before the power went")
    # What was logged and not sent before is sent after.
    machine.systemctl("stop", "wardpost-log-shipper.service")
    marker = f"marker-{secrets.token_hex(8)}"
    machine.drop_in("wardpost-web.service", f"[Service]\nExecStartPre=/usr/bin/echo {marker}\n")
    machine.systemctl("restart", "wardpost-web.service")
    machine.drop_in("wardpost-web.service", "")
    machine.run("journalctl", "--sync")
    # Nobody listens on port 1: AWS cannot be reached.
    installed.set_aws(AWS_ENDPOINT_URL="http://127.0.0.1:1")

    machine.cut_power()
    machine.boot()
    unit = "wardpost-secrets.service"
    wait_until("the secrets are being fetched", lambda: machine.main_pid(unit), UNIT_SECONDS)
    assert machine.show("wardpost-web.service", "ActiveState") != "active"
    installed.set_aws()
    machine.kill(unit)

    installed.wait_until_up()
    assert Visitor(installed, "noor").get(f"/messages/{number}").status_code == 200
    wait_until("every message's row is shipped", lambda: installed.has_shipped("MESSAGE_CREATE"), 60)
    wait_until("the log line from before is shipped", lambda: marker in installed.application_log(), 60)
    for program in PROGRAMS:
        assert machine.show(program, "Result") == "success", machine.status(program)
