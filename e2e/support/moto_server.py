"""moto over HTTP on a free port of loopback: what AWS does when all is well."""

import logging

import boto3
from moto.server import ThreadedMotoServer

from .secrets_init import REGION

# Any will do: moto checks no signatures.
STATIC_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTS", "AWS_SECRET_ACCESS_KEY": "not-checked-by-moto"}


class MotoServer:
    """All services of moto at one address."""

    def __init__(self):
        # One line a request helps nobody.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.address = f"http://{host}:{port}"

    def connect(self, service):
        """A client of the tests' own, to look and to prepare."""
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id=STATIC_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=STATIC_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def settings(self):
        """What brings the SDK here, with credentials of its own."""
        return {"AWS_ENDPOINT_URL": self.address, "AWS_REGION": REGION, **STATIC_CREDENTIALS}

    def stop(self):
        self._server.stop()
