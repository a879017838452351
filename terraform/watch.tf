locals {
  trail_arn = "arn:${local.partition}:cloudtrail:${var.region}:${local.account}:trail/${var.name}"
}

# Who did what in the account, and who touched backups.
resource "aws_cloudtrail" "main" {
  count                         = var.cloudtrail ? 1 : 0
  name                          = var.name
  s3_bucket_name                = aws_s3_bucket.logs.id
  s3_key_prefix                 = "trail"
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true

  advanced_event_selector {
    name = "management"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }
  advanced_event_selector {
    name = "objects of the backup bucket"
    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }
    field_selector {
      field       = "resources.ARN"
      starts_with = ["${aws_s3_bucket.backups.arn}/"]
    }
  }
  depends_on = [aws_s3_bucket_policy.all]
}

resource "aws_flow_log" "refused" {
  count                = var.flow_logs ? 1 : 0
  vpc_id               = aws_vpc.main.id
  traffic_type         = "REJECT"
  log_destination_type = "s3"
  log_destination      = "${aws_s3_bucket.logs.arn}/flow"
  depends_on           = [aws_s3_bucket_policy.all]
}

resource "aws_guardduty_detector" "main" {
  count  = var.guardduty ? 1 : 0
  enable = true
}
