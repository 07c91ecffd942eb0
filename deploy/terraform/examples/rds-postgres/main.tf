# One user of an RDS for PostgreSQL instance, whose secret is made by terraform-aws-modules.

variable "vpc_id" {
  type        = string
  description = "The VPC of the database"
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets that reach the database and Secrets Manager"
}

variable "database" {
  type = object({
    host              = string
    security_group_id = string
  })
  description = "Where the database listens, and the group that it is in"
}

module "rotator" {
  source  = "../.."
  name    = "rotate-postgres"
  rotator = "postgres"
  archive = "${path.root}/rotate-postgres-0.1.0-arm64.zip"

  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  databases  = { shop = { security_group_id = var.database.security_group_id, port = 5432 } }
}

module "secret" {
  # checkov:skip=CKV_TF_1: a module of the registry has a version, not a commit
  source  = "terraform-aws-modules/secrets-manager/aws"
  version = "~> 2.0"

  name = "shop/db"
  # The password that the user has; the first rotation replaces it.
  secret_string = jsonencode({
    engine   = "postgres"
    host     = var.database.host
    dbname   = "shop"
    username = "app"
    password = "change-me-before-apply"
    ssl      = true
  })
  ignore_secret_changes = true

  enable_rotation     = true
  rotation_lambda_arn = module.rotator.function_arn
  rotation_rules      = { schedule_expression = "cron(0 3 ? * SUN *)", duration = "3h" }
}
