"""Where the secret comes from: Secrets Manager when all is well, and everything that can stand in the way."""

import pytest

from support import fake_secrets_manager as aws
from support.fake_secrets_manager import FakeSecretsManager, serve
from support.moto_secrets import SecretsManager
from support.secrets_init import (
    ADDRESS,
    CONFIGURATION,
    DONE,
    FAILED,
    NAME,
    UNAVAILABLE,
    SecretsInit,
    good_secret,
    log_lines,
)

# Long enough for a second and a third try, whatever chance makes of the pauses.
SHORT = {"WARDPOST_SECRET_DEADLINE_SECONDS": "3"}


@pytest.fixture(scope="module")
def moto():
    server = SecretsManager()
    yield server
    server.stop()


@pytest.fixture
def from_moto(moto, tmp_path):
    """The program with a secret of its own at moto."""
    name = f"{NAME}-{tmp_path.name}"
    program = SecretsInit(tmp_path, WARDPOST_SECRET=f"aws-secretsmanager://{name}", **moto.settings())
    program.put = lambda value: moto.put(program.hide_secret(value) if isinstance(value, dict) else value, name=name)
    program.arn = lambda: moto.client.describe_secret(SecretId=name)["ARN"]
    return program


@pytest.fixture
def from_endpoint(tmp_path):
    """Starts an endpoint that follows a plan, and gives it with the program that asks it."""
    started = []

    def start(*plan, **options):
        endpoint = FakeSecretsManager(*plan, **options)
        started.append(endpoint)
        program = SecretsInit(tmp_path, WARDPOST_SECRET=ADDRESS, **endpoint.settings())
        program.hide(aws.SECRET_KEY)
        return endpoint, program

    yield start
    for endpoint in started:
        endpoint.stop()


def test_the_secret_becomes_the_env_file_and_its_version_is_told(from_moto):
    secret = good_secret(EXTRA_KEY="passed on")
    version = from_moto.put(secret)
    run = from_moto.run().expect(DONE, version)
    assert from_moto.written() == secret
    assert from_moto.written_version() == version
    assert from_moto.env_file.stat().st_mode & 0o7777 == 0o600
    assert from_moto.left_beside() == []
    assert [line["version"] for line in log_lines(run.err) if "version" in line] == [version]


def test_an_arn_names_secret_and_region(from_moto):
    secret = good_secret()
    from_moto.put(secret)
    from_moto.run(WARDPOST_SECRET=f"aws-secretsmanager://{from_moto.arn()}", AWS_REGION=None).expect(DONE)
    assert from_moto.written() == secret


def test_an_unchanged_secret_touches_nothing(from_moto):
    from_moto.put(good_secret())
    from_moto.run().expect(DONE)
    before, text = from_moto.env_file.stat(), from_moto.env_file.read_text()
    folder = from_moto.env_file.parent.stat()
    from_moto.run().expect(DONE, "unchanged")
    after = from_moto.env_file.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (before.st_ino, before.st_mtime_ns, before.st_ctime_ns)
    assert from_moto.env_file.parent.stat().st_mtime_ns == folder.st_mtime_ns, "not even for a moment"
    assert from_moto.env_file.read_text() == text


def test_a_rotated_secret_replaces_the_file_and_check_tells_before(from_moto):
    old = good_secret()
    from_moto.put(old)
    from_moto.run().expect(DONE)
    from_moto.run("--check").expect(DONE)
    new = old | {"APP_SECRET": good_secret()["APP_SECRET"]}
    version = from_moto.put(new)
    from_moto.run("--check").expect(FAILED, "APP_SECRET")
    assert from_moto.written() == old, "--check writes nothing"
    from_moto.run().expect(DONE, version)
    assert from_moto.written() == new
    assert from_moto.written_version() == version
    from_moto.run("--check").expect(DONE)


def test_the_version_before_can_be_asked_for(from_moto):
    old = good_secret()
    from_moto.put(old)
    from_moto.put(good_secret())
    address = from_moto.environment()["WARDPOST_SECRET"]
    from_moto.run(WARDPOST_SECRET=f"{address}?stage=AWSPREVIOUS").expect(DONE)
    assert from_moto.written() == old


