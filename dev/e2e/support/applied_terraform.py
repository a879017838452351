"""terraform/ applied to a stand-in for AWS, once for all tests that look at it."""

from contextlib import ExitStack

import boto3

from .aws_policies import ACCOUNT, AwsPolicies
from .moto_server import STATIC_CREDENTIALS, MotoServer
from .terraform import MODULE, OVERRIDE, Terraform, require

REGION = "us-east-2"
CORRECTED = f"""
import sys
sys.path.insert(0, {str(MODULE.parent / "dev" / "e2e")!r})
import support.moto_corrections
"""
SAFE = {
    "account_id": ACCOUNT, "region": "us-west-2",
    "backups": f"wardpost-safe-backups-{ACCOUNT}", "audit": f"wardpost-safe-audit-{ACCOUNT}",
}


class AppliedTerraform:
    """With the place of the state, the second region and the archive. Without what moto does
    not know: snapshots by DLM, a budget."""

    def __init__(self, folder):
        require()
        with ExitStack() as started:
            self.moto = MotoServer(prelude=CORRECTED)
            started.callback(self.moto.stop)
            environment = {"AWS_ENDPOINT_URL": self.moto.address, "AWS_REGION": REGION} | STATIC_CREDENTIALS
            self.safe = Terraform(folder / "safe", MODULE / "modules" / "safe", override=OVERRIDE, **environment)
            self.safe.variables(source_account=ACCOUNT)
            self.bootstrap = Terraform(folder / "bootstrap", MODULE / "bootstrap", override=OVERRIDE, **environment)
            self.main = Terraform(folder / "main", override=OVERRIDE, **environment)
            self.environment = environment
            # Where there is no such certificate, the listener is asked for again and again.
            certificate = self.connect("acm").request_certificate(DomainName="messages.clinic.example")
            self.main.variables(
                public_url="https://messages.clinic.example", staff_domains=["clinic.example"], alarm_email="it@clinic.example",
                certificate_arn=certificate["CertificateArn"], release={"version": "1.0.0", "sha256": "0" * 64},
                safe=SAFE, audit_archive=True, snapshots=False, monthly_budget=0,
            )
            # All three at once: most of it is waiting.
            others = [module.start("apply", "-auto-approve") for module in (self.safe, self.bootstrap)]
            try:
                self.main.run("apply", "-auto-approve").expect(0)
            finally:
                ended = [(other.communicate(timeout=480)[0], other.returncode) for other in others]
            assert [code for _, code in ended] == [0, 0], ended
            self.outputs = self.main.outputs()
            self.policies = AwsPolicies(folder, self.moto.address, REGION, self.connect)
            started.callback(self.policies.stop)
            self._started = started.pop_all()

    def connect(self, service, region=REGION):
        """A client of the tests' own, with all rights."""
        keys = {name.lower(): value for name, value in STATIC_CREDENTIALS.items()}
        return boto3.client(service, endpoint_url=self.moto.address, region_name=region, **keys)

    def stop(self):
        self._started.close()
