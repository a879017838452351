"""What stands before moto and knows roles: STS hands out their credentials, and each role reaches its own services alone."""

import http.client
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from .fake_http import FakeServer, reply
from .signature import is_signed_by

ACCOUNT = "123456789012"
# Who may what, as the policies of an installation say it.
SERVICES = {"secrets-init": {"secretsmanager"}, "log-shipper": {"logs"}, "backup-worker": {"s3"}}


def role_of(program):
    return f"arn:aws:iam::{ACCOUNT}:role/clinic-{program}"


@dataclass
class Session:
    """A role, assumed."""

    program: str
    name: str
    key_id: str = field(default_factory=lambda: f"ASIA{secrets.token_hex(8).upper()}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(300))
    expired: bool = False


class RoleGate(FakeServer):
    """`metadata` is the machine whose role may assume the others. `life` is how many seconds a session lives, `denied` the
    programs whose role does not trust it. Without `moto`, it is STS alone."""

    def __init__(self, metadata, moto=None, *, life=3600, denied=(), **options):
        self.metadata, self.moto, self.life, self.denied = metadata, moto, life, set(denied)
        self.sessions = []
        # (program, service, whether it was let through)
        self.calls = []
        self._lock = threading.Lock()
        super().__init__(**options)

    def answer(self, request, body):
        credential = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        key_id, service = credential[0], credential[3] if len(credential) > 3 else ""
        if service == "sts":
            return self._assume(request, body)
        with self._lock:
            session = next((one for one in self.sessions if one.key_id == key_id), None)
        has_token = session and request.headers.get("X-Amz-Security-Token") == session.token
        may = bool(has_token and not session.expired and service in SERVICES[session.program])
        self.calls.append((session.program if session else None, service, may))
        if not may:
            return self._refuse(request, service)
        self._forward(request, body)

    def _assume(self, request, body):
        wanted = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        own = self.metadata
        by_the_machine = request.headers.get("X-Amz-Security-Token") == own.session_token
        program = next((name for name in SERVICES if role_of(name) == wanted.get("RoleArn")), None)
        if not by_the_machine or not is_signed_by(request, body, own.secret_key) or program is None or program in self.denied:
            text = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{own.role}/i-0abc is not authorized to perform: sts:AssumeRole on resource: {wanted.get('RoleArn')}"
            error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message></Error>"
            self.calls.append((program, "sts", False))
            return reply(
                request, 403, f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{error}<RequestId>{secrets.token_hex(8)}</RequestId></ErrorResponse>', Content_Type="text/xml"
            )
        session = Session(program, wanted["RoleSessionName"])
        assert int(wanted["DurationSeconds"]) <= 3600, "AWS refuses a longer one where a role assumes another"
        end = datetime.now(UTC) + timedelta(seconds=self.life)
        with self._lock:
            self.sessions.append(session)
        self.calls.append((program, "sts", True))
        reply(
            request,
            200,
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/clinic-{program}/{session.name}</Arn><AssumedRoleId>AROA:{session.name}</AssumedRoleId></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{session.key_id}</AccessKeyId><SecretAccessKey>{session.secret_key}</SecretAccessKey>"
            f"<SessionToken>{session.token}</SessionToken><Expiration>{end:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            "</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>",
            Content_Type="text/xml",
        )

    def _refuse(self, request, service):
        if service == "s3":
            return reply(request, 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", Content_Type="application/xml")
        reply(request, 400, {"__type": "AccessDeniedException", "message": "is not authorized to perform this action"})

    def _forward(self, request, body):
        far = http.client.HTTPConnection(urlsplit(self.moto.address).netloc, timeout=60)
        try:
            far.request(request.command, request.path, body, dict(request.headers.items()))
            answer = far.getresponse()
            content = answer.read()
            request.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date"):
                    request.send_header(name, value)
            length = answer.getheader("Content-Length") if request.command == "HEAD" else len(content)
            request.send_header("Content-Length", str(length or 0))
            request.end_headers()
            request.wfile.write(content)
        finally:
            far.close()

    def assumed(self, program):
        """The sessions of a program's role so far."""
        with self._lock:
            return [session for session in self.sessions if session.program == program]

    def hidden(self):
        """What nobody may say."""
        with self._lock:
            return [value for session in self.sessions for value in (session.secret_key, session.token)]
