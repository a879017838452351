# The name and who may read it. The value never passes through Terraform: it would be in the state.
resource "aws_secretsmanager_secret" "app" {
  name                    = "${var.name}/app-secrets"
  description             = "GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, APP_SECRET, DB_ENCRYPTION_KEY"
  kms_key_id              = local.key_arn
  recovery_window_in_days = 30

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  key_arn       = var.customer_managed_key ? aws_kms_key.main[0].arn : null
  s3_encryption = var.customer_managed_key ? "aws:kms" : "AES256"
}

resource "aws_kms_key" "main" {
  count                   = var.customer_managed_key ? 1 : 0
  description             = var.name
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key[0].json
}

resource "aws_kms_alias" "main" {
  count         = var.customer_managed_key ? 1 : 0
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.main[0].key_id
}

data "aws_iam_policy_document" "key" {
  count = var.customer_managed_key ? 1 : 0
  # Who may use it is in the policies of roles; without this nobody could change the key's own.
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }
  statement {
    sid       = "Logs"
    actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.region}:${local.account}:log-group:${var.name}/*"]
    }
  }
  # Messages about alarms pass through a topic that is encrypted with this key.
  statement {
    sid       = "Alarms"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]
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
