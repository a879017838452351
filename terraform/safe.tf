# What leaves for another region or account (modules/safe), where nobody who administers this one can remove it.
resource "aws_iam_role" "replication" {
  count              = var.safe == null ? 0 : 1
  name               = "${var.name}-replication"
  assume_role_policy = data.aws_iam_policy_document.service_trust["s3"].json
}

data "aws_iam_policy_document" "service_trust" {
  for_each = toset(["s3", "firehose", "logs"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.value}.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "replication" {
  count = var.safe == null ? 0 : 1
  statement {
    actions   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    resources = [aws_s3_bucket.backups.arn]
  }
  statement {
    actions = [
      "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
      "s3:GetObjectRetention", "s3:GetObjectLegalHold",
    ]
    resources = ["${aws_s3_bucket.backups.arn}/*"]
  }
  statement {
    actions   = ["s3:ReplicateObject", "s3:ObjectOwnerOverrideToBucketOwner"]
    resources = ["arn:${local.partition}:s3:::${var.safe.backups}/*"]
  }
  dynamic "statement" {
    for_each = local.key_rights
    content {
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "replication" {
  count  = var.safe == null ? 0 : 1
  name   = "replication"
  role   = aws_iam_role.replication[0].id
  policy = data.aws_iam_policy_document.replication[0].json
}

resource "aws_s3_bucket_replication_configuration" "backups" {
  count  = var.safe == null ? 0 : 1
  bucket = aws_s3_bucket.backups.id
  role   = aws_iam_role.replication[0].arn

  rule {
    id       = "safe"
    status   = "Enabled"
    priority = 0
    filter {}
    # What is deleted or hidden here stays there.
    delete_marker_replication {
      status = "Disabled"
    }
    dynamic "source_selection_criteria" {
      for_each = local.key_rights
      content {
        sse_kms_encrypted_objects {
          status = "Enabled"
        }
      }
    }
    destination {
      bucket  = "arn:${local.partition}:s3:::${var.safe.backups}"
      account = var.safe.account_id
      dynamic "access_control_translation" {
        for_each = var.safe.account_id == local.account ? [] : [1]
        content {
          owner = "Destination"
        }
      }
      dynamic "encryption_configuration" {
        for_each = local.key_rights
        content {
          replica_kms_key_id = "arn:${local.partition}:kms:${var.safe.region}:${var.safe.account_id}:alias/aws/s3"
        }
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.backups]
}

# ---- The archive of the audit log ----------------------------------------------------------------------------------------
resource "aws_kinesis_firehose_delivery_stream" "audit" {
  count       = var.audit_archive ? 1 : 0
  name        = "${var.name}-audit"
  destination = "extended_s3"

  server_side_encryption {
    enabled = true
  }

  extended_s3_configuration {
    role_arn            = aws_iam_role.archive[0].arn
    bucket_arn          = "arn:${local.partition}:s3:::${var.safe.audit}"
    prefix              = "audit/"
    error_output_prefix = "failed/"
    buffering_interval  = 300
    buffering_size      = 5
    # The log service has packed them already.
    compression_format = "UNCOMPRESSED"
  }
  depends_on = [aws_iam_role_policy.archive]
}

resource "aws_cloudwatch_log_subscription_filter" "audit" {
  count           = var.audit_archive ? 1 : 0
  name            = "archive"
  log_group_name  = aws_cloudwatch_log_group.audit.name
  filter_pattern  = ""
  destination_arn = aws_kinesis_firehose_delivery_stream.audit[0].arn
  role_arn        = aws_iam_role.subscription[0].arn
  depends_on      = [aws_iam_role_policy.subscription]
}

resource "aws_iam_role" "archive" {
  count              = var.audit_archive ? 1 : 0
  name               = "${var.name}-archive"
  assume_role_policy = data.aws_iam_policy_document.service_trust["firehose"].json
}

resource "aws_iam_role_policy" "archive" {
  count  = var.audit_archive ? 1 : 0
  name   = "archive"
  role   = aws_iam_role.archive[0].id
  policy = data.aws_iam_policy_document.archive[0].json
}

data "aws_iam_policy_document" "archive" {
  count = var.audit_archive ? 1 : 0
  statement {
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["arn:${local.partition}:s3:::${var.safe.audit}/*"]
  }
  statement {
    actions   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = ["arn:${local.partition}:s3:::${var.safe.audit}"]
  }
}

resource "aws_iam_role" "subscription" {
  count              = var.audit_archive ? 1 : 0
  name               = "${var.name}-subscription"
  assume_role_policy = data.aws_iam_policy_document.service_trust["logs"].json
}

resource "aws_iam_role_policy" "subscription" {
  count  = var.audit_archive ? 1 : 0
  name   = "subscription"
  role   = aws_iam_role.subscription[0].id
  policy = data.aws_iam_policy_document.subscription[0].json
}

data "aws_iam_policy_document" "subscription" {
  count = var.audit_archive ? 1 : 0
  statement {
    actions   = ["firehose:PutRecord", "firehose:PutRecordBatch"]
    resources = [aws_kinesis_firehose_delivery_stream.audit[0].arn]
  }
}
