# Who may do what. The instance's own role can do little but hand out the roles of the programs, one for each: the broker on
# the machine (wardpost-credentials) takes them and gives each program its own. `web` has none. None may delete anything.
data "aws_iam_policy_document" "machine_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-machine"
  description        = "The instance: its first boot, sessions, and the roles of the programs"
  assume_role_policy = data.aws_iam_policy_document.machine_trust.json
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.name}-machine"
  role = aws_iam_role.machine.name
}

locals {
  log_groups = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group"
  key_rights = var.customer_managed_key ? [local.key_arn] : []

  machine_rights = {
    boot     = data.aws_iam_policy_document.boot.json
    programs = data.aws_iam_policy_document.assume.json
    sessions = data.aws_iam_policy_document.sessions.json
  }
  program_rights = {
    secrets-init  = data.aws_iam_policy_document.secrets_init.json
    log-shipper   = data.aws_iam_policy_document.log_shipper.json
    backup-worker = data.aws_iam_policy_document.backup_worker.json
  }
}

resource "aws_iam_role_policy" "machine" {
  for_each = local.machine_rights
  name     = each.key
  role     = aws_iam_role.machine.id
  policy   = each.value
}

# ---- The programs ------------------------------------------------------------------------------------------------------
data "aws_iam_policy_document" "program_trust" {
  for_each = local.program_rights
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
    # Named so and not as principal: that would let the machine in without a right of its own, and would point to nobody once
    # its role was made again.
    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.machine.arn]
    }
    # The name by which the trail tells them apart.
    condition {
      test     = "StringEquals"
      variable = "sts:RoleSessionName"
      values   = ["wardpost-${each.key}"]
    }
  }
}

resource "aws_iam_role" "program" {
  for_each             = local.program_rights
  name                 = "${var.name}-${each.key}"
  description          = "${each.key} on the machine of ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.program_trust[each.key].json
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "program" {
  for_each = local.program_rights
  name     = each.key
  role     = aws_iam_role.program[each.key].id
  policy   = each.value
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions   = ["sts:AssumeRole"]
    resources = [for role in aws_iam_role.program : role.arn]
  }
}

data "aws_iam_policy_document" "secrets_init" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.app.arn]
  }
  dynamic "statement" {
    for_each = local.key_rights
    content {
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

# No CreateLogGroup: the groups are in logs.tf. No PutRetentionPolicy: with it an intruder could let a year of rows expire.
data "aws_iam_policy_document" "log_shipper" {
  statement {
    sid = "Ship"
    actions = [
      "logs:CreateLogStream", "logs:PutLogEvents",
      # `verify` reads every stream of the group; `backups` looks for rows about backups.
      "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents",
    ]
    resources = flatten([for group in ["audit", "application"] : [
      "${local.log_groups}:${var.name}/${group}", "${local.log_groups}:${var.name}/${group}:log-stream:*"
    ]])
  }
  # How long a group keeps events. This action knows no resource.
  statement {
    sid       = "Retention"
    actions   = ["logs:DescribeLogGroups"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "backup_worker" {
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.backups.arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["wardpost/*"]
    }
  }
  statement {
    sid       = "ReadAndWrite"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.backups.arn}/wardpost/*"]
  }
  dynamic "statement" {
    for_each = local.key_rights
    content {
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

# ---- The machine itself ------------------------------------------------------------------------------------------------
data "aws_iam_policy_document" "boot" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/wardpost-*"]
  }
}

# What Session Manager needs. Amazon's own policy for it would read every parameter of the account.
data "aws_iam_policy_document" "sessions" {
  statement {
    sid = "Channels"
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "KeepWhatIsTyped"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${local.log_groups}:${var.name}/sessions", "${local.log_groups}:${var.name}/sessions:log-stream:*"]
  }
  statement {
    sid       = "FindTheGroup"
    actions   = ["logs:DescribeLogGroups"]
    resources = ["*"]
  }
}

# ---- People ------------------------------------------------------------------------------------------------------------
resource "aws_ssm_document" "session" {
  name            = "${var.name}-session"
  document_type   = "Session"
  document_format = "JSON"
  content = jsonencode({
    schemaVersion = "1.0"
    description   = "A session whose text is kept"
    sessionType   = "Standard_Stream"
    inputs = {
      cloudWatchLogGroupName      = aws_cloudwatch_log_group.sessions.name
      cloudWatchEncryptionEnabled = var.customer_managed_key
      cloudWatchStreamingEnabled  = true
      idleSessionTimeout          = "20"
      runAsEnabled                = false
    }
  })
}

# Attach it to those who may type on the machine: with it alone, no session goes unrecorded.
resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator"
  description = "Sessions on the machine, by the document that keeps them"
  policy      = data.aws_iam_policy_document.operator.json
}

data "aws_iam_policy_document" "operator" {
  statement {
    actions = ["ssm:StartSession"]
    resources = [
      "arn:${local.partition}:ec2:${var.region}:${local.account}:instance/*",
      "arn:${local.partition}:ssm:${var.region}:${local.account}:document/${aws_ssm_document.session.name}",
    ]
    condition {
      test     = "BoolIfExists"
      variable = "ssm:SessionDocumentAccessCheck"
      values   = ["true"]
    }
    condition {
      test     = "StringEqualsIfExists"
      variable = "ssm:resourceTag/Name"
      values   = [var.name]
    }
  }
  statement {
    actions   = ["ssm:TerminateSession", "ssm:ResumeSession"]
    resources = ["arn:${local.partition}:ssm:*:${local.account}:session/$${aws:username}-*"]
  }
}
