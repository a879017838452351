# Two locked buckets in another region or, better, in another account: replicas of backups, and an archive of the audit log.
# Apply it with the credentials of that account, on its own:
#   terraform -chdir=modules/safe init
#   terraform -chdir=modules/safe apply -var source_account=123456789012
#   terraform -chdir=modules/safe output -json safe     # the value of `safe` in the main module
terraform {
  required_version = ">= 1.11, < 2.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

variable "source_account" {
  type        = string
  description = "The account that the machine is in."
  validation {
    condition     = can(regex("^[0-9]{12}$", var.source_account))
    error_message = "source_account: twelve digits."
  }
}

variable "name" {
  type        = string
  default     = "wardpost"
  description = "As in the main module."
}

variable "region" {
  type        = string
  default     = "us-west-2"
  description = "Another one than that of the machine."
}

variable "backup_days" {
  type        = number
  default     = 365
  description = "How long a replica is kept. Its lock is that of its source; one whose source has none is locked for this long."
}

variable "audit_days" {
  type        = number
  default     = 2557
  description = "How long nobody can remove what the audit log sent, the administrator of this account neither: seven years."
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { Project = var.name, ManagedBy = "terraform" }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  # Which role of the source writes into it, and what that takes.
  buckets = {
    backups = {
      days           = var.backup_days, role = "replication", cold_after = 30
      bucket_actions = ["s3:GetBucketVersioning"]
      object_actions = ["s3:ReplicateObject", "s3:ObjectOwnerOverrideToBucketOwner"]
    }
    audit = {
      days           = var.audit_days, role = "archive", cold_after = 90
      bucket_actions = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
      object_actions = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]
    }
  }
}

resource "aws_s3_bucket" "safe" {
  for_each            = local.buckets
  bucket              = "${var.name}-safe-${each.key}-${local.account}"
  object_lock_enabled = true
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "safe" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.safe[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "safe" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.safe[each.key].id
  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = each.value.days
    }
  }
  depends_on = [aws_s3_bucket_versioning.safe]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "safe" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.safe[each.key].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "safe" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.safe[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "safe" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.safe[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "safe" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.safe[each.key].id
  rule {
    id     = "safe"
    status = "Enabled"
    filter {}
    transition {
      days          = each.value.cold_after
      storage_class = "GLACIER_IR"
    }
    expiration {
      days = each.value.days + 1
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }
  depends_on = [aws_s3_bucket_versioning.safe]
}

data "aws_iam_policy_document" "safe" {
  for_each = local.buckets
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.safe[each.key].arn, "${aws_s3_bucket.safe[each.key].arn}/*"]
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
  # The account and not the role is the principal: the role may come later, and S3 refuses principals that do not exist.
  dynamic "statement" {
    for_each = { "" = each.value.bucket_actions, "/*" = each.value.object_actions }
    content {
      actions   = statement.value
      resources = ["${aws_s3_bucket.safe[each.key].arn}${statement.key}"]
      principals {
        type        = "AWS"
        identifiers = ["arn:${data.aws_partition.current.partition}:iam::${var.source_account}:root"]
      }
      condition {
        test     = "ArnEquals"
        variable = "aws:PrincipalArn"
        values   = ["arn:${data.aws_partition.current.partition}:iam::${var.source_account}:role/${var.name}-${each.value.role}"]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "safe" {
  for_each   = local.buckets
  bucket     = aws_s3_bucket.safe[each.key].id
  policy     = data.aws_iam_policy_document.safe[each.key].json
  depends_on = [aws_s3_bucket_public_access_block.safe]
}

output "safe" {
  description = "The value of `safe` in the main module."
  value = {
    account_id = local.account
    region     = var.region
    backups    = aws_s3_bucket.safe["backups"].id
    audit      = aws_s3_bucket.safe["audit"].id
  }
}
