"""The programs' log lines, from a real journal to a sink of their own: every line at least once, whatever it holds."""

import secrets

import pytest

from support.installed_site import APPLICATION_LOG
from support.processes import ROOT
from support.visitor import Visitor
from support.waiting import wait_until

SHIPPER = "wardpost-log-shipper.service"
WEB = "wardpost-web.service"
# Fewer than the units' LogRateLimitBurst: what the journal drops is lost to everybody.
LINES = 3000
KILLS = 3
# The journal cuts lines at 48 KiB.
LONG = 100_000


def log_by(installed, shell):
    """Has the unit of web log what a shell script prints, before web starts."""
    machine = installed.machine
    machine.write("/usr/local/lib/e2e-log", f"#!/bin/sh\n{shell}\n", mode=0o755)
    machine.drop_in(WEB, "[Service]\nExecStartPre=/usr/local/lib/e2e-log\n")
    try:
        machine.systemctl("restart", WEB)
    finally:
        machine.drop_in(WEB, "")


def wait_for_lines(installed, what, condition):
    return wait_until(what, lambda: condition(installed.application_log()), seconds=60)


def test_lines_of_every_kind_arrive(installed):
    name = secrets.token_hex(8)
    words = LONG // 6
    log_by(
        installed,
        f"echo '{name} is not JSON'\n"
        f"printf '{name} bytes \\377\\376 end\\n'\n"
        f"printf '\\n'\n"
        f"seq -f '{name[:4]}%06.0f' -s ' ' {words}\n"
        f"echo '{name} last'",
    )
    wait_for_lines(installed, "the last line arrives", lambda lines: f"{name} last" in lines)
    lines = installed.application_log()
    assert f"{name} is not JSON" in lines
    assert f"{name} bytes \ufffd\ufffd end" in lines
    # In pieces, as the journal cut it: none is missing, and together they are the line.
    pieces = [line for line in lines if line.startswith(name[:4]) or f" {name[:4]}" in line]
    line = " ".join(f"{name[:4]}{number:06}" for number in range(1, words + 1))
    left = line
    while left:
        piece = next((piece for piece in pieces if piece and left.startswith(piece)), None)
        assert piece, f"after {len(line) - len(left)} of {len(line)} characters the rest is missing"
        # What a piece ends with is not kept where it is a space.
        left = left[len(piece) :].lstrip(" ")
    assert any('"program":"web"' in line and '"message":"listening"' in line for line in lines), "JSON lines as they are"
    assert all(line.strip() for line in lines)


def test_every_service_is_heard_and_so_is_systemd_about_it(installed):
    machine = installed.machine
    machine.systemctl("start", "wardpost-secrets-check.service", "wardpost-verify-chain.service")
    for unit in sorted((ROOT / "systemd" / "units").glob("*.service")):
        if machine.show(unit.name, "ActiveEnterTimestamp") or machine.show(unit.name, "InactiveEnterTimestamp"):
            wait_for_lines(
                installed, f"a line about {unit.name} arrives", lambda lines: any(unit.name in line for line in lines)
            )


def test_no_line_is_lost_when_the_shipper_is_killed_over_and_over(installed):
    machine, name = installed.machine, secrets.token_hex(8)
    each = LINES // KILLS
    for first in range(1, LINES, each):
        # A few at a time, so that some come before the kill, some while it starts again, and some after.
        parts = f"seq {first} {each // 10} {first + each - 1}"
        log_by(
            installed,
            f"(for from in $({parts}); do seq -f '{name} %.0f' $from $((from + {each // 10 - 1})); sleep 0.1; done) &",
        )
        wait_for_lines(installed, "the first lines arrive", lambda lines: f"{name} {first}" in lines)
        machine.kill(SHIPPER)
        machine.wait_for(SHIPPER, "active")
    wait_for_lines(installed, "the last line arrives", lambda lines: f"{name} {LINES}" in lines)
    missing = {f"{name} {number}" for number in range(1, LINES + 1)} - set(installed.application_log())
    assert not missing, f"{len(missing)} lines are missing: {sorted(missing)[:5]}"


@pytest.fixture
def blocked_application_log(installed):
    """A sink for log lines that takes nothing."""
    machine = installed.machine
    machine.write("/etc/wardpost/blocked.env", "WARDPOST_APPLICATION_SINK=file:///var/log/wardpost/none/lines.jsonl\n")
    machine.drop_in(SHIPPER, "[Service]\nEnvironmentFile=/etc/wardpost/blocked.env\n")
    machine.systemctl("restart", SHIPPER)
    yield
    machine.drop_in(SHIPPER, "")
    machine.systemctl("restart", SHIPPER)
    machine.wait_for(SHIPPER, "active")


def test_audit_rows_do_not_wait_for_log_lines(installed, blocked_application_log):
    def failure():
        return "log lines do not get through" in installed.machine.journal(SHIPPER)

    wait_until("log lines do not get through", failure, 60)
    Visitor(installed, "huong").send("Shipped though log lines are not")
    wait_until("the row is shipped", lambda: installed.has_shipped("MESSAGE_CREATE"), 60)


def test_the_copy_is_private_and_the_sink_is_where_it_was_set(installed):
    found = installed.machine.run("stat", "--format=%U %a", APPLICATION_LOG).stdout.split()
    assert found == ["wardpost-log-shipper", "600"]
