"""`terraform/boot.sh`, the user data of a machine, in a booted systemd with a volume of its own. Beside the release and moto for
AWS, it finds what Amazon Linux has: an `aws` that fetches from a bucket, which is a folder here."""

import hashlib
import json
import shutil
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from support.bare_web import free_port
from support.machine import Machine
from support.moto_server import MotoServer
from support.processes import BINARIES, ROOT
from support.secrets_init import NAME, good_secret
from support.waiting import wait_until

VERSION, BUCKET = "1.0.0", "wardpost-backups"
TARBALL = f"wardpost-{VERSION}-x86_64.tar.gz"
# The machine's tools for ext4 are there in any Debian; Amazon Linux's own are for xfs.
FILE_SYSTEM = "ext4"
APPLICATION_LOG = "/var/log/wardpost/application.jsonl"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """What `make install` puts below DESTDIR, packed."""
    folder = tmp_path_factory.mktemp("release")
    install = ["make", "install", f"DESTDIR={folder}/image", f"BINARIES={BINARIES}"]
    subprocess.run(install, cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-C", folder / "image", "-I", "gzip -1", "-cf", folder / TARBALL, "."], check=True)
    shutil.rmtree(folder / "image")
    return folder / TARBALL


@pytest.fixture(scope="module")
def moto():
    server = MotoServer()
    server.connect("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    server.connect("logs").create_log_group(logGroupName="wardpost/audit")
    server.connect("secretsmanager").create_secret(Name=NAME, SecretString=json.dumps(good_secret()))
    yield server
    server.stop()


@pytest.fixture
def volume(tmp_path):
    """A block device without anything on it."""
    image = tmp_path / "volume"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    attached = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
    if attached.returncode != 0:
        pytest.skip(f"no block device can be made here: {attached.stderr}")
    device = attached.stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


class New:
    """A machine that was never booted, with its user data."""

    def __init__(self, machine, volume, release, moto, **changes):
        self.machine, self.port = machine, free_port()
        settings = {
            "WARDPOST_PUBLIC_URL": f"http://127.0.0.1:{self.port}", "WARDPOST_STAFF_DOMAINS": "clinic.example",
            "WARDPOST_BACKUP_TARGET": f"s3://{BUCKET}/wardpost", "WARDPOST_APPLICATION_SINK": f"file://{APPLICATION_LOG}",
        }
        values = {
            "FILE_SYSTEM": FILE_SYSTEM, "VERSION": VERSION, "SHA256": hashlib.sha256(release.read_bytes()).hexdigest(),
            "ARTIFACTS": "bucket", "VOLUME": volume, "LISTEN": f"127.0.0.1:{self.port}", "SETTINGS": _lines(settings),
            "AWS_SETTINGS": _lines(moto.settings()), "ROLES": "",
        } | changes
        user_data = "".join(f"{name}='{value}'\n" for name, value in values.items()) + (ROOT / "terraform/boot.sh").read_text()
        machine.write("/root/user-data", f"#!/bin/bash\n{user_data}")
        fetch = f'#!/bin/sh\n[ "$1 $2 $4" = "s3 cp s3://bucket/{TARBALL}" ] && cp /root/{TARBALL} "$5"\n'
        machine.write("/usr/local/bin/aws", fetch, mode=0o755)
        shutil.copy(release, machine.root / "root" / TARBALL)
        machine.boot()
        # cloud-init runs it as the last of a boot. Any earlier, /tmp is still cleared.
        machine.wait_for("multi-user.target", "active")

    def run_user_data(self, code=0):
        ran = self.machine.run("bash", "/root/user-data", check=False)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stderr

    def wait_until_it_serves(self):
        for unit in ("wardpost.target", "wardpost-web.service", "wardpost-log-shipper.service", "wardpost-backup-worker.service"):
            self.machine.wait_for(unit, "active")
        mounted = self.machine.run("findmnt", "--noheadings", "--output=SOURCE", "/var/lib/wardpost").stdout
        assert mounted.startswith("/dev/")

    def database(self):
        """The number of the database's file on its volume, and when the file was made."""
        return self.machine.run("stat", "--format=%i %W", "/var/lib/wardpost/wardpost.db").stdout

    def settings(self):
        return (self.machine.root / "etc/wardpost/wardpost.env").read_text()


def _lines(settings):
    return "\n".join(f"{name}={value}" for name, value in settings.items())


@contextmanager
def new_machine(volume, release, moto, **changes):
    with ExitStack() as started:
        machine = Machine(install=False, disk=volume)
        started.callback(machine.stop)
        yield New(machine, volume, release, moto, **changes)


def test_the_first_boot_the_second_and_another_machine_on_the_same_volume(volume, release, moto):
    with new_machine(volume, release, moto) as first:
        first.run_user_data()
        first.wait_until_it_serves()
        made = first.database()

        # How full the machine is goes the way of all log lines.
        sent = first.machine.root / APPLICATION_LOG.lstrip("/")

        def told():
            return [line for line in sent.read_text().splitlines() if "disk_percent" in line] if sent.exists() else []

        first.machine.systemctl("start", "wardpost-machine.service")
        line = json.loads(wait_until("it arrives at the sink", told)[0])
        assert 0 < line["disk_percent"] < 100 and 0 < line["memory_percent"] < 100

        # Once more: what an operator has changed stays, and so does the database.
        settings = first.settings().replace("WARDPOST_STAFF_DOMAINS=clinic.example", "WARDPOST_STAFF_DOMAINS=mail.clinic.example")
        first.machine.write("/etc/wardpost/wardpost.env", settings, mode=0o640)
        first.run_user_data()
        assert first.settings() == settings

        # Switched on again, it does not need the script.
        first.machine.shut_down()
        first.machine.boot()
        first.wait_until_it_serves()
        assert first.database() == made
        first.machine.shut_down()

    with new_machine(volume, release, moto) as second:
        second.run_user_data()
        second.wait_until_it_serves()
        assert second.database() == made


def test_another_release_than_was_applied_does_not_run(volume, release, moto):
    with new_machine(volume, release, moto, SHA256="0" * 64) as machine:
        assert "is not the release that was applied" in machine.run_user_data(code=1)
        assert not (machine.machine.root / "usr/local/lib/wardpost").exists()
        assert machine.machine.show("wardpost.target", "LoadState") == "not-found"


def test_a_volume_that_holds_something_else_is_left_alone(volume, release, moto):
    subprocess.run(["mkfs.ext4", "-q", volume], check=True)
    before = subprocess.run(["sha256sum", volume], check=True, capture_output=True).stdout
    with new_machine(volume, release, moto, FILE_SYSTEM="xfs") as machine:
        assert "holds ext4, not xfs: nothing was changed" in machine.run_user_data(code=1)
    assert subprocess.run(["sha256sum", volume], check=True, capture_output=True).stdout == before
