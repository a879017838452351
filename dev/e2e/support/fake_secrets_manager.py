"""A Secrets Manager that misbehaves as told, and is strict where moto is not: the signature must be right."""

import json

from .fake_http import FakeServer, reply, reset
from .secrets_init import NAME, REGION
from .signature import is_signed_by

KEY_ID, SECRET_KEY = "AKIAOURTESTS", "0nlyForTests/0nlyForTests/0nlyForTests00"
VERSION = "0f8a3c51-1111-4222-8333-944444444444"
ARN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:{NAME}-AbCdEf"


class FakeSecretsManager(FakeServer):
    """Each request is answered by the next step of the plan, and by the last one from then on."""

    def __init__(self, *plan, secret_keys=None, **options):
        self.plan = list(plan)
        self.secret_keys = secret_keys or {KEY_ID: SECRET_KEY}
        # What was asked: the secret's id, and the session token that came along.
        self.asked = []
        super().__init__(**options)

    def answer(self, request, body):
        wanted = json.loads(body)
        self.asked.append((wanted.get("SecretId"), request.headers.get("X-Amz-Security-Token")))
        key_id = request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        if not is_signed_by(request, body, self.secret_keys.get(key_id, "")):
            refuse(400, "InvalidSignatureException", "The request signature we calculated does not match.")(request, self)
        elif request.headers.get("X-Amz-Target") != "secretsmanager.GetSecretValue":
            refuse(400, "UnknownOperationException", "")(request, self)
        else:
            step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
            step(request, self)

    def settings(self):
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }


def serve(secret, version=VERSION):
    """The step that gives the secret."""
    text = secret if isinstance(secret, str) else json.dumps(secret)
    value = {"ARN": ARN, "Name": NAME, "VersionId": version, "VersionStages": ["AWSCURRENT"], "SecretString": text}
    return lambda request, _: reply(request, 200, value)


def refuse(status, code, message):
    """A step that says no as AWS does."""
    return lambda request, _: reply(request, status, {"__type": code, "message": message})


def garbled(text):
    """A step of somebody who is not AWS: a proxy, a captive portal."""
    return lambda request, _: reply(request, 200, text, Content_Type="text/html")


def cut_off(request, _):
    """A step that ends the connection without an answer."""
    reset(request)


def silent(seconds):
    """A step that answers nothing for so long, and then ends the connection."""

    def step(request, server):
        server.hold(seconds)
        reset(request)

    return step


ACCESS_DENIED = refuse(
    400,
    "AccessDeniedException",
    "User: arn:aws:sts::123456789012:assumed-role/wardpost/i-0abc is not authorized to perform: "
    f"secretsmanager:GetSecretValue on resource: {ARN} because no identity-based policy allows the action",
)
THROTTLED = refuse(400, "ThrottlingException", "Rate exceeded")
BROKEN = refuse(500, "InternalServiceError", "An error occurred on the server side.")
NO_SUCH_SECRET = refuse(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
CLOCK_BEHIND = refuse(
    400,
    "InvalidSignatureException",
    "Signature expired: 20200101T000000Z is now earlier than 20261122T000000Z (20261122T000500Z - 5 min.)",
)
SCHEDULED_FOR_DELETION = refuse(
    400,
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)
