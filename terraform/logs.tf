# ---- Groups in CloudWatch Logs -------------------------------------------------------------------------------------------
# A row that has expired here is still in the database, where it stays forever, and in the backups.
resource "aws_cloudwatch_log_group" "audit" {
  name              = "${var.name}/audit"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "application" {
  name              = "${var.name}/application"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn
}

# What was typed and shown in sessions on the machine.
resource "aws_cloudwatch_log_group" "sessions" {
  name              = "${var.name}/sessions"
  retention_in_days = var.log_days
  kms_key_id        = local.key_arn
}

# ---- The bucket of access logs, the trail, and flow logs -----------------------------------------------------------------
resource "aws_s3_bucket" "logs" {
  bucket = "${var.name}-logs-${local.account}"
}

resource "aws_s3_bucket_versioning" "logs" {
  bucket = aws_s3_bucket.logs.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    id     = "logs"
    status = "Enabled"
    filter {}
    transition {
      days          = 90
      storage_class = "GLACIER_IR"
    }
    expiration {
      days = var.access_log_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
  depends_on = [aws_s3_bucket_versioning.logs]
}

locals {
  # Who delivers into the bucket: the service, under which prefix, and for which of this account's sources.
  deliveries = {
    edge = {
      service = "logdelivery.elasticloadbalancing.amazonaws.com"
      source  = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:loadbalancer/*"
    }
    trail = { service = "cloudtrail.amazonaws.com", source = local.trail_arn }
    flow  = { service = "delivery.logs.amazonaws.com", source = "arn:${local.partition}:logs:${var.region}:${local.account}:*" }
  }
}

data "aws_iam_policy_document" "logs" {
  source_policy_documents = [data.aws_iam_policy_document.only_over_tls["logs"].json]
  dynamic "statement" {
    for_each = local.deliveries
    content {
      sid       = "${title(statement.key)}Writes"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.logs.arn}/${statement.key}/AWSLogs/${local.account}/*"]
      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }
      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = [statement.value.source]
      }
    }
  }
  dynamic "statement" {
    for_each = { for name in ["trail", "flow"] : name => local.deliveries[name] }
    content {
      sid       = "${title(statement.key)}Asks"
      actions   = ["s3:GetBucketAcl"]
      resources = [aws_s3_bucket.logs.arn]
      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }
      condition {
        test     = "ArnLike"
        variable = "aws:SourceArn"
        values   = [statement.value.source]
      }
    }
  }
}
