"""A stand-in for AWS that decides by the policies that were applied to it."""

import json
from pathlib import Path
from urllib.parse import unquote

import boto3
import requests

from .processes import ROOT, Process

ACCOUNT = "123456789012"
# The instance's own credentials, as the metadata service would give them.
MACHINE_KEY = "AKIAMACHINE"


def _document(policy):
    return policy if isinstance(policy, dict) else json.loads(unquote(policy))


class AwsPolicies:
    """Between the programs and moto. `connect` gives a client to what was applied, with all rights."""

    def __init__(self, folder: Path, upstream, region, connect):
        self.region, self._connect, self._rules = region, connect, folder / "rules.json"
        self.read()
        command = ["node", ROOT / "dev/e2e/aws-policies/server.mjs", json.dumps({"upstream": upstream, "rules": str(self._rules)})]
        self._process = Process(command, log=folder / "aws-policies.log")
        self.address = self._process.announced()["address"]

    def read(self):
        """Takes the policies as they are now at moto."""
        iam, s3 = self._connect("iam"), self._connect("s3")
        identity, trust, buckets = {}, {}, {}
        for role in iam.list_roles()["Roles"]:
            name = role["RoleName"]
            inline = [iam.get_role_policy(RoleName=name, PolicyName=policy) for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]]
            identity[role["Arn"]] = [{"name": one["PolicyName"], "policy": _document(one["PolicyDocument"])} for one in inline]
            trust[role["Arn"]] = _document(role["AssumeRolePolicyDocument"])
        for bucket in s3.list_buckets()["Buckets"]:
            buckets[bucket["Name"]] = _document(s3.get_bucket_policy(Bucket=bucket["Name"])["Policy"])
        endpoints = self._connect("ec2").describe_vpc_endpoints()["VpcEndpoints"]
        (endpoint,) = [entry for entry in endpoints if entry["ServiceName"].endswith(".s3")]
        self.rules = {
            "account": ACCOUNT, "region": self.region, "keys": {MACHINE_KEY: self.role("machine")},
            "identity": identity, "trust": trust, "endpoint": _document(endpoint["PolicyDocument"]),
            "buckets": buckets,
            "secrets": {secret["Name"]: secret["ARN"] for secret in self._connect("secretsmanager").list_secrets()["SecretList"]},
        }
        self._write(self.rules)

    def _write(self, rules):
        self._rules.write_text(json.dumps(rules))

    @staticmethod
    def role(name):
        return f"arn:aws:iam::{ACCOUNT}:role/wardpost-{name}"

    def allowed(self, name):
        """Every action that a role's policies allow."""
        policies = self.rules["identity"][self.role(name)]
        statements = [statement for policy in policies for statement in policy["policy"]["Statement"]]
        return sorted({action for statement in statements for action in _listed(statement["Action"])})

    def without(self, name, action):
        """Takes one action away from one role, until `restore`."""
        rules = json.loads(json.dumps(self.rules))
        for policy in rules["identity"][self.role(name)]:
            for statement in policy["policy"]["Statement"]:
                left = [one for one in _listed(statement["Action"]) if one != action]
                # A statement must have some action.
                statement["Action"] = left or ["sts:GetCallerIdentity"]
        self._write(rules)

    def restore(self):
        self._write(self.rules)

    def decide(self, name, action, resource, **context):
        """What would be decided for a role: Allowed, ImplicitlyDenied or ExplicitlyDenied."""
        question = {"principal": self.role(name), "action": action, "resource": resource, "context": context}
        reply = requests.post(f"{self.address}/_decide", json=question, timeout=20)
        assert reply.status_code == 200, reply.text
        return reply.text

    def decisions(self):
        """All since the last time."""
        return requests.get(f"{self.address}/_log", timeout=20).json()

    def settings_of(self, program):
        """What a program's environment has where the broker gives it the credentials of its own role."""
        keys = {"aws_access_key_id": MACHINE_KEY, "aws_secret_access_key": "not-checked"}
        sts = boto3.client("sts", endpoint_url=self.address, region_name=self.region, **keys)
        session = {"RoleSessionName": f"wardpost-{program}", "DurationSeconds": 3600}
        taken = sts.assume_role(RoleArn=self.role(program), **session)["Credentials"]
        return {
            "AWS_ENDPOINT_URL": self.address, "AWS_REGION": self.region, "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"], "AWS_SESSION_TOKEN": taken["SessionToken"],
        }

    def stop(self):
        self._process.stop()


def _listed(value):
    return [value] if isinstance(value, str) else value
