"""The instance metadata service of EC2, version 2 alone: a token first, then the role's credentials."""

import secrets
from datetime import UTC, datetime, timedelta

from .fake_http import FakeServer, reply
from .secrets_init import REGION

ROLE_PATH = "/latest/meta-data/iam/security-credentials"
# The same with the account's number, which newer SDKs ask for first.
EXTENDED_ROLE_PATH = f"{ROLE_PATH}-extended"
REGION_PATH = "/latest/meta-data/placement/region"


class FakeMetadata(FakeServer):
    """A machine's metadata. `role` None: none is attached. `failures` are statuses that the next requests get instead
    of an answer; `slow` is how many seconds each answer takes."""

    def __init__(self, *, role="wardpost", failures=(), slow=0, extended=True, **options):
        self.role = role
        self.failures = list(failures)
        self.slow = slow
        self.extended = extended
        self.key_id = f"ASIA{secrets.token_hex(8).upper()}"
        self.secret_key = secrets.token_urlsafe(30)
        self.session_token = secrets.token_urlsafe(200)
        self.requests = []
        self._tokens = set()
        super().__init__(**options)

    def answer(self, request, body):
        path = request.path.rstrip("/")
        self.requests.append(f"{request.command} {path}")
        self.hold(self.slow)
        if self.failures:
            return reply(request, self.failures.pop(0))
        if path == "/latest/api/token":
            if request.command != "PUT" or not request.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
                return reply(request, 400)
            token = secrets.token_urlsafe(24)
            self._tokens.add(token)
            lifetime = request.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            return reply(request, 200, token, X_aws_ec2_metadata_token_ttl_seconds=lifetime)
        if request.headers.get("X-aws-ec2-metadata-token") not in self._tokens:
            return reply(request, 401)
        if path == REGION_PATH:
            return reply(request, 200, REGION, Content_Type="text/plain")
        for base in (EXTENDED_ROLE_PATH,) * self.extended + (ROLE_PATH,):
            if self.role and path == base:
                return reply(request, 200, self.role, Content_Type="text/plain")
            if self.role and path == f"{base}/{self.role}":
                return reply(request, 200, self._credentials())
        return reply(request, 404)

    def _credentials(self):
        now = datetime.now(UTC)
        return {
            "Code": "Success",
            "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Type": "AWS-HMAC",
            "AccountId": "123456789012",
            "AccessKeyId": self.key_id,
            "SecretAccessKey": self.secret_key,
            "Token": self.session_token,
            "Expiration": f"{now + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
        }

    def asked_for_role(self):
        """The requests so far that asked for the role or its credentials."""
        return [request for request in self.requests if ROLE_PATH in request]

    def settings(self):
        """What brings the SDK here; nothing names a region or a key."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.address}
