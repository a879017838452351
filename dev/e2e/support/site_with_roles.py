"""The site on a machine at AWS, as far as its programs can see: a network of its own with the metadata service at its address,
and a role for each program (`role_gate`)."""

import re
import subprocess
from urllib.parse import urlsplit

from .fake_imds import FakeMetadata
from .installed_site import InstalledSite
from .machine import Machine
from .namespaces import Carrier, connect
from .role_gate import SERVICES, RoleGate, role_of
from .secrets_init import REGION
from .waiting import wait_until

METADATA = ("169.254.169.254", 80)
BROKER = ("127.0.0.254", 254)
CREDENTIALS = ("wardpost-credentials.socket", "wardpost-credentials.service")
# The units of each program that talk to AWS, the one first that runs for good.
UNITS = {
    "secrets-init": ("wardpost-secrets.service", "wardpost-secrets-check.service", "wardpost-secrets-rotate.service"),
    "log-shipper": ("wardpost-log-shipper.service", "wardpost-verify-copy.service"),
    "backup-worker": ("wardpost-backup-worker.service", "wardpost-verify-backup.service"),
}
# How timeout(1) ends.
TIMED_OUT = 124
# A session of this many seconds is renewed after half of them.
SHORT_LIFE = 20


class SiteWithRoles(InstalledSite):
    """`gate` is AWS, `metadata` the machine's metadata service, which answers when everything else waits for it already."""

    def _make_machine(self, install):
        return Machine(install=install, own_network=True)

    def _configure(self):
        self.metadata = self._later(FakeMetadata(role="clinic-machine"))
        self.gate = self._later(RoleGate(self.metadata, self.moto, life=SHORT_LIFE))
        roles = {f"WARDPOST_ROLE_{program.upper().replace('-', '_')}": role_of(program) for program in SERVICES}
        self.machine.write("/etc/wardpost/roles.env", "".join(f"{name}={role}\n" for name, role in roles.items()))
        super()._configure()

    def set_aws(self, **changes):
        self.machine.write("/etc/wardpost/aws.env", f"AWS_ENDPOINT_URL={self.gate.address}\nAWS_REGION={REGION}\n", mode=0o600)

    def _has_booted(self):
        for address in (self.gate.address, self.provider.address):
            port = urlsplit(address).port
            self.carry(("127.0.0.1", port), port)
        missed = "this machine's own credentials could not be had"
        said = lambda: self.machine.journal("wardpost-credentials.service").count(missed)
        wait_until("every role's credentials are missed", lambda: said() == len(SERVICES), 60)
        self.inside("ip", "address", "add", f"{METADATA[0]}/32", "dev", "lo")
        self.carry(METADATA, urlsplit(self.metadata.address).port)

    def carry(self, inside, port):
        """Takes connections to an address of the machine's network to a port of this one's."""
        self._later(Carrier(lambda: connect(("127.0.0.1", port)), listen=inside, pid=self.machine.leader))

    def inside(self, *command):
        """Runs a command of this machine in the other's network."""
        subprocess.run(["nsenter", f"--target={self.machine.leader}", "--net", *command], check=True, capture_output=True)

    def reaches(self, unit, address):
        """Whether a process of a unit (its user, its cgroup) gets a connection. What is denied is dropped, not refused."""
        user = self.machine.show(unit, "User")
        group = f"/sys/fs/cgroup{self.machine.show(unit, 'ControlGroup')}/cgroup.procs"
        host, port = address
        attempt = f"exec timeout 2 setpriv --reuid={user} --regid=wardpost --clear-groups bash -c 'exec 3<>/dev/tcp/{host}/{port}'"
        tried = self.machine.run("sh", "-c", f"echo $$ >{group} && {attempt}", check=False)
        assert tried.returncode in (0, TIMED_OUT), tried.stderr
        return tried.returncode == 0

    def ask(self, program, token=None):
        """What the broker answers to somebody on the machine: status and body."""
        header = f"Authorization: {token}\r\n" if token else ""
        with connect(BROKER, self.machine.leader) as one:
            one.settimeout(30)
            one.sendall(f"GET /{program} HTTP/1.1\r\nHost: {BROKER[0]}\r\n{header}Connection: close\r\n\r\n".encode())
            text = b"".join(iter(lambda: one.recv(65536), b"")).decode()
        head, _, body = text.partition("\r\n\r\n")
        return int(re.match(r"HTTP/1.1 (\d+)", head)[1]), body

    def token(self, unit):
        """What systemd has handed to a unit."""
        return self.machine.run("cat", f"/run/credentials/{unit}/aws-token").stdout
