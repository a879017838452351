# ---- Required ----------------------------------------------------------------------------------------------------------
variable "public_url" {
  type        = string
  description = "What people type: https://messages.clinic.example"
  validation {
    condition     = can(regex("^https://[a-z0-9.-]+$", var.public_url))
    error_message = "public_url: https:// and a host in small letters, nothing after it."
  }
}

variable "staff_domains" {
  type        = list(string)
  description = "E-mail domains of the staff."
  validation {
    condition     = length(var.staff_domains) > 0 && alltrue([for d in var.staff_domains : can(regex("^[a-z0-9.-]+$", d))])
    error_message = "staff_domains: at least one, each a domain in small letters, without @."
  }
}

variable "certificate_arn" {
  type        = string
  description = "Certificate of ACM for public_url, issued, in the same region."
  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:", var.certificate_arn))
    error_message = "certificate_arn: the ARN of a certificate in ACM."
  }
}

variable "release" {
  type        = object({ version = string, sha256 = string })
  description = "The release that runs: wardpost-VERSION-x86_64.tar.gz in the bucket of releases, and its SHA-256 from SHA256SUMS. Another one replaces the machine."
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release.sha256)) && can(regex("^[0-9A-Za-z.+~-]+$", var.release.version))
    error_message = "release: a version, and sha256 with the 64 hexadecimal digits (small letters) of the tarball."
  }
}

variable "alarm_email" {
  type        = string
  description = "Who gets the alarms. AWS sends a mail first that has to be confirmed."
  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+$", var.alarm_email))
    error_message = "alarm_email: one e-mail address."
  }
}

# ---- Where -------------------------------------------------------------------------------------------------------------
variable "name" {
  type        = string
  default     = "wardpost"
  description = "Prefix of every name."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}$", var.name))
    error_message = "name: 2 to 19 of a-z, 0-9 and -, beginning with a letter (names of load balancers have 32 characters at most)."
  }
}

variable "region" {
  type        = string
  default     = "us-east-2"
  description = "Everything but modules/safe is there."
}

variable "zones" {
  type        = list(string)
  default     = null
  description = "Two availability zones, if not a and b of the region. "
  validation {
    condition     = var.zones == null ? true : length(distinct(var.zones)) == 2
    error_message = "zones: two different ones."
  }
}

variable "machine_zone" {
  type        = number
  default     = 0
  description = "In which of the two zones the machine and its volume are: 0 or 1."
  validation {
    condition     = contains([0, 1], var.machine_zone)
    error_message = "machine_zone: 0 or 1."
  }
}

variable "account_id" {
  type        = string
  default     = null
  description = "Refuse to touch any other account."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "On everything, beside Project and ManagedBy."
}

variable "vpc_cidr" {
  type        = string
  default     = "10.0.0.0/16"
  description = "Four networks of 256 addresses are cut from it."
  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 8, 11)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16
    error_message = "vpc_cidr: an IPv4 network of /16 to /20."
  }
}

# ---- The way out -------------------------------------------------------------------------------------------------------
variable "egress" {
  type        = string
  default     = "ipv6"
  description = "ipv6: egress-only internet gateway, free. nat: a NAT gateway, about $36 a month more."
  validation {
    condition     = contains(["ipv6", "nat"], var.egress)
    error_message = "egress: ipv6 or nat."
  }
}

variable "interface_endpoints" {
  type        = set(string)
  default     = []
  description = "Services that are asked inside the VPC: about $7.30 a month each."
  validation {
    condition     = length(setsubtract(var.interface_endpoints, ["secretsmanager", "logs", "sts", "ssm", "ssmmessages", "kms"])) == 0
    error_message = "interface_endpoints: of secretsmanager, logs, sts, ssm, ssmmessages, kms."
  }
}

# ---- The machine -------------------------------------------------------------------------------------------------------
variable "instance_type" {
  type        = string
  default     = "t3.small"
  description = "x86_64, with volumes as NVMe (t3, m6i, ...)."
}

variable "ami_id" {
  type        = string
  default     = null
  description = "Another image than the newest Amazon Linux 2023."
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "Further settings of docs/CONFIGURATION.md, such as { WARDPOST_LIMIT_SIGN_IN_PER_MINUTE = 40 }. What is set by hand on a machine is gone with it."
  validation {
    condition     = alltrue([for name, value in var.settings : can(regex("^WARDPOST_[A-Z_]+$", name)) && !can(regex("['\n]", value))])
    error_message = "settings: names WARDPOST_..., values without quotes and line breaks. Secrets belong in Secrets Manager."
  }
}

variable "root_gb" {
  type        = number
  default     = 30
  description = "The system and its journal."
}

variable "data_gb" {
  type        = number
  default     = 30
  description = "The database: three times its size, since a backup and a restore on trial need as much again."
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Of the load balancer, against a slip in the console."
}

variable "snapshots" {
  type        = bool
  default     = true
  description = "A snapshot of the database's volume every six hours, kept for a week."
}

# ---- What is kept ------------------------------------------------------------------------------------------------------
variable "backup_object_lock_days" {
  type        = number
  default     = 30
  description = "Compliance mode: nobody removes a backup earlier, the account's root neither. 0: no lock. Only a new bucket can be given one."
  validation {
    condition     = var.backup_object_lock_days >= 0 && var.backup_object_lock_days < 365
    error_message = "backup_object_lock_days: 0 to 364; backups expire after 365 days."
  }
}

variable "log_days" {
  type        = number
  default     = 365
  description = "Of the log groups. One of the numbers that CloudWatch Logs takes."
  validation {
    condition     = contains([365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "log_days: a year or more, as CloudWatch Logs takes it: 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "access_log_days" {
  type        = number
  default     = 2557
  description = "Access logs of the load balancer and the trail: seven years."
  validation {
    condition     = var.access_log_days > 90
    error_message = "access_log_days: more than 90, after which they move to a cheaper class."
  }
}

variable "customer_managed_key" {
  type        = bool
  default     = false
  description = "One KMS key of the clinic's own for volumes, backups, secret and logs: $1 a month."
}

variable "safe" {
  type        = object({ account_id = string, region = string, backups = string, audit = string })
  default     = null
  description = "The outputs of modules/safe in another region or account: backups are replicated there."
}

variable "audit_archive" {
  type        = bool
  default     = false
  description = "Every row of the audit log also goes to the locked bucket of the safe, by Firehose."
  validation {
    condition     = !var.audit_archive || var.safe != null
    error_message = "audit_archive: needs safe, which has the bucket."
  }
}

# ---- Monitoring --------------------------------------------------------------------------------------------------------
variable "monthly_budget" {
  type        = number
  default     = 75
  description = "Dollars: a mail at 80 % of it, and when the month is going to exceed it. 0: none."
}

variable "cloudtrail" {
  type        = bool
  default     = true
  description = "Who does what in the account, and who touches backups. The first trail of an account is free."
}

variable "flow_logs" {
  type        = bool
  default     = false
  description = "Connections that were refused, into the bucket of logs."
}

variable "waf" {
  type        = bool
  default     = false
  description = "Two of Amazon's lists of rules before the load balancer: about $7 a month."
}

variable "guardduty" {
  type        = bool
  default     = false
  description = "GuardDuty: about $1 to $5 a month."
}
