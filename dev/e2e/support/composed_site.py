"""Wardpost as `compose/` runs it: the real files, the programs of the debug build, AWS and the provider as the tests'
own, and a way in through the edge."""

import json
import shutil
import ssl
import subprocess
from contextlib import ExitStack

from .container_host import BASE, EDGE_BASE, GATEWAY, ContainerHost
from .limits import HIGH_LIMITS
from .moto_server import STATIC_CREDENTIALS, MotoServer
from .namespaces import Carrier, connect
from .processes import ROOT, Process, binary, clean_environment
from .secrets_init import NAME, REGION, good_secret
from .site import Provider
from .visitor import Visitor
from .waiting import wait_until

PROGRAMS = ("web", "log-shipper", "backup-worker")
BINARIES = ("secrets-init", *PROGRAMS)
BUCKET = "wardpost-backups"
# What containers know through `extra_hosts`.
PROVIDER_HOST = "accounts.test"
UP_SECONDS = 180


class ComposedSite:
    """The whole project, up and healthy. The engine ends with it."""

    def __init__(self, host: ContainerHost, folder):
        self.host = host
        self.folder = folder
        self._ways_out = []
        self._members = {}
        with ExitStack() as self._started:
            self._started.callback(host.remove)
            self._start()
            self._started = self._started.pop_all()

    def _start(self):
        self._make_certificates()
        self.secret = good_secret()
        self._start_aws()
        # The way in, before anything is up: its port is part of the site's address.
        edge = self.carry(lambda: connect(("127.0.0.1", 443), self.host.pid))
        self.address = f"https://localhost:{edge.port}"
        self._start_provider()
        self._write_project()
        self.compose("build", seconds=300)
        self.up()

    def carry(self, connect, **options):
        carrier = Carrier(connect, **options)
        self._started.callback(carrier.stop)
        return carrier

    def _from_containers(self, connect, **options):
        """A way from every container to the tests, as long as the engine's network lives."""
        carrier = self.carry(connect, listen=("0.0.0.0", 0), pid=self.host.pid, **options)
        self._ways_out.append((carrier, connect, options))
        return carrier

    def reconnect(self):
        """The same ways from the same ports, in the network of an engine that was started again."""
        for carrier, connect, options in self._ways_out:
            carrier.stop()
            self.carry(connect, listen=("0.0.0.0", carrier.port), pid=self.host.pid, **options)

    def _make_certificates(self):
        """One for the edge and the provider, by an authority that nobody else knows."""
        self.certificates = self.folder / "certificates"
        self.certificates.mkdir()
        script = (
            "set -e\n"
            "openssl req -x509 -newkey rsa:2048 -nodes -days 200 -subj '/CN=Tests' -keyout ca.key -out ca.pem\n"
            f"printf 'subjectAltName=DNS:localhost,DNS:{PROVIDER_HOST},IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n"
            # Nobody asks there; a certificate that cannot be revoked would be a finding.
            "crlDistributionPoints=URI:http://revoked.test/list\\n'"
            " >extensions\n"
        )
        subprocess.run(["sh", "-c", script], cwd=self.certificates, check=True, capture_output=True)
        self.renew_certificate()
        self.authority = str(self.certificates / "ca.pem")

    def renew_certificate(self):
        """Another one of the same authority for the same name, with another key."""
        script = (
            "set -e\n"
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout privkey.pem"
            " -out request.pem\n"
            "openssl x509 -req -days 200 -in request.pem -CA ca.pem -CAkey ca.key -extfile extensions -out leaf.pem\n"
            "cat leaf.pem ca.pem >fullchain.pem\n"
            # The edge's own number, and nobody else's.
            "chmod 600 privkey.pem && chown 10004 privkey.pem\n"
        )
        subprocess.run(["sh", "-c", script], cwd=self.certificates, check=True, capture_output=True)

    def _start_aws(self):
        self.aws = MotoServer()
        self._started.callback(self.aws.stop)
        port = int(self.aws.address.rsplit(":", 1)[1])
        carrier = self._from_containers(lambda: connect(("127.0.0.1", port)))
        # By number: moto would take the first part of a name for a bucket.
        self.aws_address = f"http://{GATEWAY}:{carrier.port}"
        self.aws.connect("secretsmanager").create_secret(Name=NAME, SecretString=json.dumps(self.secret))
        self.aws.connect("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    def _start_provider(self):
        """The demo's, behind TLS: a site in a container has a provider elsewhere."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificates / "fullchain.pem", self.certificates / "privkey.pem")
        ports = []

        def reach():
            return connect(("127.0.0.1", ports[0]))

        for_containers = self._from_containers(reach, tls=tls)
        for_browsers = self.carry(reach, tls=tls)
        self.issuer = f"https://{PROVIDER_HOST}:{for_containers.port}"
        self.provider_for_browsers = f"https://localhost:{for_browsers.port}"
        secret = self.folder / "provider.json"
        secret.touch(mode=0o600)
        secret.write_text(json.dumps(self.secret))
        callback = f"{self.address}/sign-in/callback"
        command = [binary("provider"), "--issuer", self.issuer, "--redirect-uri", callback, "--secret", secret]
        provider = Process(command, log=self.folder / "provider.log", env=clean_environment())
        self._started.callback(provider.stop)
        ports.append(int(provider.announced()["provider"].rsplit(":", 1)[1]))
        # As a browser sees it that takes one name for another: `browser_rule`.
        self.provider = Provider(self.issuer)
        self.browser_rule = f"--host-resolver-rules=MAP {PROVIDER_HOST}:{for_containers.port} 127.0.0.1:{for_browsers.port}"

    def _write_project(self):
        """The repository as far as compose sees it, with programs that are built already."""
        context = self.folder / "context"
        shutil.copytree(ROOT / "compose", context / "compose", ignore=shutil.ignore_patterns(".env"))
        packaged = context / "packaged"
        packaged.mkdir()
        for name in BINARIES:
            # Without what a debugger reads they are a third of the size.
            subprocess.run(["strip", "--strip-debug", "-o", packaged / name, binary(name)], check=True)
        shutil.copy(self.authority, packaged / "ca-certificates.crt")
        self.project = context / "compose"
        credentials = self.folder / "credentials"
        credentials.write_text(
            "[default]\n" + "".join(f"{name.lower()} = {value}\n" for name, value in STATIC_CREDENTIALS.items())
        )
        limits = "".join(f"{name}={value}\n" for name, value in HIGH_LIMITS.items())
        (self.project / ".env").write_text(
            "COMPOSE_PROFILES=edge\n"
            "COMPOSE_FILE=compose.yaml:tests.yaml\n"
            f"BASE={BASE}\nEDGE_BASE={EDGE_BASE}\nPROGRAMS=packaged\n"
            f"WARDPOST_PUBLIC_URL={self.address}\n"
            f"WARDPOST_OIDC_ISSUER={self.issuer}\n"
            "WARDPOST_STAFF_DOMAINS=clinic.example\n"
            f"WARDPOST_BACKUP_TARGET=s3://{BUCKET}/nightly\n"
            "WARDPOST_DRILL_SCHEDULE=off\n"
            f"{limits}"
            f"AWS_REGION={REGION}\nAWS_ENDPOINT_URL={self.aws_address}\n"
            f"EDGE_CERTIFICATES={self.certificates}\n"
        )
        (self.project / "tests.yaml").write_text(json.dumps({"services": self._overlay(credentials)}))

    def _overlay(self, credentials):
        """What a machine of the tests has otherwise than one of a clinic: no role, names without DNS, shorter timeouts."""
        aws = {
            "environment": {"AWS_SHARED_CREDENTIALS_FILE": "/aws/credentials"},
            "volumes": [f"{credentials}:/aws/credentials:ro"],
        }
        soon = {"healthcheck": {"interval": "2s"}}
        return {
            **{f"secrets-init-{program}": aws for program in PROGRAMS},
            "web": {"extra_hosts": [f"{PROVIDER_HOST}:{GATEWAY}"]} | soon,
            "log-shipper": aws | soon,
            "backup-worker": aws | soon,
            "edge": soon,
        }

    def compose(self, *arguments, **options):
        return self.host.run(*self.host.compose_program, *arguments, cwd=self.project, **options)

    def up(self):
        self.compose("up", "--detach", "--wait", seconds=UP_SECONDS)

    def container(self, service):
        """What the engine tells of a service's one container."""
        return self.host.inspect(f"wardpost-{service}-1")[0]

    def change_secret(self, **changes):
        """As the runbook has it: the new value into Secrets Manager, and secrets-init once more for each reader. None takes
        a value out."""
        self.secret = {name: value for name, value in (self.secret | changes).items() if value is not None}
        self.aws.connect("secretsmanager").put_secret_value(SecretId=NAME, SecretString=json.dumps(self.secret))
        for program in PROGRAMS:
            service = f"secrets-init-{program}"
            self.compose("start", service)
            wait_until(f"{service} ends", lambda: not self.container(service)["State"]["Running"], 60)
            assert self.container(service)["State"]["ExitCode"] == 0, self.logs(service)

    def run_in(self, service, *command, **options):
        return self.host.docker("exec", f"wardpost-{service}-1", *command, **options)

    def healthy(self, service):
        state = self.container(service)["State"]
        return state["Running"] and state["Health"]["Status"] == "healthy"

    def member(self, person):
        """Somebody who is signed in, once for all tests: the edge lets few sign-ins through."""
        if person not in self._members:
            self._members[person] = EdgeVisitor(self, person)
        return self._members[person]

    def forget_members(self):
        """Who is asked for from now on signs in again."""
        self._members.clear()

    def stranger(self):
        return EdgeVisitor(self)

    def logs(self, service):
        """What a service has said so far."""
        return self.host.docker("logs", f"wardpost-{service}-1").stdout

    def stop(self):
        self._started.close()


class EdgeVisitor(Visitor):
    """Comes through the edge, over TLS, and trusts the tests' authority alone."""

    def request(self, method, path, **options):
        self._http.verify = self.site.authority
        # The provider has another address on this side.
        return super().request(
            method, path.replace(self.site.issuer, self.site.provider_for_browsers, 1), **options
        )
