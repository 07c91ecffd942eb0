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
    dbname            = string
    username          = string
  })
  description = "Where the database listens, the group that it is in, its name, and the user that is rotated"
}

variable "password" {
  type        = string
  sensitive   = true
  description = "The password that the user has; the first rotation replaces it"
}

module "rotator" {
  source  = "../.."
  name    = "rotate-postgres"
  rotator = "postgres"
  archive = "${path.root}/rotate-postgres-0.1.0-arm64.zip"

  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  databases  = { shop = { security_group_id = var.database.security_group_id, port = 5432 } }

  # Not by the other module's rotation_lambda_arn: with that, Terraform's apply rotates at once.
  secrets = { shop = { arn = module.secret.secret_arn } }
}

module "secret" {
  # checkov:skip=CKV_TF_1: a module of the registry has a version, not a commit
  source  = "terraform-aws-modules/secrets-manager/aws"
  version = "~> 2.0"

  name = "shop/db"
  secret_string = jsonencode({
    engine   = "postgres"
    host     = var.database.host
    dbname   = var.database.dbname
    username = var.database.username
    password = var.password
    ssl      = true
  })
  ignore_secret_changes = true
}
