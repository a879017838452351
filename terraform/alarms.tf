resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

data "aws_iam_policy_document" "alarms" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_sns_topic_subscription" "email" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

locals {
  edge_dims    = { LoadBalancer = aws_lb.edge.arn_suffix }
  target_dims  = { LoadBalancer = aws_lb.edge.arn_suffix, TargetGroup = aws_lb_target_group.site.arn_suffix }
  machine_dims = { InstanceId = aws_instance.machine.id }

  # Raised when a value is above (or below) `at` in `n` periods of so many seconds. `silent`: what no value at all means.
  alarms = merge({
    site-5xx = {
      ns   = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", dims = local.target_dims
      stat = "Sum", period = 300, n = 1, above = true, at = 5, silent = "notBreaching"
    }
    edge-5xx = {
      ns   = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", dims = local.edge_dims
      stat = "Sum", period = 300, n = 1, above = true, at = 5, silent = "notBreaching"
    }
    unhealthy = {
      ns   = "AWS/ApplicationELB", metric = "UnHealthyHostCount", dims = local.target_dims
      stat = "Maximum", period = 60, n = 3, above = true, at = 0, silent = "breaching"
    }
    cpu = {
      ns   = "AWS/EC2", metric = "CPUUtilization", dims = local.machine_dims
      stat = "Average", period = 300, n = 3, above = true, at = 80, silent = "breaching"
    }
    cpu-credit = {
      ns   = "AWS/EC2", metric = "CPUCreditBalance", dims = local.machine_dims
      stat = "Minimum", period = 300, n = 3, above = false, at = 30, silent = "notBreaching"
    }
    disk = {
      ns   = var.name, metric = "DiskPercent", dims = {}
      stat = "Maximum", period = 300, n = 3, above = true, at = 80, silent = "breaching"
    }
    memory = {
      ns   = var.name, metric = "MemoryPercent", dims = {}
      stat = "Maximum", period = 300, n = 3, above = true, at = 85, silent = "breaching"
    }
    alarm = {
      ns   = var.name, metric = "Alarm", dims = {}
      stat = "Sum", period = 300, n = 1, above = true, at = 0, silent = "notBreaching"
    }
    no-proof = {
      ns   = var.name, metric = "BackupProved", dims = {}
      stat = "Sum", period = 3600, n = 26, above = false, at = 1, silent = "breaching"
    }
    audit-silent = {
      ns   = "AWS/Logs", metric = "IncomingLogEvents", dims = { LogGroupName = aws_cloudwatch_log_group.audit.name }
      stat = "Sum", period = 3600, n = 26, above = false, at = 1, silent = "breaching"
    }
    }, var.audit_archive ? {
    archive-silent = { ns = "AWS/Firehose", metric = "DeliveryToS3.Records", dims = { DeliveryStreamName = "${var.name}-audit" }, stat = "Sum", period = 3600, n = 26, above = false, at = 1, silent = "breaching" }
  } : {})

  alarm_rows = ["SECURITY_ALERT", "BACKUP_FAILED", "AUDIT_ROW_QUARANTINED"]

  # Values out of log lines: how each alarm of the programs, and the proof of the night, gets to CloudWatch.
  filters = {
    alarm = {
      group   = aws_cloudwatch_log_group.application.name, metric = "Alarm", value = "1"
      pattern = "{ $.alarm = \"*\" }"
    }
    audit-alarm = {
      group   = aws_cloudwatch_log_group.audit.name, metric = "Alarm", value = "1"
      pattern = "{ ${join(" || ", [for action in local.alarm_rows : "($.action = \"${action}\")"])} }"
    }
    chain-broken = {
      group   = aws_cloudwatch_log_group.application.name, metric = "Alarm", value = "1"
      pattern = "{ ($.message = \"the audit chain is broken\") || ($.sound IS FALSE) || ($.agrees IS FALSE) }"
    }
    proved = {
      group   = aws_cloudwatch_log_group.application.name, metric = "BackupProved", value = "1"
      pattern = "{ $.message = \"proved that the newest backup restores\" }"
    }
    disk = {
      group   = aws_cloudwatch_log_group.application.name, metric = "DiskPercent", value = "$.disk_percent"
      pattern = "{ $.disk_percent >= 0 }"
    }
    memory = {
      group   = aws_cloudwatch_log_group.application.name, metric = "MemoryPercent", value = "$.memory_percent"
      pattern = "{ $.memory_percent >= 0 }"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "main" {
  for_each       = local.filters
  name           = each.key
  log_group_name = each.value.group
  pattern        = each.value.pattern
  metric_transformation {
    namespace = var.name
    name      = each.value.metric
    value     = each.value.value
  }
}

resource "aws_cloudwatch_metric_alarm" "main" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  namespace           = each.value.ns
  metric_name         = each.value.metric
  dimensions          = each.value.dims
  statistic           = each.value.stat
  period              = each.value.period
  evaluation_periods  = each.value.n
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.at
  treat_missing_data  = each.value.silent
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# A machine whose system hangs is started again. One whose host fails, EC2 moves by itself.
resource "aws_cloudwatch_metric_alarm" "reboot" {
  alarm_name          = "${var.name}-reboot"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed_Instance"
  dimensions          = local.machine_dims
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  alarm_actions       = [aws_sns_topic.alarms.arn, "arn:${local.partition}:automate:${var.region}:ec2:reboot"]
}

resource "aws_budgets_budget" "month" {
  count        = var.monthly_budget > 0 ? 1 : 0
  name         = "${var.name}-month"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }
  depends_on = [aws_sns_topic_policy.alarms]
}
