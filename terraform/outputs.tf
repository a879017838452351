output "edge_name" {
  description = "What the public name is a CNAME (or an alias) of."
  value       = aws_lb.edge.dns_name
}

output "instance_id" {
  value = aws_instance.machine.id
}

output "artifacts" {
  description = "The bucket that releases are copied to."
  value       = aws_s3_bucket.artifacts.id
}

output "backups" {
  value = aws_s3_bucket.backups.id
}

output "secret" {
  description = "Its value is put there by hand, once: it never passes through Terraform."
  value       = aws_secretsmanager_secret.app.name
}

output "data_volume" {
  value = aws_ebs_volume.data.id
}

output "roles" {
  description = "Of each program."
  value       = { for program, role in aws_iam_role.program : program => role.arn }
}

output "session_command" {
  description = "A session on the machine; what is typed and shown is kept."
  value = join(" ", [
    "aws ssm start-session --region", var.region, "--target", aws_instance.machine.id,
    "--document-name", aws_ssm_document.session.name,
  ])
}

# What check-account asks about.
output "check" {
  value = {
    name         = var.name
    region       = var.region
    public_url   = var.public_url
    egress       = var.egress
    secret       = aws_secretsmanager_secret.app.arn
    audit        = "${local.log_groups}:${var.name}/audit"
    target_group = aws_lb_target_group.site.arn
    topic        = aws_sns_topic.alarms.arn
    machine_role = aws_iam_role.machine.arn
  }
}
