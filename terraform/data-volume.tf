# The database. It outlives the machine: another release, or a broken machine, mounts it again.
resource "aws_ebs_volume" "data" {
  availability_zone = local.machine_zone
  type              = "gp3"
  size              = var.data_gb
  encrypted         = true
  kms_key_id        = local.key_arn
  final_snapshot    = true
  tags              = { Name = "${var.name}-data", Backup = var.name }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.machine.id
  # The old machine ends its programs and unmounts first.
  stop_instance_before_detaching = true
}

resource "aws_dlm_lifecycle_policy" "data" {
  count              = var.snapshots ? 1 : 0
  description        = "Snapshots of the database volume"
  execution_role_arn = aws_iam_role.snapshots[0].arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { Backup = var.name }

    schedule {
      name = "every 6 hours, a week"
      create_rule {
        interval      = 6
        interval_unit = "HOURS"
        times         = ["03:45"]
      }
      retain_rule {
        count = 28
      }
      copy_tags = true
    }
  }
}

data "aws_iam_policy_document" "snapshots_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["dlm.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "snapshots" {
  count              = var.snapshots ? 1 : 0
  name               = "${var.name}-snapshots"
  assume_role_policy = data.aws_iam_policy_document.snapshots_trust.json
}

resource "aws_iam_role_policy_attachment" "snapshots" {
  count      = var.snapshots ? 1 : 0
  role       = aws_iam_role.snapshots[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
}
