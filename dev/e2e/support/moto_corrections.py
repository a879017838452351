"""What moto 5.2.5 gets wrong, put right; each correction says what would go wrong without it. Imported in moto's own process."""

import os

# Before moto is imported: the policies that Amazon keeps, one of which Terraform attaches.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.models.subnets import Subnet
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket


def ipv6_networks(subnet):
    """It says {'State': 'associated'} where AWS says associated: the provider would wait three minutes and give up."""
    return [
        {
            "ipv6CidrBlock": entry["ipv6CidrBlock"], "associationId": entry["associationId"],
            "ipv6CidrBlockState": {"state": entry["ipv6CidrBlockState"]["State"]},
        }
        for entry in subnet.ipv6_cidr_block_associations.values()
    ]


Subnet.ipv6_cidr_block_association_set = property(ipv6_networks)

# An empty association reads as a public address: each plan would replace the machine.
association = NetworkInterface.association.fget
NetworkInterface.association = property(lambda interface: association(interface) or None)

prepare = Instance.prep_nics


def prepare_interfaces(instance, nic_spec, **settings):
    """The number of IPv6 addresses and the groups are in the interface's part of the request, and are the machine's."""
    for interface in nic_spec:
        if interface.get("Ipv6AddressCount"):
            settings["ipv6_address_count"] = int(interface["Ipv6AddressCount"])
    prepare(instance, nic_spec, **settings)
    if not instance.security_groups:
        groups = [group for interface in nic_spec for group in interface.get("Groups", [])]
        instance.security_groups = [instance.ec2_backend.get_security_group_from_id(group) for group in groups]


Instance.prep_nics = prepare_interfaces

begin = SecurityGroupRule.__init__


def begin_rule(rule, *arguments, **settings):
    """The description of a rule for a group or a list of prefixes is part of that: each plan would write it again."""
    begin(rule, *arguments, **settings)
    parts = [part for part in (*arguments, *settings.values()) if isinstance(part, dict)]
    rule.described = next((part["Description"] for part in parts if part.get("Description")), None)


SecurityGroupRule.__init__ = begin_rule
SecurityGroupRule.description = property(lambda rule: rule.ip_range.get("Description") or rule.described)

# A Deny whose condition is not met is a Deny to it, so that every upload is refused. aws-policies/server.mjs decides instead.
FakeBucket.get_permission = lambda bucket, action, resource: PermissionResult.NEUTRAL
