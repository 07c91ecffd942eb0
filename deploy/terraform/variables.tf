variable "name" {
  type        = string
  description = "The function's name, which its log group and alarms share; its role's begins with it"
}

variable "rotator" {
  type        = string
  description = "What it rotates: postgres, mysql, mongodb, sqlserver, redis, iam or api"
  validation {
    condition     = contains(["postgres", "mysql", "mongodb", "sqlserver", "redis", "iam", "api"], var.rotator)
    error_message = "There are rotators for postgres, mysql, mongodb, sqlserver, redis, iam and api."
  }
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "The processor that the archive is for: arm64 or x86_64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "A release has archives for arm64 and x86_64."
  }
}

# ---- The archive: a file of a release, or where it was uploaded.

variable "archive" {
  type        = string
  default     = null
  description = "Path of rotate-ROTATOR-VERSION-ARCHITECTURE.zip of a release"
}

variable "archive_s3" {
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  default     = null
  description = "The same archive in S3, instead of archive"
}

# ---- What it does

variable "strategy" {
  type        = string
  default     = null
  description = "ROTATION_STRATEGY, as docs/settings.md has it; null means the rotator's own default"
}

variable "environment" {
  type        = map(string)
  default     = {}
  description = "More of the variables of docs/settings.md, such as PASSWORD_LENGTH or ROTATION_SPEC"
}

variable "secrets" {
  type = map(object({
    arn                 = string
    schedule_expression = optional(string, "cron(0 3 ? * SUN *)")
    duration            = optional(string, "3h")
    rotate_immediately  = optional(bool, false)
  }))
  default     = {}
  description = "Secrets to rotate, by any name. Leave it empty where something else sets the schedule"
}

# ---- Permissions

variable "kms_key_arns" {
  type        = list(string)
  default     = []
  description = "Customer managed keys that encrypt rotated secrets or admin secrets"
}

variable "admin_secret_arns" {
  type        = list(string)
  default     = []
  description = "Secrets of admins, which rotated secrets name as masterarn; for api, the secrets of the API's admins"
}

variable "proxy_secrets" {
  type        = map(string)
  default     = {}
  description = "The ARN of the secret by which RDS Proxy knows a user, for both users of each pair; for alternating-users of postgres and mysql"
}

variable "secrets_role_arn" {
  type        = string
  default     = null
  description = "The role of another account whose secrets are rotated (docs/accounts.md). Their schedules are made in that account. It must be known when the plan is made: write it out, rather than take it from a resource that does not exist yet"
  validation {
    condition     = var.secrets_role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", var.secrets_role_arn))
    error_message = "A role's ARN is arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "secrets_role_external_id" {
  type        = string
  default     = null
  description = "The external id that this role's trust policy asks for"
}

variable "managed_user_arns" {
  type        = list(string)
  default     = []
  description = "Users of ElastiCache and MemoryDB whose passwords the function may change, by their ARNs, for redis; MANAGED_USERS in environment says which secret has which"
}

variable "iam_user_arns" {
  type        = list(string)
  default     = []
  description = "IAM users whose access keys the function may make and delete, by their ARNs, for iam; DEDICATED_USERS in environment says that each is for one secret only"
  validation {
    condition     = alltrue([for arn in var.iam_user_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:user/[^*?]+$", arn))])
    error_message = "A user's ARN is arn:aws:iam::ACCOUNT:user/NAME, without a wildcard."
  }
}

variable "permissions_boundary" {
  type        = string
  default     = null
  description = "ARN of a permissions boundary for the role"
}

# ---- Network

variable "subnet_ids" {
  type        = list(string)
  default     = []
  description = "Subnets to run in, from which the databases and Secrets Manager can be reached; empty means no VPC"
}

variable "security_group_ids" {
  type        = list(string)
  default     = []
  description = "Security groups to run in, if none is to be made"
}

variable "vpc_id" {
  type        = string
  default     = null
  description = "The subnets' VPC, to make a security group in it"
}

variable "databases" {
  type = map(object({
    security_group_id = string
    port              = number
  }))
  default     = {}
  description = "What the group that is made may reach beside HTTPS, and is let in by: databases by any name"
}

# ---- Keys, limits, signatures

variable "environment_kms_key_arn" {
  type        = string
  default     = null
  description = "A customer managed key for the function's variables. No secret is in them"
}

variable "log_kms_key_arn" {
  type        = string
  default     = null
  description = "A customer managed key for the log; its policy must let CloudWatch Logs use it"
}

variable "topic_kms_key_arn" {
  type        = string
  default     = null
  description = "A customer managed key for the topic; its policy must let CloudWatch use it"
}

variable "code_signing_config_arn" {
  type        = string
  default     = null
  description = "A code signing configuration that the archive must satisfy"
}

variable "reserved_concurrency" {
  type        = number
  default     = -1
  description = "How many steps may run at a time; -1 reserves nothing. Too few, and rotations are throttled"
}

variable "layers" {
  type        = list(string)
  default     = []
  description = "ARNs of layer versions, such as one with the file of TLS_CA_BUNDLE"
}

# ---- Noticing failures

variable "log_retention_days" {
  type        = number
  default     = 90
  description = "How long logs are kept"
}

variable "alarms" {
  type        = bool
  default     = true
  description = "Notice failed steps and slow ones"
}

variable "alarm_topic_arn" {
  type        = string
  default     = null
  description = "An SNS topic to tell of failed and slow steps; null makes one, and with it the rule for what Secrets Manager itself reports"
}

variable "alarm_email" {
  type        = string
  default     = null
  description = "An address that the topic that is made tells; it must confirm"
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of all resources that can have any"
}
