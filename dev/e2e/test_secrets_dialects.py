"""One env file, several readers: ours, systemd's and compose's, all of them for real, see the same values."""

import json
import subprocess

import pytest

from support.booted_systemd import boot
from support.container_engine import ContainerEngine
from support.env_values import TRAPS, random_values
from support.processes import binary, clean_environment
from support.secrets_init import CONFIGURATION, DONE, SecretsInit, good_secret

SEEDS = [1, 2, 3]


@pytest.fixture
def program(tmp_path):
    return SecretsInit(tmp_path)


@pytest.fixture(scope="module")
def engine():
    engine = ContainerEngine()
    yield engine
    engine.stop()


def write(program, seed):
    """An env file with every trap, and random values besides."""
    secret = good_secret(**TRAPS, **random_values(seed))
    # Not hidden: they are words of six letters that any log may have.
    program.provide_text(json.dumps(secret))
    program.run().expect(DONE)
    return secret


def compare(secret, environment, reader):
    """Fails, naming the values that a reader saw otherwise. `environment` has a NUL after each variable."""
    seen = dict(variable.split("=", 1) for variable in environment.split("\0") if variable)
    wrong = {key: (value[:80], seen.get(key, "nothing")[:80]) for key, value in secret.items() if seen.get(key) != value}
    assert not wrong, f"{reader} reads {len(wrong)} values otherwise: {dict(list(wrong.items())[:5])}"
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_systemd_sees_what_the_secret_holds(program, seed):
    secret = write(program, seed)
    folder = program.env_file.parent
    said = boot(
        folder,
        f"EnvironmentFile=/shared/{program.env_file.name}\nExecStart=/usr/bin/env -0\nStandardOutput=file:/shared/seen",
    )
    seen = folder / "seen"
    assert seen.exists(), f"the unit did not start; systemd said:\n{said}"
    seen = compare(secret, seen.read_bytes().decode(), "systemd")
    assert not {"OTHER", "THIRD"} & seen.keys(), "a line of a value was taken for a variable"
    program.hide_secret({key: value for key, value in secret.items() if key not in TRAPS and "RANDOM" not in key})
    program.check_silence(said, "systemd's log")


@pytest.mark.parametrize("seed", SEEDS)
def test_compose_sees_what_the_secret_holds(program, engine, seed):
    secret = write(program, seed)
    seen = compare(secret, engine.environment_from(program.env_file), "compose")
    assert not {"OTHER", "THIRD"} & seen.keys(), "a line of a value was taken for a variable"


@pytest.mark.parametrize("seed", SEEDS)
def test_our_own_reader_sees_what_the_secret_holds(program, seed):
    secret = write(program, seed)
    program.run("--check").expect(DONE)
    assert program.written() == secret


@pytest.mark.parametrize("trap", [trap for trap, value in TRAPS.items() if value.strip()])
def test_a_program_that_reads_the_file_has_the_value(program, trap):
    value = TRAPS[trap]
    secret = good_secret(GOOGLE_CLIENT_ID=value)
    program.provide_text(json.dumps(secret))
    program.run().expect(DONE)
    shown = subprocess.run(
        [binary("web"), "--check-config", "--json"],
        env=clean_environment(
            WARDPOST_ENV_FILE=str(program.env_file),
            WARDPOST_PUBLIC_URL="https://messages.clinic.example",
            WARDPOST_STAFF_DOMAINS="clinic.example",
        ),
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["GOOGLE_CLIENT_ID"] == {"value": value, "source": "file"}
    assert secret["APP_SECRET"] not in shown.stdout + shown.stderr


@pytest.mark.parametrize("character", ["\uffff", "\ufffe", "\ufdd0", "\U0010ffff"], ids=ascii)
def test_a_character_that_stops_systemd_is_refused_by_key(program, character):
    """systemd takes a whole file for invalid that holds one of Unicode's noncharacters."""
    program.provide(good_secret(EXTRA_KEY=f"before{character}after"))
    program.run().expect(CONFIGURATION, "EXTRA_KEY")
    assert not program.env_file.exists()
