"""The four programs against what `terraform/` made, each with the credentials of its own role, behind the policies that were
applied: each does its work, and nothing else is allowed."""

import base64
import json
import re

import pytest

from support.applied_terraform import REGION
from support.aws_policies import ACCOUNT
from support.backups import BackupWorker
from support.bare_web import free_port, wait_until_ready
from support.database_program import KEY, copy_database, open_database, seed
from support.processes import Process, binary, clean_environment
from support.secrets_init import SecretsInit, good_secret
from support.shipper import Shipper

PROGRAMS = ("secrets-init", "log-shipper", "backup-worker")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "wardpost.db"
    seed(path, 200)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Its archive is uploaded in parts."""
    path = tmp_path_factory.mktemp("large") / "wardpost.db"
    seed(path, 10_000, random_bytes=2300)
    return path


class Machine:
    """The programs with a database, and the settings that Terraform wrote into the machine's user data."""

    def __init__(self, applied, folder, database, below=""):
        self.applied, self.folder, self.policies = applied, folder, applied.policies
        self.database = copy_database(database, folder / "wardpost.db")
        self.user_data = user_data(applied)
        (settings,) = re.findall(r"^SETTINGS='(.*?)'$", self.user_data, re.DOTALL | re.MULTILINE)
        self.settings = dict(line.split("=", 1) for line in settings.splitlines())
        target = self.settings["WARDPOST_BACKUP_TARGET"]
        self.secret = good_secret(DB_ENCRYPTION_KEY=KEY)
        applied.connect("secretsmanager").put_secret_value(SecretId=applied.outputs["secret"], SecretString=json.dumps(self.secret))
        own = self.policies.settings_of("secrets-init")
        self.secrets_init = SecretsInit(folder, WARDPOST_SECRET=self.settings["WARDPOST_SECRET"], **own)
        self.secrets_init.hide_secret(self.secret)
        self.shipper = Shipper(self.database, self.settings["WARDPOST_AUDIT_SINK"], **self.policies.settings_of("log-shipper"))
        # `below` that: nothing can be removed for the next test.
        self.worker = BackupWorker(self.database, target + below, **self.policies.settings_of("backup-worker"))

    def refused(self):
        """What was refused since the last time."""
        return [decision["action"] for decision in self.policies.decisions() if decision["verdict"] != "Allowed"]


def user_data(applied):
    ec2 = applied.connect("ec2")
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    (instance,) = [instance for reservation in found for instance in reservation["Instances"]]
    encoded = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")["UserData"]["Value"]
    return base64.b64decode(encoded).decode()


@pytest.fixture
def machine(applied, tmp_path, small):
    applied.policies.decisions()
    yield Machine(applied, tmp_path, small, f"/{tmp_path.name}")
    applied.policies.restore()


# ---- What is allowed is enough ---------------------------------------------------------------------------------------
def test_secrets_init_and_web_start_with_what_was_applied(machine):
    machine.secrets_init.run().expect(0, "the env file is written")
    assert machine.secrets_init.written() == machine.secret
    port = free_port()
    # It is asked here without TLS and load balancer; all else is as the machine has it.
    settings = machine.settings | {"WARDPOST_PUBLIC_URL": f"http://127.0.0.1:{port}", "WARDPOST_LISTEN": f"127.0.0.1:{port}"}
    settings |= {"WARDPOST_ENV_FILE": str(machine.secrets_init.env_file), "WARDPOST_DB": str(machine.database)}
    environment = clean_environment(HOME=str(machine.folder), **settings)
    web = Process([binary("web")], log=machine.folder / "web.log", env=environment)
    wait_until_ready(web, settings["WARDPOST_PUBLIC_URL"])
    assert web.stop() == 0
    assert machine.refused() == []


def test_the_audit_log_is_shipped_and_compared(machine):
    assert machine.shipper.run("once", "--json").expect(0).json["quarantined"] == 0
    assert machine.shipper.run("verify", "--json").expect(0).json["agrees"] is True
    machine.shipper.run("backups", "--json").expect(0)
    assert machine.refused() == []
    # The machine's aws.env names the address of CloudWatch Logs alone, where that is asked over IPv6.
    assert "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=https://logs.us-east-2.api.aws" in machine.user_data
    alone = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": machine.policies.address}
    machine.shipper.run("verify", **alone).expect(0)


@pytest.mark.parametrize(("size", "below"), [("small", ""), ("large", "/large")])
def test_a_backup_is_made_proved_and_restored(size, below, request, applied, tmp_path):
    machine = Machine(applied, tmp_path, request.getfixturevalue(size), below)
    name = machine.worker.now()["name"]
    machine.worker.run("verify").expect(0, "all checks passed")
    machine.worker.run("restore", "latest", "--to", tmp_path / "restored.db").expect(0)
    assert machine.refused() == []
    if size == "large":
        return
    # Nobody removes it: not one with all rights, either. (moto forgets the lock of what was uploaded in parts.)
    s3, bucket = applied.connect("s3"), applied.outputs["backups"]
    (key,) = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"wardpost{below}/{name}")["Contents"]]
    version = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)


