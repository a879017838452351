# Each branch of each variable, and each validation, without AWS. `dev/e2e/test_terraform.py` runs it.
mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

variables {
  public_url      = "https://messages.clinic.example"
  staff_domains   = ["clinic.example", "mail.clinic.example"]
  certificate_arn = "arn:aws:acm:us-east-2:123456789012:certificate/11111111-2222-3333-4444-555555555555"
  alarm_email     = "it@clinic.example"
  release         = { version = "1.0.0", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
}

run "by_default" {
  command = plan

  assert {
    condition = alltrue([
      !aws_instance.machine.associate_public_ip_address,
      alltrue([for s in aws_subnet.private : !s.map_public_ip_on_launch]),
    ])
    error_message = "The machine has a public address."
  }
  assert {
    condition = alltrue([
      aws_instance.machine.metadata_options[0].http_tokens == "required",
      aws_instance.machine.metadata_options[0].http_put_response_hop_limit == 1,
    ])
    error_message = "IMDSv1, or a metadata service that containers reach."
  }
  assert {
    condition = alltrue([
      length(aws_route.private_v4) == 0,
      length(aws_route.private_v6) == 1,
      aws_vpc_security_group_egress_rule.machine_https.cidr_ipv4 == null,
    ])
    error_message = "IPv4 has a way out."
  }
  assert {
    condition = alltrue([
      [for s in ["us-east-2a", "us-east-2b"] : aws_subnet.public[s].cidr_block] == ["10.0.0.0/24", "10.0.1.0/24"],
      [for s in ["us-east-2a", "us-east-2b"] : aws_subnet.private[s].cidr_block] == ["10.0.10.0/24", "10.0.11.0/24"],
    ])
    error_message = "Other networks than documented."
  }
  assert {
    condition = alltrue([
      startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2"),
      aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS",
      aws_lb_target_group.site.health_check[0].path == "/readyz",
    ])
    error_message = "The edge is not what it should be."
  }
  assert {
    condition     = aws_ebs_volume.data.encrypted && aws_instance.machine.root_block_device[0].encrypted
    error_message = "A volume is not encrypted."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_object_lock_configuration.backups[0].rule[0].default_retention[0].mode == "COMPLIANCE",
      aws_s3_bucket_lifecycle_configuration.backups.rule[0].expiration[0].days == 365,
    ])
    error_message = "Backups are not kept as they should be."
  }
  assert {
    condition = alltrue([
      aws_cloudwatch_log_group.audit.retention_in_days == 365,
      aws_s3_bucket_lifecycle_configuration.logs.rule[0].expiration[0].days == 2557,
    ])
    error_message = "Logs are not kept as long as they should be."
  }
  assert {
    condition = alltrue([
      length(aws_dlm_lifecycle_policy.data) == 1,
      length(aws_cloudtrail.main) == 1,
      length(aws_budgets_budget.month) == 1,
    ])
    error_message = "Snapshots, trail or budget are missing."
  }
  assert {
    condition = length(concat(
      aws_nat_gateway.main, aws_kms_key.main, aws_wafv2_web_acl.edge,
      aws_guardduty_detector.main, aws_flow_log.refused, values(aws_vpc_endpoint.interface),
      aws_s3_bucket_replication_configuration.backups, aws_kinesis_firehose_delivery_stream.audit
    )) == 0
    error_message = "Something is on that costs more and was not asked for."
  }
  assert {
    condition = alltrue([
      strcontains(local.user_data, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=https://logs.us-east-2.api.aws"),
      strcontains(local.user_data, "AWS_USE_DUALSTACK_ENDPOINT=true"),
      strcontains(local.user_data, "WARDPOST_STAFF_DOMAINS=clinic.example,mail.clinic.example"),
    ])
    error_message = "The machine's settings are not what they should be."
  }
  assert {
    condition     = length(local.user_data) < 16000
    error_message = "User data is 16 KB at most."
  }
}

run "nat_instead" {
  command = plan
  variables {
    egress = "nat"
  }
  assert {
    condition = alltrue([
      length(aws_nat_gateway.main) == 1,
      length(aws_route.private_v4) == 1,
      length(aws_egress_only_internet_gateway.main) == 0,
      length(aws_route.private_v6) == 0,
    ])
    error_message = "There is another way out than NAT, or none."
  }
  assert {
    condition = alltrue([
      aws_vpc_security_group_egress_rule.machine_https.cidr_ipv4 == "0.0.0.0/0",
      aws_vpc_security_group_egress_rule.machine_https.cidr_ipv6 == null,
    ])
    error_message = "The machine may not go out by IPv4."
  }
  assert {
    condition     = !local.over_ipv6.logs && !local.over_ipv6.sts && local.boot.SSM_DUAL_STACK == ""
    error_message = "The machine asks for IPv6, and has none."
  }
}

