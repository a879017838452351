resource "aws_s3_bucket" "backups" {
  bucket              = "${var.name}-backups-${local.account}"
  object_lock_enabled = var.backup_object_lock_days > 0

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "backups" {
  bucket = aws_s3_bucket.backups.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backups" {
  count  = var.backup_object_lock_days > 0 ? 1 : 0
  bucket = aws_s3_bucket.backups.id
  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = var.backup_object_lock_days
    }
  }
  depends_on = [aws_s3_bucket_versioning.backups]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    bucket_key_enabled = var.customer_managed_key
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.s3_encryption
      kms_master_key_id = local.key_arn
    }
  }
}

# `GLACIER_IR` is read like Standard, so that a restore of an old backup takes no longer.
resource "aws_s3_bucket_lifecycle_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    id     = "backups"
    status = "Enabled"
    filter {}
    transition {
      days          = 30
      storage_class = "GLACIER_IR"
    }
    expiration {
      days = 365
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    # What a broken upload left.
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
  depends_on = [aws_s3_bucket_versioning.backups]
}

data "aws_iam_policy_document" "backups" {
  source_policy_documents = [data.aws_iam_policy_document.only_over_tls["backups"].json]
  statement {
    sid       = "OnlyEncrypted"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.backups.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "StringNotEquals"
      variable = "s3:x-amz-server-side-encryption"
      values   = [local.s3_encryption]
    }
  }
}

# ---- Releases: what a machine installs at its first boot -----------------------------------------------------------------
resource "aws_s3_bucket" "artifacts" {
  bucket = "${var.name}-artifacts-${local.account}"
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  versioning_configuration {
    status = "Enabled"
  }
}

# ---- What all three buckets have -----------------------------------------------------------------------------------------
locals {
  buckets = {
    backups   = aws_s3_bucket.backups
    artifacts = aws_s3_bucket.artifacts
    logs      = aws_s3_bucket.logs
  }
  bucket_policies = {
    backups   = data.aws_iam_policy_document.backups.json
    artifacts = data.aws_iam_policy_document.only_over_tls["artifacts"].json
    logs      = data.aws_iam_policy_document.logs.json
  }
}

data "aws_iam_policy_document" "only_over_tls" {
  for_each = local.buckets
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "all" {
  for_each   = local.bucket_policies
  bucket     = local.buckets[each.key].id
  policy     = each.value
  depends_on = [aws_s3_bucket_public_access_block.all]
}

resource "aws_s3_bucket_public_access_block" "all" {
  for_each                = local.buckets
  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "all" {
  for_each = local.buckets
  bucket   = each.value.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# The access logs of a load balancer take no key of one's own.
resource "aws_s3_bucket_server_side_encryption_configuration" "plain" {
  for_each = { for name in ["artifacts", "logs"] : name => local.buckets[name] }
  bucket   = each.value.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}
