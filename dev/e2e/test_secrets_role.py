"""The instance's role: credentials from a metadata service that may be late, refuse, or know of no role."""

import pytest

from support import fake_secrets_manager as aws
from support.fake_imds import FakeMetadata
from support.fake_secrets_manager import FakeSecretsManager, serve
from support.secrets_init import ADDRESS, DONE, NAME, UNAVAILABLE, SecretsInit, good_secret
from support.waiting import wait_until

# Long enough for a second and a third try, whatever chance makes of the pauses.
SHORT = {"WARDPOST_SECRET_DEADLINE_SECONDS": "3"}


class Instance:
    """A machine on EC2 as the program finds it: metadata, Secrets Manager, and nothing set."""

    def __init__(self, folder, **metadata):
        self.metadata = FakeMetadata(**metadata)
        self.secret = good_secret()
        self.secrets_manager = FakeSecretsManager(
            serve(self.secret), secret_keys={self.metadata.key_id: self.metadata.secret_key}
        )
        self.program = SecretsInit(
            folder,
            WARDPOST_SECRET=ADDRESS,
            AWS_ENDPOINT_URL=self.secrets_manager.address,
            **self.metadata.settings(),
        )
        self.program.hide_secret(self.secret)
        self.program.hide(self.metadata.secret_key, self.metadata.session_token)

    def stop(self):
        self.metadata.stop()
        self.secrets_manager.stop()


@pytest.fixture
def instance(tmp_path):
    started = []

    def start(**metadata):
        started.append(Instance(tmp_path, **metadata))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("extended", [True, False], ids=["with the account's number", "as it was before"])
def test_the_role_signs_the_call_with_all_that_it_was_given(instance, extended):
    machine = instance(extended=extended)
    machine.program.run().expect(DONE)
    assert machine.program.written() == machine.secret
    assert machine.secrets_manager.asked == [(NAME, machine.metadata.session_token)], "signed, and with the role's token"
    asked = machine.metadata.requests
    assert asked[0] == "PUT /latest/api/token", "version 2: a token first"
    assert any(request.endswith("/placement/region") for request in asked), "the region comes from there too"


def test_keys_that_are_set_are_preferred_to_the_role(instance):
    machine = instance()
    machine.secrets_manager.secret_keys[aws.KEY_ID] = aws.SECRET_KEY
    machine.program.run(**machine.secrets_manager.settings()).expect(DONE)
    assert machine.secrets_manager.asked == [(NAME, None)]
    assert machine.metadata.requests == []


def test_a_metadata_service_that_appears_after_five_seconds_is_waited_for(instance):
    machine = instance(open_after=5)
    machine.program.run().expect(DONE)
    assert machine.program.written() == machine.secret


@pytest.mark.parametrize("status", [500, 503, 401, 429])
def test_a_metadata_service_that_fails_is_asked_again(instance, status):
    machine = instance(failures=[status] * 4)
    machine.program.run().expect(DONE)
    assert machine.program.written() == machine.secret


def test_a_slow_metadata_service_is_waited_for(instance):
    machine = instance(slow=0.6)
    machine.program.run(WARDPOST_SECRET_DEADLINE_SECONDS="60").expect(DONE)
    assert machine.program.written() == machine.secret


def test_a_role_that_is_attached_late_is_waited_for(instance):
    machine = instance(role=None)
    child = machine.program.start()
    wait_until("it has looked for a role more than once", lambda: len(machine.metadata.asked_for_role()) > 2, seconds=30)
    machine.metadata.role = "wardpost"
    machine.program.finish(child).expect(DONE, "no role")
    assert machine.program.written() == machine.secret


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"role": None}, ["the instance has no role", "instance profile", "secretsmanager:GetSecretValue"]),
        ({"failures": [403] * 1000}, ["IMDS is disabled", "the metadata service"]),
        ({"failures": [500] * 1000}, ["metadata service"]),
        ({"slow": 30}, ["metadata service"]),
        ({"open_after": 3600}, ["no metadata service answers", "AWS_PROFILE", "file:///"]),
    ],
    ids=["no role", "switched off", "broken", "silent", "not there"],
)
def test_without_a_role_it_says_what_to_check_and_the_last_good_file_stays(instance, metadata, words):
    machine = instance(**metadata)
    program = machine.program
    good = program.hide_secret(good_secret())
    program.provide(good)
    program.run(WARDPOST_SECRET=f"file://{program.source}").expect(DONE)
    before = program.env_file.stat()
    # The region is known, so that it is the role that is missed.
    program.run(AWS_REGION="eu-central-1", **SHORT, seconds=30).expect(
        UNAVAILABLE, "gave up", "stays as it is", NAME, *words
    )
    assert machine.secrets_manager.asked == []
    assert program.env_file.stat().st_mtime_ns == before.st_mtime_ns
    assert program.written() == good


def test_an_unknown_region_is_waited_for_and_named(instance):
    machine = instance(open_after=3600)
    machine.program.run(**SHORT, seconds=30).expect(UNAVAILABLE, "region", "AWS_REGION")