run "everything_on" {
  command = plan
  variables {
    customer_managed_key = true
    waf                  = true
    guardduty            = true
    flow_logs            = true
    interface_endpoints  = ["ssm", "logs", "sts"]
    safe                 = { account_id = "210987654321", region = "us-west-2", backups = "a-safe-backups", audit = "a-safe-audit" }
    audit_archive        = true
    zones                = ["us-east-2c", "us-east-2b"]
    machine_zone         = 1
    settings             = { WARDPOST_LIMIT_SIGN_IN_PER_MINUTE = "40" }
    tags                 = { Owner = "it" }
    ami_id               = "ami-0123456789abcdef0"
    account_id           = "123456789012"
  }
  assert {
    condition = alltrue([for key in [
      aws_ebs_volume.data.kms_key_id,
      aws_cloudwatch_log_group.audit.kms_key_id,
      aws_secretsmanager_secret.app.kms_key_id,
      aws_sns_topic.alarms.kms_master_key_id,
    ] : key == aws_kms_key.main[0].arn])
    error_message = "Something is encrypted with another key."
  }
  assert {
    condition = alltrue([
      strcontains(local.user_data, "WARDPOST_BACKUP_KMS_KEY=arn:aws:kms:"),
      !strcontains(local.user_data, "api.aws"),
      !strcontains(local.user_data, "AWS_USE_DUALSTACK_ENDPOINT"),
    ])
    error_message = "The machine's settings do not follow the key and the endpoints."
  }
  assert {
    condition = alltrue([
      length(aws_vpc_endpoint.interface) == 3,
      length(aws_wafv2_web_acl_association.edge) == 1,
      length(aws_flow_log.refused) == 1,
    ])
    error_message = "Endpoints, WAF or flow logs are missing."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_replication_configuration.backups[0].rule[0].destination[0].bucket == "arn:aws:s3:::a-safe-backups",
      aws_s3_bucket_replication_configuration.backups[0].rule[0].destination[0].access_control_translation[0].owner == "Destination",
    ])
    error_message = "Replicas in another account belong to this one."
  }
  assert {
    condition = alltrue([
      aws_kinesis_firehose_delivery_stream.audit[0].extended_s3_configuration[0].bucket_arn == "arn:aws:s3:::a-safe-audit",
      contains(keys(aws_cloudwatch_metric_alarm.main), "archive-silent"),
    ])
    error_message = "The audit log does not go to the safe, or its silence is no alarm."
  }
  assert {
    condition = alltrue([
      aws_ebs_volume.data.availability_zone == "us-east-2b",
      strcontains(local.user_data, "WARDPOST_LIMIT_SIGN_IN_PER_MINUTE=40"),
      aws_instance.machine.ami == "ami-0123456789abcdef0",
    ])
    error_message = "Zones, image or settings are others than were asked for."
  }
}

run "little_kept" {
  command = plan
  variables {
    backup_object_lock_days = 0
    snapshots               = false
    cloudtrail              = false
    monthly_budget          = 0
    deletion_protection     = false
  }
  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.backups) == 0 && !aws_s3_bucket.backups.object_lock_enabled
    error_message = "A lock that was not asked for."
  }
  assert {
    condition = length(concat(
      aws_dlm_lifecycle_policy.data, aws_iam_role.snapshots, aws_cloudtrail.main,
      aws_budgets_budget.month
    )) == 0
    error_message = "Snapshots, trail or budget although switched off."
  }
  assert {
    condition     = !aws_lb.edge.enable_deletion_protection
    error_message = "The load balancer is protected."
  }
}

run "what_cannot_be_right_is_refused" {
  command = plan
  variables {
    public_url              = "https://messages.clinic.example/login"
    staff_domains           = ["@clinic.example"]
    certificate_arn         = "messages.clinic.example"
    release                 = { version = "1.0.0", sha256 = "unknown" }
    alarm_email             = "nobody"
    name                    = "Wardpost"
    vpc_cidr                = "10.0.0.0/8"
    zones                   = ["us-east-2a", "us-east-2a"]
    machine_zone            = 2
    settings                = { APP_SECRET = "x" }
    egress                  = "none"
    interface_endpoints     = ["s3"]
    backup_object_lock_days = 400
    log_days                = 90
    access_log_days         = 30
    audit_archive           = true
  }
  expect_failures = [
    var.public_url, var.staff_domains, var.certificate_arn, var.release, var.alarm_email, var.name, var.vpc_cidr, var.zones, var.machine_zone, var.settings,
    var.egress, var.interface_endpoints, var.backup_object_lock_days, var.log_days, var.access_log_days, var.audit_archive,
  ]
}