def test_no_such_secret_is_said_with_its_name_and_region(from_moto):
    from_moto.run().expect(CONFIGURATION, "no such secret", f"{NAME}-", "eu-central-1")
    assert not from_moto.env_file.exists()


def test_a_binary_secret_is_refused(from_moto):
    from_moto.put(b"\x00\x01binary")
    from_moto.run().expect(CONFIGURATION, "binary")
    assert not from_moto.env_file.exists()


def test_an_oversized_secret_is_refused(from_moto):
    from_moto.put(good_secret(EXTRA_KEY="x" * 70_000))
    from_moto.run().expect(CONFIGURATION, "65536")
    assert not from_moto.env_file.exists()


def test_the_largest_secret_there_can_be_arrives(from_moto):
    secret = good_secret(EXTRA_KEY="é" * 20_000 + '$"\\' * 4_000)
    from_moto.put(secret)
    from_moto.run().expect(DONE)
    assert from_moto.written() == secret


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (aws.ACCESS_DENIED, ["access denied", "secretsmanager:GetSecretValue", aws.ARN, "policy"]),
        (aws.NO_SUCH_SECRET, ["no such secret", NAME]),
        (aws.SCHEDULED_FOR_DELETION, ["marked for deletion", "restore-secret"]),
        (aws.refuse(400, "DecryptionFailure", "Secrets Manager can't decrypt the secret text"), ["kms:Decrypt"]),
        (aws.refuse(400, "UnrecognizedClientException", "The security token is invalid."), ["not valid"]),
    ],
    ids=["access denied", "no such secret", "scheduled for deletion", "its key does not open it", "unknown credentials"],
)
def test_what_waiting_does_not_mend_ends_at_once_and_keeps_the_file(from_endpoint, answer, words):
    secret = good_secret()
    endpoint, program = from_endpoint(serve(secret), answer)
    program.hide_secret(secret)
    program.run().expect(DONE)
    before = program.env_file.stat()
    program.run().expect(CONFIGURATION, *words)
    assert len(endpoint.asked) == 2, "it asked again, in vain"
    assert program.env_file.stat().st_mtime_ns == before.st_mtime_ns
    assert program.written() == secret


def test_keys_that_are_wrong_are_not_tried_again(from_endpoint):
    endpoint, program = from_endpoint(serve(good_secret()))
    program.run(AWS_SECRET_ACCESS_KEY="another/key/than/the/endpoint/knows/0000").expect(CONFIGURATION, "not valid")
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "failure",
    [
        aws.THROTTLED,
        aws.refuse(429, "TooManyRequestsException", "Slow down"),
        aws.BROKEN,
        aws.refuse(503, "ServiceUnavailable", ""),
        aws.garbled("<html>Sign in to the clinic's Wi-Fi</html>"),
        aws.cut_off,
        aws.CLOCK_BEHIND,
        aws.refuse(400, "ExpiredTokenException", "The security token included in the request is expired"),
    ],
    ids=["throttled", "429", "500", "503", "a captive portal", "reset", "the clock is behind", "token expired"],
)
def test_what_passes_is_waited_for(from_endpoint, failure):
    secret = good_secret()
    endpoint, program = from_endpoint(failure, failure, serve(secret))
    program.hide_secret(secret)
    run = program.run().expect(DONE, aws.VERSION)
    assert program.written() == secret
    assert len(endpoint.asked) == 3
    assert any(line["level"] == "WARN" for line in log_lines(run.err)), "nobody was told what it waits for"


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (aws.THROTTLED, ["ThrottlingException"]),
        (aws.BROKEN, ["status 500", "InternalServiceError"]),
        (aws.cut_off, ["cannot be reached", "security group", "port 443"]),
        (aws.CLOCK_BEHIND, ["refuses the time", "timedatectl"]),
        (aws.garbled("<html>"), ["is not one of Secrets Manager", "captive portal"]),
    ],
    ids=["throttled", "500", "reset", "the clock is behind", "a captive portal"],
)
def test_what_does_not_pass_in_time_keeps_the_last_good_file(from_endpoint, failure, words):
    secret = good_secret()
    endpoint, program = from_endpoint(serve(secret), failure)
    program.hide_secret(secret)
    program.run().expect(DONE)
    before = program.env_file.stat()
    program.run(**SHORT).expect(UNAVAILABLE, "gave up", "stays as it is", NAME, *words)
    assert len(endpoint.asked) > 2, "it did not try again"
    assert program.env_file.stat().st_mtime_ns == before.st_mtime_ns
    assert program.written() == secret
    program.run("--check", **SHORT).expect(UNAVAILABLE)
    assert program.left_beside() == []


