"""moto's Secrets Manager over HTTP: what AWS does with a secret and its versions when all is well."""

import json
import logging

import boto3
from moto.server import ThreadedMotoServer

from .secrets_init import NAME, REGION

# Any will do: moto checks no signatures.
STATIC_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTS", "AWS_SECRET_ACCESS_KEY": "not-checked-by-moto"}


class SecretsManager:
    """A Secrets Manager on a free port of loopback."""

    def __init__(self):
        # One line a request helps nobody.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.address = f"http://{host}:{port}"
        self.client = boto3.client(
            "secretsmanager",
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id=STATIC_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=STATIC_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def settings(self):
        """What brings the SDK here, with credentials of its own."""
        return {"AWS_ENDPOINT_URL": self.address, "AWS_REGION": REGION, **STATIC_CREDENTIALS}

    def put(self, value, name=NAME):
        """Makes a secret, or its next version, of a table, a text or bytes; gives the version's id."""
        if isinstance(value, bytes):
            content = {"SecretBinary": value}
        else:
            content = {"SecretString": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
        try:
            reply = self.client.put_secret_value(SecretId=name, **content)
        except self.client.exceptions.ResourceNotFoundException:
            reply = self.client.create_secret(Name=name, **content)
        return reply["VersionId"]

    def stop(self):
        self._server.stop()
