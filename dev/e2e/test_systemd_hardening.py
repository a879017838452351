"""What the units may do, on a real systemd: each program as its own user, with its own secrets and no others."""

import re

import pytest

from support.installed_site import PROGRAMS
from support.metrics import names_of
from support.processes import ROOT

UNITS = sorted(file.name for file in (ROOT / "systemd" / "units").iterdir() if file.is_file())
SERVICES = [unit for unit in UNITS if unit.endswith(".service")]
INSTALLED = "/usr/local/lib/systemd/system"
# On systemd's scale from 0 to 10.
MOST_EXPOSED = 1.5

KEY = {"DB_ENCRYPTION_KEY"}
SIGN_IN = {"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "APP_SECRET"}
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
MAY_KNOW = {
    "wardpost-web.service": KEY | SIGN_IN,
    "wardpost-log-shipper.service": KEY | AWS,
    "wardpost-backup-worker.service": KEY | AWS,
}


def test_the_site_tells_its_numbers_from_within_all_of_that(installed):
    text = installed.metrics.text()
    assert "\nwardpost_scrape_complete 1\n" in text
    assert {"process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"} <= names_of(text)


def test_systemd_finds_no_fault_in_any_unit(installed):
    paths = [f"{INSTALLED}/{unit}" for unit in UNITS]
    found = installed.machine.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", *paths, check=False)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_hardly_exposed(installed, unit):
    path = f"{INSTALLED}/{unit}"
    table = installed.machine.run("systemd-analyze", "security", "--offline=true", "--no-pager", path).stdout
    exposure = re.search(rf"Overall exposure level for {re.escape(unit)}: ([0-9.]+)", table)
    assert exposure and float(exposure[1]) <= MOST_EXPOSED, table


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_has_limits_and_is_tried_again_forever(installed, unit):
    names = ("MemoryMax", "MemorySwapMax", "TasksMax", "LimitNOFILE", "LogRateLimitIntervalUSec", "LogRateLimitBurst")
    more = ("LimitCORE", "StartLimitIntervalUSec", "Restart", "RestartUSec", "WatchdogUSec", "Type")
    asked = [f"--property={name}" for name in (*names, *more)]
    told = dict(line.split("=", 1) for line in installed.machine.systemctl("show", *asked, unit).splitlines())
    assert all(re.match("[1-9]", told[name]) for name in names if name != "MemorySwapMax"), told
    assert int(told["MemoryMax"]) <= 512 << 20 and told["MemorySwapMax"] == told["LimitCORE"] == "0"
    assert (told["LogRateLimitIntervalUSec"], told["LogRateLimitBurst"]) == ("30s", "5000")
    if unit in PROGRAMS:
        assert told["Restart"] == "on-failure" and told["StartLimitIntervalUSec"] == "0"
        assert told["RestartUSec"] == ("1s" if unit == "wardpost-web.service" else "3s")
        assert told["Type"] == "notify" and told["WatchdogUSec"] in ("1min", "5min")


@pytest.mark.parametrize("unit", [unit for unit in SERVICES if not re.search("-(secrets|credentials)", unit)])
def test_a_unit_takes_away_what_is_not_for_it(installed, unit):
    """What is true of the programs while they run is said by the units that nobody can look at in passing, too."""
    foreign = AWS if unit == "wardpost-web.service" else SIGN_IN
    assert foreign <= set(installed.machine.show(unit, "UnsetEnvironment").split())
    assert installed.machine.show(unit, "TemporaryFileSystem") == "/run/wardpost:ro"


def test_a_program_by_hand_may_know_and_reach_as_little_as_its_unit():
    command = (ROOT / "systemd" / "wardpost").read_text()
    for program in ("web", "log-shipper", "backup-worker"):
        (branch,) = re.findall(rf"^  (?:[\w-]+ \| )?{program}(?: \| [\w-]+)?\)\n(.*?);;", command, re.DOTALL | re.MULTILINE)
        unit = (ROOT / "systemd" / "units" / f"wardpost-{program}.service").read_text()
        assert names_in(branch) == names_in(" ".join(re.findall("^UnsetEnvironment=(.*)$", unit, re.MULTILINE))), program
        denied = " ".join(re.findall("^IPAddressDeny=(.*)$", unit, re.MULTILINE)).split()
        assert re.findall(r"[\da-f]+[.:][\da-f.:]+", branch) == denied and bool(denied) == (program == "web")


def names_in(text):
    return sorted(re.findall(r"\b[A-Z]+_[A-Z_]+\b", text))


def test_the_site_is_on_loopback_as_it_is_shipped():
    socket = (ROOT / "systemd" / "units" / "wardpost-web.socket").read_text()
    assert re.findall("^Listen.*", socket, re.MULTILINE) == ["ListenStream=127.0.0.1:8080"]


@pytest.mark.parametrize("unit", PROGRAMS)
def test_nothing_can_be_run_from_a_folder_that_a_program_may_write(installed, unit):
    machine = installed.machine
    pid = machine.outside_pid(machine.main_pid(unit))
    own = {
        "wardpost-log-shipper.service": ["/var/log/wardpost"],
        "wardpost-backup-worker.service": ["/var/lib/wardpost-backups"],
    }
    for folder in ["/tmp", "/var/tmp", "/var/lib/wardpost", *own.get(unit, [])]:
        ran = machine.run("sh", "-c", f"cp /bin/true {folder}/e2e && {folder}/e2e; code=$?; rm {folder}/e2e; exit $code", of=pid, check=False)
        assert ran.returncode == 126, (folder, ran.returncode, ran.stderr)


@pytest.mark.parametrize("unit", PROGRAMS)
def test_a_program_knows_its_own_secrets_and_no_others(installed, unit):
    machine = installed.machine
    environment = machine.run("cat", f"/proc/{machine.main_pid(unit)}/environ").stdout
    names = {variable.split("=", 1)[0] for variable in environment.split("\0")}
    assert names & (KEY | SIGN_IN | AWS) == MAY_KNOW[unit]
    # Not in an assertion on the text, which would say the values when it fails.
    foreign = [name for name, value in installed.secret.items() if name not in MAY_KNOW[unit] and value in environment]
    assert foreign == []


@pytest.mark.parametrize("unit", PROGRAMS)
def test_a_program_cannot_read_the_env_file_nor_what_is_another_program_s(installed, unit):
    machine = installed.machine
    pid = machine.outside_pid(machine.main_pid(unit))
    status = machine.run("cat", f"/proc/{machine.main_pid(unit)}/status").stdout
    user, group = (re.search(rf"^{name}:\t(\d+)", status, re.MULTILINE)[1] for name in ("Uid", "Gid"))
    groups = re.search(r"^Groups:\t([\d ]*)", status, re.MULTILINE)[1].split()
    assert user != "0" and re.search(r"^CapEff:\t0+$", status, re.MULTILINE), status
    as_program = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={','.join(groups)}", "--"]
    own = {
        "wardpost-log-shipper.service": "/var/log/wardpost",
        "wardpost-backup-worker.service": "/var/lib/wardpost-backups",
    }.get(unit)
    for path in ("/run/wardpost/env", "/etc/wardpost/aws.env", "/etc/wardpost/wardpost.env", "/etc/shadow"):
        # In the program's view of the files, and in everybody's.
        for view in (pid, None):
            assert machine.run(*as_program, "cat", path, of=view, check=False).returncode == 1, path
    for folder in ("/run/wardpost", "/etc/wardpost", "/var/log/wardpost", "/var/lib/wardpost-backups", "/var/lib", "/usr"):
        written = machine.run(*as_program, "touch", f"{folder}/e2e", of=pid, check=False).returncode == 0
        assert written == (folder == own), f"{folder}: {written}"
    assert machine.run("ls", "-A", "/run/wardpost", of=pid).stdout == "", "root itself finds no env file in there"
    for other in set(PROGRAMS) - {unit}:
        environment = f"/proc/{machine.main_pid(other)}/environ"
        assert machine.run(*as_program, "cat", environment, check=False).returncode == 1


def test_web_cannot_ask_for_the_machine_s_role(installed):
    denied = installed.machine.show("wardpost-web.service", "IPAddressDeny").split()
    assert {"169.254.169.254/32", "fd00:ec2::254/128", "127.0.0.254/32"} <= set(denied)


def test_the_env_file_is_in_memory_and_private_and_in_no_unit_s_properties(installed):
    machine = installed.machine
    assert machine.run("stat", "--format=%U %a", "/run/wardpost/env").stdout.split() == ["wardpost-secrets", "600"]
    assert machine.run("stat", "--format=%U %a", "/run/wardpost").stdout.split() == ["wardpost-secrets", "700"]
    assert machine.run("stat", "--file-system", "--format=%T", "/run/wardpost").stdout.strip() == "tmpfs"
    told = machine.systemctl("show", *SERVICES) + machine.run("journalctl", "--no-pager", "--all").stdout
    found = [name for name, value in installed.secret.items() if name != "GOOGLE_CLIENT_ID" and value in told]
    assert found == []


def test_the_database_is_its_group_s_and_nobody_else_s(installed):
    machine = installed.machine
    assert machine.run("stat", "--format=%a %U:%G", "/var/lib/wardpost").stdout.strip() == "2770 root:wardpost"
    files = machine.run("sh", "-c", "stat --format='%a %G' /var/lib/wardpost/wardpost.db*[lbm]").stdout.splitlines()
    assert files and set(files) == {"660 wardpost"}


def test_programs_switch_off_their_core_dumps(installed):
    """The filter of system calls lets them: what could not be done is in the log."""
    assert "core dumps could not be switched off" not in installed.machine.journal(*SERVICES)
    assert "does not go before" not in installed.machine.journal(*SERVICES), "of the backups, which step behind it"
    for unit in PROGRAMS:
        owner = installed.machine.run("stat", "--format=%U", f"/proc/{installed.machine.main_pid(unit)}/environ").stdout
        assert owner.strip() == "root", "a process that may be dumped could be read by others of its user"
