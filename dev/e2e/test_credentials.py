"""`secrets-init serve-credentials` by itself: AWS credentials of its own role for each program, and for nobody else."""

import json
import os
import socket
from datetime import UTC, datetime

import pytest
import requests

from support.bare_web import free_port
from support.fake_imds import FakeMetadata
from support.fake_secrets_manager import FakeSecretsManager, serve
from support.processes import Process, binary
from support.role_gate import SERVICES, RoleGate, role_of
from support.secrets_init import ADDRESS, DONE, REGION, UNAVAILABLE, SecretsInit, good_secret, log_lines
from support.waiting import wait_until

PROGRAMS = tuple(SERVICES)
ROLES = {f"WARDPOST_ROLE_{program.upper().replace('-', '_')}": role_of(program) for program in PROGRAMS}


class Broker:
    """The service with a machine's metadata and an STS of its own."""

    def __init__(self, folder, *, metadata=(), gate=(), **settings):
        self.metadata = FakeMetadata(**dict(metadata))
        self.gate = RoleGate(self.metadata, **dict(gate))
        self.tokens = folder / "tokens"
        self.tokens.mkdir(mode=0o700, exist_ok=True)
        self._log = folder / "broker.log"
        self.address = f"127.0.0.1:{free_port()}"
        self._settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": self.gate.address,
            "WARDPOST_CREDENTIALS_LISTEN": self.address,
            "WARDPOST_CREDENTIALS_TOKENS": str(self.tokens),
            **self.metadata.settings(),
            **(ROLES | settings),
        }
        self._process = None
        self.start()

    def start(self):
        self._process = Process([binary("secrets-init"), "serve-credentials"], log=self._log, env=self._settings)
        wait_until("it listens", self._listens, 30)

    def _listens(self):
        host, port = self.address.split(":")
        with socket.socket() as one:
            return one.connect_ex((host, int(port))) == 0

    def token(self, program):
        return (self.tokens / program).read_text()

    def ask(self, program, token=None, method="GET"):
        headers = {} if token is None else {"Authorization": token}
        return requests.request(method, f"http://{self.address}/{program}", headers=headers, timeout=30)

    def log(self):
        return self._log.read_text()

    def errors(self):
        return [line for line in log_lines(self.log()) if line["level"] == "ERROR"]

    def sdk(self, program):
        """What brings a program's SDK here."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{self.address}/{program}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.tokens / program),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": REGION,
        }

    def restart(self):
        self._process.stop()
        self.start()

    def stop(self):
        self._process.stop()
        said = self.log()
        hidden = [*self.gate.hidden(), self.metadata.secret_key, self.metadata.session_token, *map(self.token, PROGRAMS)]
        self.metadata.stop()
        self.gate.stop()
        assert not any(value in said for value in hidden), "a secret is in the log"


@pytest.fixture
def broker(tmp_path):
    started = []

    def start(**options):
        started.append(Broker(tmp_path, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_each_program_gets_the_credentials_of_its_role_and_the_session_names_it(broker):
    service = broker()
    for program in PROGRAMS:
        answer = service.ask(program, service.token(program))
        assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
        given = answer.json()
        (session,) = service.gate.assumed(program)
        assert (given["AccessKeyId"], given["SecretAccessKey"], given["Token"]) == (session.key_id, session.secret_key, session.token)
        assert session.name == f"wardpost-{program}"
        left = datetime.fromisoformat(given["Expiration"]) - datetime.now(UTC)
        assert 3500 < left.total_seconds() <= 3600


def test_a_token_is_good_for_its_own_program_alone(broker):
    service = broker()
    for program in PROGRAMS:
        for other in {*PROGRAMS, "web"} - {program}:
            refused = service.ask(other, service.token(program))
            assert refused.status_code == (404 if other == "web" else 403), other
            assert {"code", "message"} == set(refused.json())
        for wrong in (None, "", "x", service.token(program)[:-1], f"Bearer {service.token(program)}"):
            assert service.ask(program, wrong).json()["code"] == "WrongToken"
        assert service.ask(program, service.token(program), method="POST").status_code == 405
        assert (service.tokens / program).stat().st_mode & 0o777 == 0o600
    warned = [line for line in log_lines(service.log()) if line["level"] == "WARN"]
    assert len(warned) == 1 and "without its token" in warned[0]["message"], "one line for all of them"


def test_a_program_works_with_it_as_it_comes(broker, tmp_path):
    """The real SDK on the other side: secrets-init fetches the secret."""
    service = broker()
    secret = good_secret()
    (session,) = wait_until("there is a session", lambda: service.gate.assumed("secrets-init"))
    aws = FakeSecretsManager(serve(secret), secret_keys={session.key_id: session.secret_key})
    try:
        program = SecretsInit(tmp_path, WARDPOST_SECRET=ADDRESS, AWS_ENDPOINT_URL=aws.address, **service.sdk("secrets-init"))
        program.hide_secret(secret)
        program.run().expect(DONE)
        assert program.written() == secret
        assert [token for _, token in aws.asked] == [session.token]
        refused = program.run(**service.sdk("log-shipper") | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(service.tokens / "backup-worker")}, WARDPOST_SECRET_DEADLINE_SECONDS="2")
        refused.expect(UNAVAILABLE, "403", "wardpost-credentials")
    finally:
        aws.stop()


def test_credentials_are_renewed_long_before_they_end(broker):
    service = broker(gate={"life": 6})
    token, seen, ends = service.token("log-shipper"), [], []
    while len(seen) < 3:
        given = service.ask("log-shipper", token).json()
        ends.append(datetime.fromisoformat(given["Expiration"]))
        assert ends[-1] > datetime.now(UTC), "what is given still holds"
        if given["AccessKeyId"] not in seen:
            seen.append(given["AccessKeyId"])
    assert seen == [session.key_id for session in service.gate.assumed("log-shipper")][:3]


def test_a_metadata_service_that_comes_later_is_waited_for_and_named_meanwhile(broker):
    service = broker(metadata={"open_after": 3}, AWS_REGION=REGION)
    early = service.ask("backup-worker", service.token("backup-worker"))
    assert early.status_code in (200, 503)
    given = wait_until("it has credentials", lambda: service.ask("backup-worker", service.token("backup-worker")).status_code == 200, 60)
    assert given and {line["for_program"] for line in service.errors()} <= set(PROGRAMS)
    assert all("this machine's own credentials" in line["message"] for line in service.errors())


def test_a_role_that_may_not_be_assumed_is_said_once_with_what_to_check(broker):
    service = broker(gate={"denied": ["log-shipper"]})
    own = service.token("log-shipper")
    refused = lambda: [call for call in service.gate.calls if call == ("log-shipper", "sts", False)]
    wait_until("it was tried more than once", lambda: len(refused()) > 2, 30)
    (said,) = service.errors()
    assert said["for_program"] == "log-shipper" and "trust policy" in said["check"], said
    assert "AccessDenied" in said["message"] and role_of("log-shipper") in said["message"], said
    answer = service.ask("log-shipper", own)
    assert (answer.status_code, answer.json()["code"]) == (503, "NotYet")
    assert service.ask("backup-worker", service.token("backup-worker")).status_code == 200, "the others have theirs"
    service.gate.denied.clear()
    wait_until("it has credentials", lambda: service.ask("log-shipper", own).status_code == 200, 60)


def test_a_program_without_a_role_gets_none(broker):
    service = broker(WARDPOST_ROLE_BACKUP_WORKER="")
    answer = service.ask("backup-worker", service.token("backup-worker"))
    assert (answer.status_code, answer.json()["code"]) == (404, "NoRole")


def test_tokens_outlive_the_service(broker):
    service = broker()
    before = list(map(service.token, PROGRAMS))
    service.restart()
    assert list(map(service.token, PROGRAMS)) == before
    assert service.ask("log-shipper", before[PROGRAMS.index("log-shipper")]).status_code == 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["WARDPOST_ROLE_SECRETS_INIT", "no other program has a role"]),
        ({"WARDPOST_ROLE_LOG_SHIPPER": "clinic-log-shipper"}, ["WARDPOST_ROLE_LOG_SHIPPER", "not the ARN of a role"]),
        (ROLES | {"WARDPOST_ROLE_BACKUP_WORKER": role_of("log-shipper")}, ["WARDPOST_ROLE_BACKUP_WORKER", "one of its own"]),
        (ROLES | {"WARDPOST_CREDENTIALS_LISTEN": "0.0.0.0:254"}, ["WARDPOST_CREDENTIALS_LISTEN", "loopback"]),
        (ROLES | {"WARDPOST_CREDENTIALS_TOKENS": "tokens"}, ["WARDPOST_CREDENTIALS_TOKENS", "absolute"]),
    ],
)
def test_wrong_settings_are_named_and_nothing_is_served(tmp_path, settings, words):
    SecretsInit(tmp_path, **settings).run("serve-credentials").expect(78, *words)


def test_the_settings_in_force_are_shown(tmp_path):
    run = SecretsInit(tmp_path, **ROLES).run("serve-credentials", "--check-config", "--json").expect(DONE)
    assert role_of("log-shipper") in json.dumps(json.loads(run.out))
