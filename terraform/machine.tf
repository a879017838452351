data "aws_ssm_parameter" "al2023" {
  count = var.ami_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_security_group" "machine" {
  name        = "${var.name}-machine"
  description = "The machine: asked by the load balancer alone, asks HTTPS alone"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "machine_from_edge" {
  security_group_id            = aws_security_group.machine.id
  description                  = "The site, from the load balancer"
  referenced_security_group_id = aws_security_group.edge.id
  ip_protocol                  = "tcp"
  from_port                    = 8080
  to_port                      = 8080
}

# Google and AWS have no addresses that could be listed here.
resource "aws_vpc_security_group_egress_rule" "machine_https" {
  security_group_id = aws_security_group.machine.id
  description       = "HTTPS: the identity provider and AWS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv6         = var.egress == "ipv6" ? "::/0" : null
  cidr_ipv4         = var.egress == "nat" ? "0.0.0.0/0" : null
}

resource "aws_vpc_security_group_egress_rule" "machine_s3" {
  security_group_id = aws_security_group.machine.id
  description       = "S3, by the gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
}

resource "aws_vpc_security_group_egress_rule" "machine_endpoints" {
  count                        = length(var.interface_endpoints) > 0 ? 1 : 0
  security_group_id            = aws_security_group.machine.id
  description                  = "AWS, by the interface endpoints"
  referenced_security_group_id = aws_security_group.endpoints[0].id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

locals {
  # AWS answers IPv6 under names of its own; an interface endpoint answers the ordinary name inside the VPC.
  over_ipv6 = { for service in ["logs", "sts"] : service => var.egress == "ipv6" && !contains(var.interface_endpoints, service) }

  # What boot.sh reads. No secret is among it: anyone on the machine can read its user data.
  boot = {
    VERSION        = var.release.version
    SHA256         = var.release.sha256
    ARTIFACTS      = aws_s3_bucket.artifacts.id
    VOLUME         = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${replace(aws_ebs_volume.data.id, "-", "")}"
    LISTEN         = "0.0.0.0:8080"
    SSM_DUAL_STACK = var.egress == "ipv6" ? "yes" : ""
  }
  boot_files = {
    SETTINGS = merge({
      WARDPOST_PUBLIC_URL       = var.public_url
      WARDPOST_STAFF_DOMAINS    = join(",", var.staff_domains)
      WARDPOST_SECRET           = "aws-secretsmanager://${aws_secretsmanager_secret.app.name}"
      WARDPOST_AUDIT_SINK       = "cloudwatch://${aws_cloudwatch_log_group.audit.name}"
      WARDPOST_APPLICATION_SINK = "cloudwatch://${aws_cloudwatch_log_group.application.name}"
      WARDPOST_BACKUP_TARGET    = "s3://${aws_s3_bucket.backups.id}/wardpost"
      WARDPOST_BACKUP_KMS_KEY   = local.key_arn
      WARDPOST_TRUSTED_PROXIES = join(",", concat(
        ["127.0.0.1/32", "::1/128"], [for s in aws_subnet.public : s.cidr_block], [for s in aws_subnet.public : s.ipv6_cidr_block],
      ))
    }, var.settings)
    AWS_SETTINGS = {
      AWS_REGION                       = var.region
      AWS_ENDPOINT_URL_CLOUDWATCH_LOGS = local.over_ipv6.logs ? "https://logs.${var.region}.api.aws" : null
    }
    ROLES = {
      WARDPOST_ROLE_SECRETS_INIT  = aws_iam_role.program["secrets-init"].arn
      WARDPOST_ROLE_LOG_SHIPPER   = aws_iam_role.program["log-shipper"].arn
      WARDPOST_ROLE_BACKUP_WORKER = aws_iam_role.program["backup-worker"].arn
      AWS_USE_DUALSTACK_ENDPOINT  = local.over_ipv6.sts ? "true" : null
    }
  }
  user_data = join("\n", concat(
    ["#!/bin/bash", "export AWS_REGION='${var.region}'"],
    [for name, value in local.boot : "${name}='${value}'"],
    [for name, file in local.boot_files : "${name}='${join("\n", [for key, value in file : "${key}=${value}" if value != null])}'"],
    [file("${path.module}/boot.sh")],
  ))
}

resource "aws_instance" "machine" {
  ami                    = var.ami_id != null ? var.ami_id : data.aws_ssm_parameter.al2023[0].insecure_value
  instance_type          = var.instance_type
  subnet_id              = aws_subnet.private[local.machine_zone].id
  vpc_security_group_ids = [aws_security_group.machine.id]
  iam_instance_profile   = aws_iam_instance_profile.machine.name
  ipv6_address_count     = var.egress == "ipv6" ? 1 : 0

  associate_public_ip_address = false
  ebs_optimized               = true
  monitoring                  = false

  user_data                   = local.user_data
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.root_gb
    encrypted   = true
    kms_key_id  = local.key_arn
    tags        = { Name = "${var.name}-root" }
  }

  tags = { Name = var.name }

  # What the machine asks for as soon as it boots.
  depends_on = [
    aws_iam_role_policy.machine, aws_iam_role_policy.program, aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.machine_https, aws_vpc_security_group_egress_rule.machine_s3,
    aws_route.private_v6, aws_route.private_v4, aws_route_table_association.private,
  ]

  lifecycle {
    # Another image replaces the machine when somebody says so (-replace), not when Amazon publishes one.
    ignore_changes = [ami]
  }
}
