"""The site for real: `demo --for-tests` runs the OpenID provider and the programs, each test module its own."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import requests

from .limits import HIGH_LIMITS
from .processes import Process, binary, clean_environment


class Provider:
    """The demo's OpenID provider, which does wrong when it is told to."""

    def __init__(self, address):
        self.address = address

    def script(self, misbehaviour):
        """What it does from now on, by its name in `dev/demo/src/misbehaviour.rs`; `none` is good behaviour."""
        reply = requests.post(f"{self.address}/script", json={"misbehaviour": misbehaviour}, timeout=10)
        assert reply.status_code == 204, f"the provider knows no `{misbehaviour}`: {reply.text}"

    def rename(self, person, **changes):
        """Gives a person another `email` or `name`."""
        reply = requests.post(f"{self.address}/people", json={"person": person, **changes}, timeout=10)
        assert reply.status_code == 204, reply.text

    def requests(self):
        """How often each endpoint was asked so far."""
        return requests.get(f"{self.address}/script", timeout=10).json()["requests"]


class Site:
    """A running site with its provider, and of the other programs those named in `beside`."""

    def __init__(self, data: Path, *, web_environment=None, beside=(), **settings):
        self.data = data
        command = [binary("demo"), "--for-tests", "--port", "0", "--provider-port", "0", "--data", data]
        for program in {"log-shipper", "backup-worker"} - set(beside):
            command += ["--without", program]
        for name, value in (web_environment or {}).items():
            command += ["--web-env", f"{name}={value}"]
        self._process = Process(
            command, log=data.with_name(f"{data.name}-demo.log"), env=clean_environment(**HIGH_LIMITS | settings)
        )
        addresses = self._process.announced()
        self.address = addresses["site"].rstrip("/")
        self.provider = Provider(addresses["provider"].rstrip("/"))

    def get(self, path, **options):
        """A request of nobody in particular."""
        return requests.get(self.address + path, timeout=60, allow_redirects=False, **options)

    def database(self):
        """Where the encrypted database is."""
        return self.data / "wardpost.db"

    def log_text(self):
        """What web has logged so far."""
        return "".join(log.read_text(errors="replace") for log in self.data.glob("logs/*.log"))

    def command(self, *arguments, database=None):
        """Runs a command of `web`, such as `audit verify`, beside the running site."""
        return subprocess.run(
            [binary("web"), *arguments],
            env=clean_environment(
                WARDPOST_ENV_FILE=str(self.data / "env"), WARDPOST_DB=str(database or self.database()),
                WARDPOST_PUBLIC_URL=self.address,
            ),
            capture_output=True,
            text=True,
            timeout=60,
        )

    @contextmanager
    def unreachable(self):
        """As behind a dead network: what is open stays open, and nobody answers any more."""
        web = subprocess.run(
            ["pgrep", "--parent", str(self._process.pid), "--exact", "web"], capture_output=True, text=True, check=True
        )
        pid = int(web.stdout)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        code = self._process.stop()
        assert code == 0, f"the demo ended with {code}; it said:\n{self._process.log_text()[-4000:]}"


def parse_json_lines(text):
    """The objects of a JSON lines export."""
    return [json.loads(line) for line in text.splitlines()]
