"""`web` on its own, under any OpenID provider: the demo's runner is left out."""

import secrets
import socket
from pathlib import Path

import requests

from .limits import HIGH_LIMITS
from .processes import START_SECONDS, Process, binary, clean_environment
from .waiting import wait_until


def free_port():
    """A port that was free a moment ago; the public address has to be known before the program starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(process, address):
    """Waits until the site answers that it is ready; stops the program if it does not."""

    def is_ready():
        assert process.running(), f"web ended; it said:\n{process.log_text()[-4000:]}"
        try:
            return requests.get(f"{address}/readyz", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    try:
        wait_until("web is ready", is_ready, seconds=START_SECONDS)
    except BaseException:
        process.stop()
        raise


class BareWeb:
    """The program with settings of its own. It quacks like `Site` where windows are concerned."""

    def __init__(self, folder: Path, *, port, client_id, client_secret, issuer, **settings):
        self.address = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True, exist_ok=True)
        env_file = folder / "env"
        env_file.touch(mode=0o600)
        secret_settings = {
            "GOOGLE_CLIENT_ID": client_id,
            "GOOGLE_CLIENT_SECRET": client_secret,
            "APP_SECRET": secrets.token_hex(32),
            "DB_ENCRYPTION_KEY": secrets.token_hex(32),
        }
        env_file.write_text("".join(f'{name}="{value}"\n' for name, value in secret_settings.items()))
        environment = clean_environment(
            WARDPOST_ENV_FILE=str(env_file),
            WARDPOST_DB=str(folder / "wardpost.db"),
            WARDPOST_LISTEN=f"127.0.0.1:{port}",
            WARDPOST_PUBLIC_URL=self.address,
            WARDPOST_OIDC_ISSUER=issuer,
            **HIGH_LIMITS | settings,
        )
        self._process = Process([binary("web")], log=folder / "web.log", env=environment)
        wait_until_ready(self._process, self.address)

    def stop(self):
        code = self._process.stop()
        assert code == 0, f"web ended with {code}; it said:\n{self._process.log_text()[-4000:]}"