# ---- Each right is needed, and its want is said ------------------------------------------------------------------------
def another_stream(machine):
    """A database that the log group has no stream of."""
    path = machine.folder / "another" / "wardpost.db"
    seed(path, 3)
    return Shipper(path, machine.settings["WARDPOST_AUDIT_SINK"], **machine.policies.settings_of("log-shipper")).run("once")


def unsound(machine):
    """A backup that is broken off after its upload was begun."""
    connection = open_database(machine.database, guarded=True)
    connection.execute("UPDATE message_body SET body = 'changed by an intruder' WHERE message_id = 5")
    connection.close()
    return machine.worker.run("now")


# What is done without the right, and how the program ends. It is asked for by nobody else, or the test would end otherwise.
NEEDED = {
    "secretsmanager:GetSecretValue": ("secrets-init", 78, lambda machine: machine.secrets_init.run()),
    "logs:CreateLogStream": ("log-shipper", 69, another_stream),
    "logs:PutLogEvents": ("log-shipper", 69, lambda machine: machine.shipper.run("once")),
    "logs:DescribeLogStreams": ("log-shipper", 69, lambda machine: machine.shipper.run("verify")),
    "logs:GetLogEvents": ("log-shipper", 69, lambda machine: machine.shipper.run("verify")),
    "logs:DescribeLogGroups": ("log-shipper", 69, lambda machine: machine.shipper.run("verify")),
    "logs:FilterLogEvents": ("log-shipper", 69, lambda machine: machine.shipper.run("backups")),
    "s3:ListBucket": ("backup-worker", 1, lambda machine: machine.worker.run("list")),
    "s3:PutObject": ("backup-worker", 1, lambda machine: machine.worker.run("now")),
    "s3:GetObject": ("backup-worker", 1, lambda machine: machine.worker.run("verify")),
    "s3:AbortMultipartUpload": ("backup-worker", 1, unsound),
}


def test_every_right_of_the_programs_has_its_line(applied):
    assert sorted(NEEDED) == sorted(action for program in PROGRAMS for action in applied.policies.allowed(program))


@pytest.mark.parametrize("action", NEEDED)
def test_a_right_that_is_missing_is_named(action, request, applied, tmp_path):
    program, code, attempt = NEEDED[action]
    size = "large" if action == "s3:AbortMultipartUpload" else "small"
    machine = Machine(applied, tmp_path, request.getfixturevalue(size), f"/{action[3:]}")
    if action.startswith("s3:"):
        machine.worker.now()
    elif action != "logs:PutLogEvents":
        machine.shipper.run("once").expect(0)
    applied.policies.decisions()
    applied.policies.without(program, action)
    try:
        said = attempt(machine)
    finally:
        applied.policies.restore()
    said.expect(code, action)
    assert set(machine.refused()) == {action}


def test_the_machine_can_take_no_role_without_the_right_and_no_other_name(applied):
    role = applied.policies.role
    named = {"sts:RoleSessionName": "wardpost-log-shipper"}
    assert applied.policies.decide("machine", "sts:AssumeRole", role("log-shipper"), **named) == "Allowed"
    assert applied.policies.decide("machine", "sts:AssumeRole", role("log-shipper"), **{"sts:RoleSessionName": "x"}) != "Allowed"
    for program in PROGRAMS:
        assert applied.policies.decide(program, "sts:AssumeRole", role("log-shipper"), **named) != "Allowed"
    for other in ("replication", "archive", "machine"):
        assert applied.policies.decide("machine", "sts:AssumeRole", role(other), **named) != "Allowed"
    applied.policies.without("machine", "sts:AssumeRole")
    try:
        assert applied.policies.decide("machine", "sts:AssumeRole", role("log-shipper"), **named) != "Allowed"
    finally:
        applied.policies.restore()


