"""moto's Secrets Manager over HTTP: what AWS does with a secret and its versions when all is well."""

import json

from .moto_server import MotoServer
from .secrets_init import NAME


class SecretsManager(MotoServer):
    """A Secrets Manager on a free port of loopback."""

    def __init__(self):
        super().__init__()
        self.client = self.connect("secretsmanager")

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