def test_an_endpoint_that_stays_silent_does_not_outlast_the_deadline(from_endpoint):
    endpoint, program = from_endpoint(aws.silent(60))
    program.run(**SHORT, seconds=15).expect(UNAVAILABLE, "gave up")
    assert endpoint.asked


def test_an_endpoint_that_is_silent_once_is_asked_again(from_endpoint):
    secret = good_secret()
    endpoint, program = from_endpoint(aws.silent(60), serve(secret))
    program.hide_secret(secret)
    program.run(WARDPOST_SECRET_DEADLINE_SECONDS="60").expect(DONE)
    assert program.written() == secret


def test_a_network_that_comes_late_is_waited_for(from_endpoint):
    secret = good_secret()
    _, program = from_endpoint(serve(secret), open_after=5)
    program.hide_secret(secret)
    program.run().expect(DONE, "cannot be reached")
    assert program.written() == secret


def test_nobody_there_is_said_with_the_address(from_endpoint):
    endpoint, program = from_endpoint(serve(good_secret()), open_after=3600)
    program.run(**SHORT).expect(UNAVAILABLE, "cannot be reached", endpoint.address)
    assert not program.env_file.exists()


def test_a_file_is_a_source_for_machines_without_aws(tmp_path):
    program = SecretsInit(tmp_path)
    secret = good_secret()
    program.provide(secret)
    program.run().expect(DONE)
    assert program.written() == secret
    program.run("--check").expect(DONE)


def test_a_source_file_that_others_may_read_is_refused(tmp_path):
    program = SecretsInit(tmp_path)
    program.provide(good_secret())
    program.source.chmod(0o640)
    program.run().expect(CONFIGURATION, str(program.source), "640", "600")
    assert not program.env_file.exists()


def test_a_source_file_that_is_not_there_is_named(tmp_path):
    program = SecretsInit(tmp_path)
    program.run().expect(CONFIGURATION, str(program.source))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WARDPOST_SECRET", "https://example.org/secret.json"),
        ("WARDPOST_SECRET", "file://relative.json"),
        ("WARDPOST_SECRET", "aws-secretsmanager://a secret"),
        ("WARDPOST_ENV_FILE", "env"),
        ("WARDPOST_ENV_OWNER", "nobody"),
        ("WARDPOST_ENV_OWNER", "no-such-user:nogroup"),
        ("WARDPOST_SECRET_DEADLINE_SECONDS", "soon"),
        ("WARDPOST_SECRETS", "file:///misspelt.json"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_fetched(tmp_path, name, value):
    program = SecretsInit(tmp_path)
    program.provide(good_secret())
    program.run(**{name: value}).expect(CONFIGURATION, name)
    program.run("--check-config", **{name: value}).expect(CONFIGURATION, name)
    assert program.left_beside() == []
    assert not program.env_file.exists()


def test_all_wrong_settings_are_named_at_once(tmp_path):
    wrong = {"WARDPOST_SECRET": "x", "WARDPOST_ENV_OWNER": "y", "WARDPOST_SECRET_DEADLINE_SECONDS": "z"}
    SecretsInit(tmp_path).run(**wrong).expect(CONFIGURATION, *wrong)
