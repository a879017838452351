"""The site on a machine of its own, installed and configured as an operator would, with moto for AWS and the demo's provider."""

import json
from contextlib import ExitStack
from pathlib import Path

import requests

from .bare_web import free_port
from .limits import HIGH_LIMITS
from .machine import Machine
from .metrics import Metrics
from .moto_secrets import SecretsManager
from .processes import Process, binary, clean_environment
from .site import Provider
from .visitor import Visitor

PROGRAMS = ("wardpost-web.service", "wardpost-log-shipper.service", "wardpost-backup-worker.service")
# What wardpost.target stands for.
EVERYTHING = (
    "wardpost.target",
    "wardpost-secrets.service",
    "wardpost-web.socket",
    *PROGRAMS,
    *(f"wardpost-{name}.timer" for name in ("secrets-check", "verify-chain", "verify-copy", "verify-backup")),
)
BUCKET = "clinic-backups"
APPLICATION_LOG = "/var/log/wardpost/application.jsonl"


class InstalledSite:
    """`machine`, `moto` and `provider`, and the site at `address` with its `metrics`. With `install=False` the machine is booted
    without it: a test installs it, and calls `set_up()`."""

    def __init__(self, folder: Path, install=True):
        self._folder = folder
        with ExitStack() as self._started:
            self._start(install)
            self._started = self._started.pop_all()

    def _start(self, install):
        self.machine = self._later(self._make_machine(install))
        self.moto = self._later(SecretsManager())
        command = [binary("demo"), "--for-tests", "--provider-only", "--port", "0", "--provider-port", "0"]
        data, log = self._folder / "demo", self._folder / "demo.log"
        demo = self._later(Process([*command, "--data", data], log=log, env=clean_environment()))
        addresses = demo.announced()
        self.address = addresses["site"].rstrip("/")
        self.provider = Provider(addresses["provider"].rstrip("/"))
        self.metrics = Metrics(free_port())
        self.secret = json.loads((data / "secret.json").read_text())
        self.moto.put(self.secret)
        self.moto.connect("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        if install:
            self._configure()
        self.machine.boot()
        self._has_booted()
        if install:
            self.wait_until_up()

    def set_up(self):
        """What an operator does after installing: settings, and everything switched on."""
        self._configure()
        self.machine.systemctl("enable", "--now", "wardpost.target")
        self.wait_until_up()

    def _make_machine(self, install):
        return Machine(install=install)

    def _has_booted(self):
        """What is around the machine."""

    def wait_until_up(self):
        """Waits until everything is active."""
        for unit in EVERYTHING:
            self.machine.wait_for(unit, "active")

    def _later(self, started):
        self._started.callback(started.stop)
        return started

    def _configure(self):
        port = self.address.rsplit(":", 1)[1]
        self.machine.drop_in("wardpost-web.socket", f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n")
        self.set_settings()
        self.set_aws()

    def set_settings(self, **changes):
        """/etc/wardpost/wardpost.env."""
        settings = {
            "WARDPOST_PUBLIC_URL": self.address,
            "WARDPOST_METRICS_LISTEN": self.metrics.address,
            "WARDPOST_OIDC_ISSUER": self.provider.address,
            "WARDPOST_STAFF_DOMAINS": "clinic.example",
            "WARDPOST_BACKUP_TARGET": f"s3://{BUCKET}/wardpost",
            "WARDPOST_APPLICATION_SINK": f"file://{APPLICATION_LOG}",
        } | HIGH_LIMITS | changes
        self.machine.write("/etc/wardpost/wardpost.env", _lines(settings), mode=0o640)

    def set_aws(self, **changes):
        """/etc/wardpost/aws.env."""
        self.machine.write("/etc/wardpost/aws.env", _lines(self.moto.settings() | changes), mode=0o600)

    def get(self, path, **options):
        """A request of nobody in particular."""
        return requests.get(self.address + path, timeout=60, allow_redirects=False, **options)

    def shipped(self):
        """The audit rows at the sink, by their number."""
        logs = self.moto.connect("logs")
        events, options = [], {}
        try:
            for stream in logs.describe_log_streams(logGroupName="wardpost/audit")["logStreams"]:
                options = {"logGroupName": "wardpost/audit", "logStreamName": stream["logStreamName"]}
                events += logs.get_log_events(startFromHead=True, **options)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return {}
        rows = [json.loads(event["message"]) for event in events]
        return {row["id"]: row for row in rows}

    def has_shipped(self, action):
        """Whether every row of this kind is at the sink."""
        written = len(Visitor(self, "tomas").audit(action=action))
        return 0 < written == sum(row["action"] == action for row in self.shipped().values())

    def application_log(self):
        """The log lines at their sink."""
        file = self.machine.root / APPLICATION_LOG.lstrip("/")
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def stop(self):
        self._started.close()


def _lines(settings):
    return "".join(f'{name}="{value}"\n' for name, value in settings.items())
