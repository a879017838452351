"""Rights for each program alone, on a real systemd: the machine's role is the broker's, and each program has its own."""

import json
import re

import pytest

from support.installed_site import PROGRAMS
from support.role_gate import SERVICES
from support.site_with_roles import BROKER, CREDENTIALS, METADATA, UNITS, SiteWithRoles
from support.waiting import wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = SiteWithRoles(tmp_path_factory.mktemp("roles"))
    yield running
    running.stop()


def first(program):
    return UNITS[program][0]


def shipped_actions(site):
    return {row["action"] for row in site.shipped().values()}


def test_a_machine_whose_metadata_service_is_late_comes_up_by_itself(site):
    for unit in CREDENTIALS:
        site.machine.wait_for(unit, "active")
    said = site.machine.journal("wardpost-credentials.service")
    assert said.count('"level":"ERROR"') == len(SERVICES), "one line for each program while it was not there"


def test_each_program_does_its_work_with_its_own_role(site):
    wait_until("a backup is proved, and that is shipped", lambda: "BACKUP_VERIFIED" in shipped_actions(site), 90)
    let_through = {(program, service) for program, service, may in site.gate.calls if may and service != "sts"}
    assert let_through == {("secrets-init", "secretsmanager"), ("log-shipper", "logs"), ("backup-worker", "s3")}
    assert [call for call in site.gate.calls if not call[2]] == [], "nobody tries what is another's"
    names = {session.name for session in site.gate.sessions}
    assert names == {f"wardpost-{program}" for program in SERVICES}


@pytest.mark.parametrize("program", SERVICES)
def test_the_other_units_of_a_program_have_its_role_as_well(site, program):
    for unit in UNITS[program][1:]:
        if "rotate" in unit:
            continue
        site.machine.systemctl("start", unit)
        assert site.machine.show(unit, "Result") == "success", site.machine.status(unit)


def test_a_command_by_hand_has_the_role_of_its_program(site):
    assert json.loads(site.machine.run("wardpost", "backup-worker", "list", "--json").stdout)["backups"]
    site.machine.run("wardpost", "log-shipper", "verify", "--json")


@pytest.mark.parametrize("program", SERVICES)
def test_a_program_s_token_opens_its_own_path_and_nobody_else_s(site, program):
    own = site.token(first(program))
    status, body = site.ask(program, own)
    assert status == 200
    key_id = json.loads(body)["AccessKeyId"]
    assert key_id in {session.key_id for session in site.gate.assumed(program)}
    for other in {*SERVICES, "web"} - {program}:
        assert site.ask(other, own)[0] in (403, 404), other
    assert site.ask(program)[0] == 403, "somebody else on the machine"


@pytest.mark.parametrize("program", SERVICES)
def test_a_token_is_read_by_its_program_alone_and_stands_nowhere_else(site, program):
    machine, unit = site.machine, first(program)
    own = site.token(unit)
    assert re.fullmatch("[0-9a-f]{64}", own)
    for user in ("wardpost-web", "wardpost-secrets", "wardpost-log-shipper", "wardpost-backup-worker", "nobody"):
        as_user = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--"]
        may = machine.run(*as_user, "cat", f"/run/credentials/{unit}/aws-token", check=False).returncode == 0
        assert may == (user == machine.show(unit, "User")), user
        assert machine.run(*as_user, "cat", f"/run/wardpost-credentials/{program}", check=False).returncode == 1, user
    told = machine.systemctl("show", unit, *CREDENTIALS) + machine.journal()
    told += machine.run("sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true").stdout
    assert not [value for value in (own, *site.gate.hidden()) if value in told]


@pytest.mark.parametrize(
    ("unit", "may"),
    [
        ("wardpost-web.service", set()),
        ("wardpost-log-shipper.service", {BROKER}),
        ("wardpost-backup-worker.service", {BROKER}),
        ("wardpost-credentials.service", {BROKER, METADATA}),
    ],
)
def test_only_the_broker_reaches_the_metadata_service_and_web_reaches_neither(site, unit, may):
    assert {address for address in (BROKER, METADATA) if site.reaches(unit, address)} == may


def test_every_unit_that_talks_to_aws_is_kept_from_the_metadata_service(site):
    for unit in [unit for units in UNITS.values() for unit in units]:
        assert {"169.254.169.254/32", "fd00:ec2::254/128"} <= set(site.machine.show(unit, "IPAddressDeny").split()), unit
        assert {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} <= set(site.machine.show(unit, "UnsetEnvironment").split()), unit


def test_web_has_nothing_of_aws(site):
    machine = site.machine
    environment = machine.run("cat", f"/proc/{machine.main_pid('wardpost-web.service')}/environ").stdout
    assert not [name for name in re.findall(r"(?:^|\0)(\w+)=", environment) if name.startswith("AWS_")]
    assert machine.run("test", "-e", "/run/credentials/wardpost-web.service", check=False).returncode == 1


def test_credentials_are_renewed_and_the_programs_go_on(site):
    before = {program: len(site.gate.assumed(program)) for program in SERVICES}
    wait_until("each has been renewed twice", lambda: all(len(site.gate.assumed(p)) >= before[p] + 2 for p in SERVICES), 90)
    for session in site.gate.assumed("log-shipper")[:-1]:
        session.expired = True
    rows = len(site.shipped())
    site.machine.run("wardpost", "backup-worker", "now")
    wait_until("its row is shipped", lambda: len(site.shipped()) > rows, 60)


def test_the_broker_may_start_again_at_any_time(site):
    machine, unit = site.machine, "wardpost-credentials.service"
    own = site.token(first("log-shipper"))
    machine.kill(unit)
    # systemd holds the socket: who asks waits, and nobody else can listen there.
    assert site.ask("log-shipper", own)[0] == 200
    machine.wait_for(unit, "active")
    assert {machine.show(unit, "ActiveState") for unit in PROGRAMS} == {"active"}


def test_systemd_finds_no_fault_in_what_is_added(site):
    units = " ".join([*CREDENTIALS, *(unit for units in UNITS.values() for unit in units)])
    # By itself it looks at no generator's work.
    verify = f"SYSTEMD_UNIT_PATH=/run/systemd/generator: systemd-analyze verify --man=no --recursive-errors=yes {units}"
    found = site.machine.run("sh", "-c", verify, check=False)
    assert (found.returncode, found.stderr) == (0, "")
