"""moto over HTTP on a free port of loopback: what AWS does when all is well."""

import subprocess
import sys

import boto3

from .secrets_init import REGION

# Any will do: moto checks no signatures.
STATIC_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTS", "AWS_SECRET_ACCESS_KEY": "not-checked-by-moto"}


# It ends with the process that started it, however that ends.
SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""


class MotoServer:
    """All services of moto at one address. `prelude` is run in its process first."""

    def __init__(self, prelude=""):
        # A process of its own: all servers of one process have the same buckets, groups and secrets.
        self._child = subprocess.Popen(
            [sys.executable, "-c", prelude + SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = self._child.stdout.readline().strip()
        assert self.address, "moto did not start"

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
        self._child.communicate()