# ---- And nothing else is allowed -----------------------------------------------------------------------------------------
BUCKET, LOGS = f"arn:aws:s3:::wardpost-backups-{ACCOUNT}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:wardpost"
ARTIFACTS, AUDIT = f"arn:aws:s3:::wardpost-artifacts-{ACCOUNT}", f"{LOGS}/audit"
OBJECT, SECRET = f"{BUCKET}/wardpost/x", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:wardpost/app-secrets"
ENCRYPTED = {"s3:x-amz-server-side-encryption": "AES256"}
# Who asks for what, and whether it is to be allowed. The secret's name ends as Secrets Manager chooses.
MATRIX = [
    ("backup-worker", "s3:PutObject", OBJECT, ENCRYPTED, True),
    ("backup-worker", "s3:PutObject", OBJECT, {}, False),
    ("backup-worker", "s3:PutObject", OBJECT, {"s3:x-amz-server-side-encryption": "aws:kms"}, False),
    ("backup-worker", "s3:PutObject", OBJECT, ENCRYPTED | {"aws:SecureTransport": "false"}, False),
    ("backup-worker", "s3:GetObject", OBJECT, {"aws:SecureTransport": "false"}, False),
    ("backup-worker", "s3:PutObject", f"{BUCKET}/elsewhere/x", ENCRYPTED, False),
    ("backup-worker", "s3:ListBucket", BUCKET, {"s3:prefix": "wardpost/"}, True),
    ("backup-worker", "s3:ListBucket", BUCKET, {"s3:prefix": ""}, False),
    ("backup-worker", "s3:DeleteObject", OBJECT, {}, False),
    ("backup-worker", "s3:DeleteObjectVersion", OBJECT, {}, False),
    ("backup-worker", "s3:PutObjectRetention", OBJECT, {}, False),
    ("backup-worker", "s3:BypassGovernanceRetention", OBJECT, {}, False),
    ("backup-worker", "s3:PutLifecycleConfiguration", BUCKET, {}, False),
    ("backup-worker", "s3:PutBucketPolicy", BUCKET, {}, False),
    ("backup-worker", "s3:PutBucketVersioning", BUCKET, {}, False),
    ("backup-worker", "s3:PutObject", f"arn:aws:s3:::wardpost-safe-backups-{ACCOUNT}/x", ENCRYPTED, False),
    ("backup-worker", "s3:PutObject", f"{ARTIFACTS}/wardpost-1.0.0-x86_64.tar.gz", ENCRYPTED, False),
    ("machine", "s3:PutObject", f"{ARTIFACTS}/wardpost-1.0.0-x86_64.tar.gz", ENCRYPTED, False),
    ("machine", "s3:GetObject", f"{ARTIFACTS}/wardpost-1.0.0-x86_64.tar.gz", {}, True),
    ("machine", "s3:GetObject", OBJECT, {}, False),
    ("machine", "secretsmanager:GetSecretValue", f"{SECRET}-AbCdEf", {}, False),
    ("machine", "logs:PutLogEvents", f"{AUDIT}:log-stream:a", {}, False),
    ("machine", "logs:PutLogEvents", f"{LOGS}/sessions:log-stream:a", {}, True),
    ("machine", "ssm:SendCommand", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1", {}, False),
    ("machine", "ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/x", {}, False),
    ("machine", "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/wardpost-backup-worker", {}, False),
    ("secrets-init", "secretsmanager:PutSecretValue", f"{SECRET}-AbCdEf", {}, False),
    ("secrets-init", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:other-AbCdEf", {}, False),
    ("log-shipper", "logs:PutLogEvents", f"{AUDIT}:log-stream:a", {}, True),
    ("log-shipper", "logs:PutLogEvents", f"{LOGS}/sessions:log-stream:a", {}, False),
    ("log-shipper", "logs:PutRetentionPolicy", AUDIT, {}, False),
    ("log-shipper", "logs:DeleteLogGroup", AUDIT, {}, False),
    ("log-shipper", "logs:DeleteLogStream", f"{AUDIT}:log-stream:a", {}, False),
    ("log-shipper", "logs:DeleteSubscriptionFilter", AUDIT, {}, False),
    ("log-shipper", "logs:CreateLogGroup", f"{LOGS}/another", {}, False),
    ("replication", "s3:DeleteObject", OBJECT, {}, False),
    ("archive", "s3:PutObject", OBJECT, ENCRYPTED, False),
]


def test_nothing_else_is_allowed(applied):
    wrong = [
        (name, action, resource, context)
        for name, action, resource, context, allowed in MATRIX
        if (applied.policies.decide(name, action, resource, **context) == "Allowed") != allowed
    ]
    assert wrong == []


def test_no_program_has_another_ones_rights(applied):
    """Every right of each, asked for by the others. The right to ask for log groups knows no resource."""
    resources = {
        "secretsmanager": applied.policies.rules["secrets"]["wardpost/app-secrets"], "s3": OBJECT, "logs": f"{AUDIT}:log-stream:a",
        "s3:ListBucket": BUCKET, "logs:DescribeLogGroups": "*",
    }
    rights = {program: applied.policies.allowed(program) for program in PROGRAMS}
    for program in PROGRAMS:
        for other in {*PROGRAMS, "machine"} - {program}:
            for action in rights[program]:
                if (action, other) != ("logs:DescribeLogGroups", "machine"):
                    resource = resources.get(action) or resources[action.split(":")[0]]
                    decided = applied.policies.decide(other, action, resource, **ENCRYPTED)
                    assert decided != "Allowed", f"{other} may {action}"
