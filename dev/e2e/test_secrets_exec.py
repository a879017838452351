"""--exec: the secrets reach the command's environment and nothing else; and none of it is ever said."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import fake_secrets_manager as aws
from support.fake_imds import FakeMetadata
from support.fake_secrets_manager import FakeSecretsManager, serve
from support.processes import clean_environment
from support.secrets_init import ADDRESS, CONFIGURATION, DONE, FAILED, SecretsInit, good_secret, log_lines
from support.waiting import wait_until

NASTY = "a b  $HOME ${X} `id` \"q\" 'p' \\n back\\\\slash # ; = & | é ☃ \ttab\nsecond line\n\nlast \\"

# Tells what reached it in a file: what it printed would be searched for secrets, and rightly found to have some.
TELL = """
import json, os, sys
seen = {
    "environment": dict(os.environ),
    "arguments": sys.argv[2:],
    "command_line": open("/proc/self/cmdline").read(),
    "pid": os.getpid(),
    "open": sorted(os.listdir("/proc/self/fd")),
}
json.dump(seen, open(sys.argv[1], "w"))
sys.exit(23)
"""


@pytest.fixture
def program(tmp_path):
    program = SecretsInit(tmp_path)
    program.secret = good_secret(EXTRA_KEY=NASTY)
    program.provide(program.secret)
    return program


def told(program, *arguments, **settings):
    """What a command saw that was run with --exec."""
    seen = program.source.with_name("seen.json")
    child = program.start("--exec", sys.executable, "-c", TELL, seen, *arguments, **settings)
    program.finish(child).expect(23)
    return json.loads(seen.read_text()) | {"child": child.pid}


def test_the_secrets_reach_the_command_and_no_file(program):
    seen = told(program, KEPT="as it was", GOOGLE_CLIENT_ID="overridden")
    assert {key: seen["environment"].get(key) for key in program.secret} == program.secret
    assert seen["environment"]["KEPT"] == "as it was"
    assert not program.env_file.exists()
    assert program.left_beside() == []


def test_the_command_takes_the_programs_place(program):
    seen = told(program)
    assert seen["pid"] == seen["child"], "signals and exit codes go straight to the command"
    # Standard input, output and error, and the listing's own.
    assert len(seen["open"]) == 4, "a file or connection of ours stayed open"


def test_arguments_are_passed_on_as_they_are_and_hold_no_secret(program):
    arguments = ["--check", "--json", "-v", "", "a b", "--", "$HOME", "é"]
    seen = told(program, *arguments)
    assert seen["arguments"] == arguments
    program.check_silence(seen["command_line"], "the command line")


def test_the_exit_code_and_the_output_are_the_commands(program):
    run = program.run("--exec", "/bin/sh", "-c", "echo out; echo err >&2; exit 41").expect(41)
    assert run.out == "out\n"
    assert "err\n" in run.err
    assert program.run("--exec", "sh", "-c", "kill -9 $$").code == -9


def test_a_command_that_is_not_there_is_named(program):
    program.run("--exec", "/no/such/command").expect(FAILED, "/no/such/command")
    program.run("--exec", "no-such-command").expect(FAILED, "no-such-command")
    program.run("--exec", program.source).expect(FAILED, str(program.source))


def test_without_the_secret_the_command_does_not_run(program):
    program.source.unlink()
    assert "it ran" not in program.run("--exec", "/bin/echo", "it ran").expect(CONFIGURATION).said


@pytest.mark.parametrize("arguments", [["--exec"], ["--check", "--check-config"], ["--no-such-flag"], ["file.json"]])
def test_a_command_line_that_makes_no_sense_is_refused(program, arguments):
    program.run(*arguments).expect(64)
    assert not program.env_file.exists()


def test_check_names_the_keys_that_differ_and_their_values_never(program):
    program.run("--check").expect(FAILED, str(program.env_file))
    program.run().expect(DONE)
    program.run("--check").expect(DONE)
    changed = dict(program.secret, APP_SECRET=good_secret()["APP_SECRET"], NEW_KEY="brand new value")
    del changed["EXTRA_KEY"]
    program.provide(changed)
    run = program.run("--check").expect(FAILED, "APP_SECRET", "NEW_KEY", "EXTRA_KEY")
    assert "DB_ENCRYPTION_KEY" not in run.said, "it is the same"
    assert program.written() == program.secret
    answer = program.run("--check", "--json").expect(FAILED)
    assert isinstance(json.loads(answer.out), dict)


def test_check_config_prints_settings_and_fetches_nothing(program):
    program.source.unlink()
    run = program.run("--check-config").expect(DONE, str(program.env_file), str(program.source))
    assert log_lines(run.err) == []
    settings = json.loads(program.run("--check-config", "--json").expect(DONE).out)
    assert settings["WARDPOST_ENV_FILE"] == {"value": str(program.env_file), "source": "environment"}


def test_the_help_shows_an_example(program):
    run = program.run("--help").expect(DONE, "--exec", "--check", "WARDPOST_SECRET")
    assert "secrets-init --exec" in run.out


@pytest.mark.parametrize("level", ["trace", "trace,aws_config=trace,aws_smithy_runtime=trace,aws_sigv4=trace"])
@pytest.mark.parametrize("arguments", [[], ["--check"], ["--exec", "true"]], ids=["write", "check", "exec"])
def test_at_the_most_verbose_no_secret_and_no_credential_is_said(tmp_path, arguments, level):
    metadata = FakeMetadata()
    secret = good_secret(EXTRA_KEY=NASTY)
    secrets_manager = FakeSecretsManager(
        aws.BROKEN, serve(secret), secret_keys={metadata.key_id: metadata.secret_key}
    )
    program = SecretsInit(
        tmp_path,
        WARDPOST_SECRET=ADDRESS,
        WARDPOST_LOG=level,
        RUST_LOG="trace",
        LOG_SENSITIVE_BODIES="1",
        AWS_ENDPOINT_URL=secrets_manager.address,
        **metadata.settings(),
    )
    program.hide_secret(secret)
    program.hide(metadata.secret_key, metadata.session_token)
    try:
        run = program.run(*arguments)
        assert run.code == (FAILED if "--check" in arguments else DONE), run.said
        assert any(line["level"] == "DEBUG" or line["level"] == "TRACE" for line in log_lines(run.err)), "not that verbose"
    finally:
        metadata.stop()
        secrets_manager.stop()


def test_while_it_runs_nothing_of_it_can_be_had_from_outside(tmp_path):
    endpoint = FakeSecretsManager(aws.silent(60))
    program = SecretsInit(tmp_path, WARDPOST_SECRET=ADDRESS, **endpoint.settings())
    try:
        child = program.start()
        wait_until("it has asked for the secret", lambda: endpoint.asked)
        proc = Path("/proc") / str(child.pid)
        limits = (proc / "limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], core
        program.hide(aws.SECRET_KEY)
        program.check_silence((proc / "cmdline").read_text(), "its command line")
        # And so a crash leaves nothing behind.
        child.send_signal(signal.SIGABRT)
        assert program.finish(child).code == -signal.SIGABRT
        assert not list(tmp_path.glob("**/core*"))
    finally:
        endpoint.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to look from")
def test_its_own_user_cannot_read_its_memory(tmp_path):
    endpoint = FakeSecretsManager(aws.silent(60))
    program = SecretsInit(tmp_path, WARDPOST_SECRET=ADDRESS, **endpoint.settings())
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    try:
        child = program.start(wrapper=as_nobody)
        wait_until("it has asked for the secret", lambda: endpoint.asked)
        look = [*as_nobody, "head", "-c", "1", f"/proc/{child.pid}/environ"]
        looked = subprocess.run(look, env=clean_environment(), capture_output=True, text=True)
        assert "Permission denied" in looked.stderr, looked
        child.terminate()
        program.finish(child)
    finally:
        endpoint.stop()
