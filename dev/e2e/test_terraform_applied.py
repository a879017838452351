"""What `terraform/` does to an account, and to one that has it already. AWS is a stand-in (moto), Terraform is real."""

import os
import re

import pytest

from support.applied_terraform import SAFE
from support.terraform import Terraform
from support.waiting import wait_until

KEPT = ("aws_ebs_volume.data", "aws_s3_bucket.backups", "aws_secretsmanager_secret.app", "aws_cloudwatch_log_group.audit")


def machines(applied):
    found = applied.connect("ec2").describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])
    return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]


def test_destroy_refuses_to_lose_data(applied):
    refused = applied.main.run("plan", "-destroy").expect(1, "Instance cannot be destroyed")
    for kept in KEPT:
        assert f"{kept} has lifecycle.prevent_destroy set" in " ".join(refused.said.split()), refused.said


def test_the_machine_is_out_of_reach(applied):
    (machine,) = machines(applied)
    assert "PublicIpAddress" not in machine and machine["MetadataOptions"]["HttpTokens"] == "required"
    ec2 = applied.connect("ec2")
    routes = [
        route
        for table in ec2.describe_route_tables(Filters=[{"Name": "tag:Name", "Values": ["wardpost-private"]}])["RouteTables"]
        for route in table["Routes"]
    ]
    assert not [route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"], "IPv4 has a way out"
    (outward,) = [route for route in routes if route.get("DestinationIpv6CidrBlock") == "::/0"]
    assert "EgressOnlyInternetGatewayId" in outward
    groups = ec2.describe_security_groups(GroupIds=[group["GroupId"] for group in machine["SecurityGroups"]])["SecurityGroups"]
    (inward,) = [rule for group in groups for rule in group["IpPermissions"]]
    assert (inward["FromPort"], inward["ToPort"], inward["IpRanges"], inward["Ipv6Ranges"]) == (8080, 8080, [], [])
    edge = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["wardpost-edge"]}])["SecurityGroups"][0]
    assert [pair["GroupId"] for pair in inward["UserIdGroupPairs"]] == [edge["GroupId"]]


def test_backups_are_locked_and_replicated(applied):
    s3 = applied.connect("s3")
    lock = s3.get_object_lock_configuration(Bucket=applied.outputs["backups"])["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": 30}.items()
    (rule,) = s3.get_bucket_replication(Bucket=applied.outputs["backups"])["ReplicationConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled" and rule["Destination"]["Bucket"] == f"arn:aws:s3:::{SAFE['backups']}"
    assert applied.safe.outputs() == {"safe": SAFE}
    for name, days in ((SAFE["backups"], 365), (SAFE["audit"], 2557)):
        kept = applied.connect("s3", SAFE["region"]).get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
        assert kept["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": days}.items()


def test_the_audit_log_goes_to_the_archive(applied):
    (filter,) = applied.connect("logs").describe_subscription_filters(logGroupName="wardpost/audit")["subscriptionFilters"]
    assert filter["filterPattern"] == ""
    stream = applied.connect("firehose").describe_delivery_stream(DeliveryStreamName="wardpost-audit")["DeliveryStreamDescription"]
    assert filter["destinationArn"] == stream["DeliveryStreamARN"]
    assert stream["Destinations"][0]["ExtendedS3DestinationDescription"]["BucketARN"] == f"arn:aws:s3:::{SAFE['audit']}"


def test_a_second_plan_changes_nothing_and_has_no_value_of_the_secret(applied):
    secrets = applied.connect("secretsmanager")
    secrets.put_secret_value(SecretId=applied.outputs["secret"], SecretString='{"APP_SECRET":"a value that is nobody\'s"}')
    applied.main.run("plan", "-detailed-exitcode", "-out=with-a-secret").expect(0, "No changes.")
    for shown in ([], ["with-a-secret"]):
        assert "nobody's" not in applied.main.run("show", "-json", *shown).expect(0).said


def write_at_once(pipe):
    """Whether somebody reads it already."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


# Keeps the state locked for as long as nothing is written into the pipe.
SLOW = """
terraform {
  backend "s3" {}
}
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "cat pipe"
  }
}
"""


@pytest.mark.parametrize("lock", ["use_lockfile", "dynamodb_table"])
def test_who_applies_at_the_same_time_is_locked_out(lock, applied, tmp_path):
    """By each of the two locks alone."""
    backend = applied.bootstrap.outputs()["backend"]
    other = {"use_lockfile": "dynamodb_table", "dynamodb_table": "use_lockfile"}[lock]
    module = tmp_path / "module"
    module.mkdir()
    (module / "main.tf").write_text(SLOW)
    (module / "one.hcl").write_text(re.sub(rf"^{other} .*$", "", backend, flags=re.MULTILINE) + "use_path_style = true\n")
    where = ["-backend-config=one.hcl", f"-backend-config=key={lock}.tfstate"]
    state = Terraform(tmp_path / "state", module, init=where, **applied.environment)
    os.mkfifo(state.folder / "pipe")
    first = state.start("apply", "-auto-approve")
    bucket = re.search(r'^bucket += "(.+)"$', backend, re.MULTILINE)[1]
    held = {
        "use_lockfile": lambda: "Contents" in applied.connect("s3").list_objects_v2(Bucket=bucket, Prefix=f"{lock}.tfstate.tflock"),
        "dynamodb_table": lambda: applied.connect("dynamodb").scan(TableName="wardpost-state-lock")["Count"] > 0,
    }
    try:
        wait_until("the state is locked", held[lock], seconds=60)
        state.run("apply", "-auto-approve").expect(1, "Error acquiring the state lock")
    finally:
        wait_until("it reads from the pipe", lambda: write_at_once(state.folder / "pipe") or first.poll() is not None)
        said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    state.run("plan", "-detailed-exitcode").expect(0)


def test_another_release_is_another_machine_on_the_same_volume(applied):
    (before,) = machines(applied)
    applied.main.variables(release={"version": "1.0.1", "sha256": "1" * 64})
    applied.main.run("apply", "-auto-approve").expect(0)
    (after,) = machines(applied)
    assert after["InstanceId"] != before["InstanceId"]
    (volume,) = applied.connect("ec2").describe_volumes(VolumeIds=[applied.outputs["data_volume"]])["Volumes"]
    assert [attachment["InstanceId"] for attachment in volume["Attachments"]] == [after["InstanceId"]]
    assert applied.outputs["data_volume"] == applied.main.outputs()["data_volume"]
