"""What the engine and the kernel say about the containers: who they are, what they may do, what they can see."""

import base64
import json
import re
from pathlib import Path

import pytest

from support import control_groups
from support.composed_site import BINARIES, PROGRAMS
from support.secrets_init import REQUIRED, VERSION, parse_env

ONESHOTS = tuple(f"secrets-init-{program}" for program in PROGRAMS)
RUNNING = (*PROGRAMS, "edge", "secrets-keeper")
ALL = (*RUNNING, *ONESHOTS)
USERS = {"web": (10001, 10000), "log-shipper": (10002, 10000), "backup-worker": (10003, 10000), "edge": (10004, 10004)}
MEMORY = {"web": 512, "log-shipper": 128, "backup-worker": 256, "edge": 384, "secrets-keeper": 16}
# Everything that a program's image may hold, beside the program.
IN_IMAGES = (
    r"(usr/)?lib(64)?/x86_64-linux-gnu/(libc|libm|libgcc_s)\.so\.\d|(usr/)?lib64/ld-linux-x86-64\.so\.2|"
    # The last of them is the tests' own.
    r"etc/(passwd|group|nsswitch\.conf|ssl/certs/ca-certificates\.crt)|aws/credentials"
)
# Put there by the engine while a container runs.
BY_THE_ENGINE = r"\.dockerenv|dev/.*|proc|sys|etc/(hosts|hostname|resolv\.conf|mtab)|run/wardpost.*|sbin/docker-init"


def process(composed, service):
    """/proc of a container's first process, as the engine numbers it."""
    return f"/proc/{composed.container(service)['State']['Pid']}"


def status(composed, service):
    text = composed.host.run_beside("cat", f"{process(composed, service)}/status").stdout
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_no_secret_is_in_what_the_engine_keeps_or_says(composed):
    containers = [f"wardpost-{service}-1" for service in ALL]
    images = sorted({composed.container(service)["Config"]["Image"] for service in ALL})
    assert len(images) == len(BINARIES) + 1
    volumes = composed.host.docker("volume", "ls", "--quiet").stdout.split()
    places = {
        "docker inspect of the containers": json.dumps(composed.host.inspect(*containers)),
        "docker inspect of the images": json.dumps(composed.host.inspect(*images)),
        "docker inspect of the volumes": composed.host.docker("volume", "inspect", *volumes).stdout,
        "docker compose config": composed.compose("config").stdout,
        **{f"the history of {image}": composed.host.docker("history", "--no-trunc", image).stdout for image in images},
    }
    for service in ALL:
        logs = composed.host.docker("logs", f"wardpost-{service}-1")
        places[f"the log of {service}"] = logs.stdout + logs.stderr
    for service in RUNNING:
        # A service that runs for an hour is looked at from outside; environ and cmdline hold NULs.
        for file in ("environ", "cmdline"):
            read = composed.host.run_beside("cat", f"{process(composed, service)}/{file}")
            places[f"{file} of {service}"] = read.stdout
    assert all(len(text) > 20 for where, text in places.items() if "docker" in where), "something was looked at"
    for where, text in places.items():
        for name, value in composed.secret.items():
            for spelling in (value, base64.b64encode(value.encode()).decode().rstrip("=")):
                # Not an `assert not in`: the failure's own words would go on to say it.
                if spelling in text:
                    raise AssertionError(f"the value of {name} is in {where}")


@pytest.mark.parametrize("service", ALL)
def test_a_container_is_nobody_much_and_may_do_nothing_special(composed, service):
    told = composed.container(service)
    host = told["HostConfig"]
    assert re.fullmatch(r"\d{5}:\d{5}", told["Config"]["User"])
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert host["ReadonlyRootfs"] and not host["Privileged"] and not host["PublishAllPorts"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] > 0, "nothing of it is ever swapped out"
    assert host["NanoCpus"] > 0 and 0 < host["PidsLimit"] <= 64
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    assert host["RestartPolicy"]["Name"] == ("no" if service in ONESHOTS else "unless-stopped")


