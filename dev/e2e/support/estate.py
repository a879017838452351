"""A clinic's machine without its supervisor: a secret store, secrets-init, the three services, and a provider that others
wrote. Steps of a runbook are done on it by hand, as an operator does them."""

import json
import os
import secrets
import subprocess
from contextlib import ExitStack
from pathlib import Path

from .bare_web import free_port, wait_until_ready
from .processes import ROOT, Process, binary, clean_environment

CLIENT = "wardpost"


class Provider:
    """npm's oidc-provider, which keeps its address when it is started again with another client secret."""

    def __init__(self, folder: Path, site_port, secret):
        self._folder, self._site_port, self._port = folder, site_port, free_port()
        self.start(secret)

    def start(self, secret):
        client = {
            "client_id": CLIENT,
            "client_secret": secret,
            "redirect_uri": f"http://127.0.0.1:{self._site_port}/sign-in/callback",
            "port": self._port,
        }
        command = ["node", ROOT / "dev/e2e/other-provider/server.mjs", json.dumps(client)]
        self._process = Process(command, log=self._folder / "provider.log")
        self.address = self._process.announced()["issuer"]

    def stop(self):
        self._process.stop()


class Estate:
    """It quacks like `Site` where windows are concerned."""

    SERVICES = ("web", "log-shipper", "backup-worker")

    def __init__(self, folder: Path):
        port = free_port()
        self.folder, self.address = folder, f"http://127.0.0.1:{port}"
        (folder / "run").mkdir(parents=True)
        (folder / "backups").mkdir()
        self.secret = {
            "GOOGLE_CLIENT_ID": CLIENT,
            "GOOGLE_CLIENT_SECRET": secrets.token_hex(16),
            "APP_SECRET": secrets.token_hex(32),
            "DB_ENCRYPTION_KEY": secrets.token_hex(32),
        }
        self.seen = set(self.secret.values()) - {CLIENT}
        self.provider = Provider(folder, port, self.secret["GOOGLE_CLIENT_SECRET"])
        self.database = folder / "wardpost.db"
        self._settings = {
            "WARDPOST_ENV_FILE": str(folder / "run" / "env"),
            "WARDPOST_DB": str(self.database),
            "WARDPOST_LISTEN": f"127.0.0.1:{port}",
            "WARDPOST_PUBLIC_URL": self.address,
            "WARDPOST_OIDC_ISSUER": self.provider.address,
            "WARDPOST_STAFF_DOMAINS": "clinic.example",
            "WARDPOST_AUDIT_SINK": f"file://{folder}/audit.jsonl",
            "WARDPOST_BACKUP_TARGET": f"file://{folder}/backups",
        }
        self._running, self._starts = {}, 0

    def change_secret(self, **changes):
        """In the secret store; None removes a name."""
        self.secret = {name: value for name, value in (self.secret | changes).items() if value is not None}
        self.seen |= {value for name, value in changes.items() if value and name != "GOOGLE_CLIENT_ID"}

    def secrets_init(self):
        source = self.folder / "secret.json"
        source.touch(mode=0o600)
        source.write_text(json.dumps(self.secret))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "WARDPOST_SECRET": f"file://{source}"}
        environment["WARDPOST_ENV_FILE"] = self._settings["WARDPOST_ENV_FILE"]
        return self._told(subprocess.run([binary("secrets-init")], env=environment, capture_output=True, text=True, timeout=60))

    def command(self, name, *arguments):
        """A command that an operator types."""
        command = [binary(name), *map(str, arguments)]
        environment = clean_environment(HOME=str(self.folder), **self._settings)
        return self._told(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120))

    def _told(self, run):
        assert run.returncode == 0, run.stdout + run.stderr
        leaked = [secret for secret in self.seen if secret in run.stdout + run.stderr]
        assert not leaked, f"{run.args[0]} tells a secret"
        return run.stdout

    def start(self, *names):
        for name in names or self.SERVICES:
            self._starts += 1
            log = self.folder / f"{name}-{self._starts}.log"
            environment = clean_environment(HOME=str(self.folder), **self._settings)
            self._running[name] = Process([binary(name)], log=log, env=environment)
        if "web" in (names or self.SERVICES):
            wait_until_ready(self._running["web"], self.address)

    def stop(self, *names):
        for name in names or [name for name in self.SERVICES if name in self._running]:
            process = self._running.pop(name)
            code = process.stop()
            assert code == 0, f"{name} ended with {code}; it said:\n{process.log_text()[-4000:]}"
            assert not [secret for secret in self.seen if secret in process.log_text()], f"{name} logs a secret"

    def restart(self, *names):
        self.stop(*names)
        self.start(*names)

    def close(self):
        """Stops everything that runs, also when one of them does not end well."""
        with ExitStack() as started:
            started.callback(self.provider.stop)
            for name in list(self._running):
                started.callback(self.stop, name)
