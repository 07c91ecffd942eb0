# One rotation function with what it needs. Its ARN is for `rotation_lambda_arn` of whatever makes the
# secret; or `secrets` here sets the schedules.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  in_vpc = length(var.subnet_ids) > 0
  # A change of a user of ElastiCache or MemoryDB takes minutes.
  timeout    = length(var.managed_user_arns) > 0 ? 900 : 60
  make_group = local.in_vpc && var.vpc_id != null

  place = {
    partition  = data.aws_partition.current.partition
    dns_suffix = data.aws_partition.current.dns_suffix
    region     = data.aws_region.current.id
    account    = data.aws_caller_identity.current.account_id
    function   = var.name
    log_group  = aws_cloudwatch_log_group.this.arn
  }

  # The same files are compared with the roles of template.yaml (tests/it/template/terraform.rs).
  policies = merge(
    { rotate = templatefile("${path.module}/policies/rotate.json", local.place) },
    local.in_vpc ? { vpc = templatefile("${path.module}/policies/vpc.json", local.place) } : {},
    length(var.kms_key_arns) == 0 ? {} : {
      kms = templatefile("${path.module}/policies/kms.json", merge(local.place, { keys = var.kms_key_arns }))
    },
    length(var.managed_user_arns) == 0 ? {} : {
      managed-users = templatefile("${path.module}/policies/managed-users.json", { users = var.managed_user_arns })
    },
    length(var.iam_user_arns) == 0 ? {} : {
      iam-users = templatefile("${path.module}/policies/iam-users.json", { users = var.iam_user_arns })
    },
    length(var.proxy_secrets) == 0 ? {} : {
      proxy-secrets = templatefile("${path.module}/policies/proxy-secrets.json", { secrets = values(var.proxy_secrets) })
    },
    var.secrets_role_arn == null ? {} : {
      secrets-role = templatefile("${path.module}/policies/secrets-role.json", { role = var.secrets_role_arn })
    },
    length(var.admin_secret_arns) == 0 ? {} : {
      admin = templatefile(
        "${path.module}/policies/${var.rotator == "api" ? "api-admin" : "admin"}.json",
        merge(local.place, { secrets = var.admin_secret_arns })
      )
    },
  )
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116: no dead-letter queue: Secrets Manager waits for the answer and tries again itself
  # checkov:skip=CKV_AWS_115: reserved_concurrency is optional; a limit that is too low throttles rotations
  # checkov:skip=CKV_AWS_117: subnet_ids is optional: an API, or a public endpoint, needs no VPC
  # checkov:skip=CKV_AWS_173: environment_kms_key_arn is optional: no secret is in the variables
  # checkov:skip=CKV_AWS_272: code_signing_config_arn is optional: the archives have checksums and provenance
  # checkov:skip=CKV_AWS_50: tracing would record calls; the log line of a step has them, with their durations
  function_name                  = var.name
  description                    = "Fourstep: rotates secrets of ${var.rotator}"
  role                           = aws_iam_role.this.arn
  handler                        = "bootstrap"
  runtime                        = "provided.al2023"
  architectures                  = [var.architecture]
  memory_size                    = 128
  timeout                        = local.timeout
  filename                       = var.archive
  source_code_hash               = var.archive == null ? null : filebase64sha256(var.archive)
  s3_bucket                      = try(var.archive_s3.bucket, null)
  s3_key                         = try(var.archive_s3.key, null)
  s3_object_version              = try(var.archive_s3.version, null)
  layers                         = var.layers
  kms_key_arn                    = var.environment_kms_key_arn
  code_signing_config_arn        = var.code_signing_config_arn
  reserved_concurrent_executions = var.reserved_concurrency
  tags                           = var.tags

  environment {
    variables = merge(
      var.strategy == null ? {} : { ROTATION_STRATEGY = var.strategy },
      length(var.proxy_secrets) == 0 ? {} : {
        PROXY_SECRETS = join(",", [for user, arn in var.proxy_secrets : "${user}=${arn}"])
      },
      var.secrets_role_arn == null ? {} : { SECRETS_ROLE_ARN = var.secrets_role_arn },
      var.secrets_role_external_id == null ? {} : { SECRETS_ROLE_EXTERNAL_ID = var.secrets_role_external_id },
      var.environment
    )
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.this.name
    application_log_level = "INFO"
    system_log_level      = "INFO"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = concat(aws_security_group.this[*].id, var.security_group_ids)
    }
  }

  lifecycle {
    precondition {
      condition     = (var.archive == null) != (var.archive_s3 == null)
      error_message = "Give either archive or archive_s3."
    }
    precondition {
      condition     = !local.in_vpc || var.vpc_id != null || length(var.security_group_ids) > 0
      error_message = "subnet_ids needs vpc_id, to make a security group, or security_group_ids."
    }
    precondition {
      condition     = !contains(keys(var.environment), "SECRETS_ROLE_ARN")
      error_message = "SECRETS_ROLE_ARN alone cannot work: give secrets_role_arn, which brings the permissions too."
    }
    precondition {
      condition     = var.secrets_role_external_id == null || var.secrets_role_arn != null
      error_message = "secrets_role_external_id needs secrets_role_arn: without a role there is nobody to tell it to."
    }
    precondition {
      condition     = var.secrets_role_arn == null || length(var.secrets) == 0
      error_message = "With secrets_role_arn the secrets are of another account: make their schedules there (docs/accounts.md)."
    }
    precondition {
      condition     = length(var.proxy_secrets) == 0 || contains(["postgres", "mysql"], var.rotator)
      error_message = "No proxy stands in front of this target: proxy_secrets is for postgres and mysql."
    }
  }

  # Lambda looks at the role when it makes the network interfaces.
  depends_on = [aws_iam_role_policy.this]
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_158: log_kms_key_arn is optional: no secret is in the log
  # checkov:skip=CKV_AWS_338: log_retention_days is the caller's; 90 days outlive a rotation's period
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  # IAM is global: the same name in a second Region would be refused. A prefix has 38 characters at most.
  name_prefix          = "${substr(var.name, 0, 37)}-"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies
  name     = each.key
  role     = aws_iam_role.this.id
  policy   = each.value
}

# No source_arn: that would tie the function to one secret. The account is the secrets'.
resource "aws_lambda_permission" "this" {
  # checkov:skip=CKV_AWS_364: the account is the limit; which secrets name the function is the schedule's matter
  function_name  = aws_lambda_function.this.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = try(split(":", var.secrets_role_arn)[4], data.aws_caller_identity.current.account_id)
}

resource "aws_secretsmanager_secret_rotation" "this" {
  # checkov:skip=CKV_AWS_304: every week by default; the check reads automatically_after_days only
  for_each            = var.secrets
  secret_id           = each.value.arn
  rotation_lambda_arn = aws_lambda_function.this.arn
  rotate_immediately  = each.value.rotate_immediately

  rotation_rules {
    schedule_expression = each.value.schedule_expression
    duration            = each.value.duration
  }

  # Before these, no rotation could succeed.
  depends_on = [
    aws_lambda_permission.this,
    aws_iam_role_policy.this,
    aws_vpc_security_group_egress_rule.database,
    aws_vpc_security_group_ingress_rule.database,
    aws_vpc_security_group_egress_rule.https,
  ]
}
