"""The files of `compose/` as they stand, without starting anything."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.container_engine import find_compose
from support.processes import ROOT
from support.secrets_init import REQUIRED

COMPOSE = ROOT / "compose"
LONG_RUNNING = {"web", "log-shipper", "backup-worker", "edge"}


def config(tmp_path, *overlays, **settings):
    """The whole project, as compose understands it with the example's settings."""
    program = find_compose()
    if not program:
        pytest.skip("a compose of version 2 is not here: dev/e2e/setup brings it")
    environment_file = tmp_path / "env"
    environment_file.write_text(
        (COMPOSE / ".env.example").read_text() + "".join(f"{name}={value}\n" for name, value in settings.items())
    )
    files = [part for name in ("compose.yaml", *overlays) for part in ("-f", str(COMPOSE / name))]
    command = [*program, "--env-file", environment_file, *files, "--profile", "edge", "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower(), done.stderr
    return json.loads(done.stdout)


def test_the_example_names_settings_that_exist_and_no_secret(tmp_path):
    text = (COMPOSE / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.MULTILINE))
    used = set(re.findall(r"\$\{([A-Z_]+)", "".join(path.read_text() for path in COMPOSE.glob("*.yaml"))))
    assert named - used <= {"COMPOSE_FILE", "COMPOSE_PROFILES"}
    assert not named & set(REQUIRED)
    assert config(tmp_path)["name"] == "wardpost"


def test_no_service_is_given_a_secret_or_an_env_file(tmp_path):
    for name, service in config(tmp_path)["services"].items():
        given = service.get("environment") or {}
        assert not set(given) & set(REQUIRED), name
        assert "env_file" not in service and "env_file" not in (COMPOSE / "compose.yaml").read_text()


def test_what_is_asked_to_stop_has_longer_than_its_own_drain(tmp_path):
    services = config(tmp_path)["services"]
    for name in LONG_RUNNING:
        assert int(services[name]["stop_grace_period"].removesuffix("s").replace("1m0", "60")) >= 20, name


def test_the_engine_ships_the_application_logs_with_the_overlay(tmp_path):
    services = config(tmp_path, "awslogs.yaml", AWS_REGION="eu-central-1")["services"]
    for name in LONG_RUNNING | {name for name in services if name.startswith("secrets-init")}:
        logging = services[name]["logging"]
        assert logging["driver"] == "awslogs"
        # The options of another driver would be refused when the container starts.
        assert not {"max-size", "max-file"} & set(logging["options"])
        group = "wardpost/access" if name == "edge" else "wardpost/application"
        assert logging["options"]["awslogs-group"] == group and logging["options"]["mode"] == "non-blocking"
    assert "awslogs-region" in services["web"]["logging"]["options"]


def test_a_machine_without_aws_reads_its_secret_from_files_of_one_reader_each(tmp_path):
    services = config(tmp_path, "without-aws.yaml")["services"]
    for program in ("web", "log-shipper", "backup-worker"):
        mounts = {mount["target"]: mount for mount in services[f"secrets-init-{program}"]["volumes"]}
        assert mounts["/etc/wardpost/secret.json"]["source"].endswith(f"/{program}.json")
        assert mounts["/etc/wardpost/secret.json"]["read_only"]


def test_no_program_starts_before_its_secrets_are_there_nor_before_the_database(tmp_path):
    services = config(tmp_path)["services"]
    for program in ("web", "log-shipper", "backup-worker"):
        waits_for = {name: waited["condition"] for name, waited in services[program]["depends_on"].items()}
        database = {} if program == "web" else {"web": "service_healthy"}
        assert waits_for == {f"secrets-init-{program}": "service_completed_successfully"} | database
        assert services[f"secrets-init-{program}"]["depends_on"]["secrets-keeper"]["condition"] == "service_started"


def test_one_setting_brings_back_the_images_of_the_version_before(tmp_path):
    for name, service in config(tmp_path, IMAGE_TAG="before")["services"].items():
        assert re.fullmatch(r"wardpost/[\w-]+:before", service["image"]), name


def test_systemd_understands_the_unit_that_starts_it_at_boot(tmp_path):
    if not shutil.which("systemd-analyze") or not Path("/lib/systemd/system/docker.service").exists():
        pytest.skip("systemd-analyze or the engine's unit is not here")
    unit = tmp_path / "wardpost-compose.service"
    unit.write_text((COMPOSE / unit.name).read_text().replace("/opt/wardpost", str(ROOT)))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, [line for line in found.stderr.splitlines() if unit.name in line]) == (0, []), found.stderr


def test_each_program_is_compiled_by_itself():
    """Together, each would have the features that only another asked for."""
    builds = re.findall(r"cargo build (.*?)[ \\]*\n", (COMPOSE / "Dockerfile").read_text())
    programs = ("web", "secrets-init", "log-shipper", "backup-worker")
    assert builds == [f"--release --locked -p wardpost-{program}" for program in programs]


def test_a_build_in_a_container_sees_every_source_of_the_workspace():
    """Docker's rules, as far as they are used: the last pattern that fits decides, `*` stops at a slash, `**` does not."""
    patterns = [line for line in (ROOT / "compose" / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]

    def fits(pattern, path):
        rule = re.escape(pattern.lstrip("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        return re.fullmatch(f"{rule}(/.*)?", path)

    def is_seen(path):
        return next(pattern.startswith("!") for pattern in reversed(patterns) if fits(pattern, path))

    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    sources = [str(path.relative_to(ROOT)) for member in members for path in (ROOT / member).rglob("*.rs")]
    assert len(sources) > 200
    assert [path for path in [*sources, "Cargo.lock", ".cargo/config.toml"] if not is_seen(path)] == []
    assert not is_seen("target/release/web") and not is_seen("dev/e2e/conftest.py") and not is_seen(".git/config")