@pytest.mark.parametrize("service", RUNNING)
def test_the_kernel_says_so_too(composed, service):
    seen = status(composed, service)
    user, group = USERS.get(service, (65534, 65534))
    assert seen["Uid"].split() == [str(user)] * 4 and seen["Gid"].split() == [str(group)] * 4
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(seen[capabilities], 16) == 0, capabilities
    assert seen["NoNewPrivs"].strip() == "1" and seen["Seccomp"].strip() == "2"
    mounts = composed.host.run_beside("cat", f"{process(composed, service)}/mounts").stdout
    (root,) = [line.split()[3] for line in mounts.splitlines() if line.split()[1] == "/"]
    assert "ro" in root.split(",")
    memory = control_groups.read(composed, service, "memory", "memory.limit_in_bytes", "memory.max")
    assert int(memory) == MEMORY[service] << 20
    assert int(control_groups.read(composed, service, "pids", "pids.max", "pids.max")) <= 64


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_sees_its_own_secrets_in_memory_and_nobody_elses(composed, program):
    told = composed.container(program)
    volumes = {mount["Destination"]: mount for mount in told["Mounts"] if mount["Type"] == "volume"}
    assert set(volumes) == {"/run/wardpost", "/var/lib/wardpost"}
    assert volumes["/run/wardpost"]["Name"] == f"wardpost_secrets-{program}" and not volumes["/run/wardpost"]["RW"]
    root = f"{process(composed, program)}/root"
    stat = composed.host.run_beside("stat", "-c", "%u %g %a %n", f"{root}/run/wardpost", f"{root}/run/wardpost/env").stdout
    user = USERS[program][0]
    folder, file = (line.rsplit(" ", 1)[0] for line in stat.splitlines())
    assert (folder, file) == (f"{user} 10000 700", f"{user} 10000 600")
    mounts = composed.host.run_beside("cat", f"{process(composed, program)}/mounts").stdout
    (options,) = [line.split() for line in mounts.splitlines() if line.split()[1] == "/run/wardpost"]
    assert options[2] == "tmpfs" and "ro" in options[3].split(",")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_given_the_secrets_that_it_needs(composed, program):
    text = composed.host.run_beside("cat", f"{process(composed, program)}/root/run/wardpost/env").stdout
    assert set(parse_env(text)) == {VERSION} | (set(REQUIRED) if program == "web" else {"DB_ENCRYPTION_KEY"})


def test_the_database_belongs_to_the_group_and_to_nobody_else(composed):
    root = f"{process(composed, 'web')}/root/var/lib/wardpost"
    names = f"{root} {root}/wardpost.db {root}/wardpost.db-wal {root}/wardpost.db-shm"
    listed = composed.host.run_beside("sh", "-c", f'stat -c "%g %a %n" {names}').stdout.splitlines()
    modes = {Path(name).name: (group, mode) for group, mode, name in (line.split() for line in listed)}
    assert modes.pop("wardpost") == ("10000", "2770")
    assert "wardpost.db" in modes and set(modes.values()) == {("10000", "660")}, modes


def test_ports_are_open_on_loopback_alone(composed):
    bound = {}
    for service in ALL:
        for inside, outside in (composed.container(service)["NetworkSettings"]["Ports"] or {}).items():
            bound[service, inside] = {(place["HostIp"], place["HostPort"]) for place in outside or []}
    assert {key: places for key, places in bound.items() if places} == {
        ("web", "8080/tcp"): {("127.0.0.1", "8080")},
        ("edge", "8443/tcp"): {("127.0.0.1", "443")},
        ("edge", "8080/tcp"): {("127.0.0.1", "80")},
    }


def test_the_programs_cannot_reach_each_other(composed):
    networks = {service: set(composed.container(service)["NetworkSettings"]["Networks"]) for service in RUNNING}
    assert networks["web"] == networks["edge"] == {"wardpost_site"}
    assert networks["secrets-keeper"] == {"none"}
    assert networks["log-shipper"] == {"wardpost_shipping"} and networks["backup-worker"] == {"wardpost_backups"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_image_holds_its_program_and_nothing_else_that_runs(composed, program):
    listed = composed.host.run("sh", "-c", f"docker export wardpost-{program}-1 | tar -t").stdout
    files = [name for name in listed.splitlines() if not name.endswith("/")]
    assert f"usr/bin/{program}" in files
    allowed = re.compile(f"usr/bin/{program}|{IN_IMAGES}|{BY_THE_ENGINE}")
    assert [name for name in files if not allowed.fullmatch(name)] == []


def test_the_image_of_the_secrets_holds_no_more_than_what_keeps_them(composed):
    listed = composed.host.run("sh", "-c", "docker export wardpost-secrets-init-web-1 | tar -t").stdout
    files = [name for name in listed.splitlines() if not name.endswith("/")]
    assert {"usr/bin/secrets-init", "usr/bin/sleep"} <= set(files)
    allowed = re.compile(f"usr/bin/(secrets-init|sleep)|{IN_IMAGES}|{BY_THE_ENGINE}")
    assert [name for name in files if not allowed.fullmatch(name)] == []


def test_nothing_can_be_run_from_memory(composed):
    """A volume of secrets says so where it is written. Its reader has it read-only, which makes the engine forget the rest."""
    edge = composed.host.run_beside("cat", f"{process(composed, 'edge')}/mounts").stdout
    engine = composed.host.run_beside("cat", "/proc/mounts").stdout
    places = {f"/volumes/wardpost_secrets-{program}/_data": engine for program in PROGRAMS} | {"/tmp": edge}
    for place, mounts in places.items():
        (options,) = [line.split()[3].split(",") for line in mounts.splitlines() if line.split()[1].endswith(place)]
        assert {"noexec", "nosuid", "nodev"} <= set(options), (place, options)


def test_every_image_knows_who_it_runs_as_and_how_to_tell_its_health(composed):
    for image in (*PROGRAMS, "edge"):
        config = composed.host.inspect(f"wardpost/{image}:latest")[0]["Config"]
        assert config["User"] and config["User"].split(":")[0] not in ("0", "root")
        assert config["Healthcheck"]["Test"][0] == "CMD"
