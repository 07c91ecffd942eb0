# Two users in turns on Aurora PostgreSQL, so that the old password works for a whole period. The admin's
# secret is the one that RDS manages for the cluster.

variable "vpc_id" {
  type        = string
  description = "The VPC of the cluster"
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets that reach the cluster, Secrets Manager and the RDS API"
}

variable "cluster_identifier" {
  type        = string
  description = "The cluster, with manage_master_user_password"
}

data "aws_rds_cluster" "shop" {
  cluster_identifier = var.cluster_identifier
}

# The user `app` exists, or the first rotation of docs/postgres-admin.md makes it.
resource "aws_secretsmanager_secret" "app" {
  # checkov:skip=CKV2_AWS_57: the module below rotates it
  # checkov:skip=CKV_AWS_149: Secrets Manager's own key; kms_key_id and kms_key_arns for another
  name = "shop/app"
}

resource "aws_secretsmanager_secret_version" "app" {
  secret_id = aws_secretsmanager_secret.app.id
  secret_string = jsonencode({
    engine    = "postgres"
    host      = data.aws_rds_cluster.shop.endpoint
    dbname    = "shop"
    username  = "app"
    password  = "change-me-before-apply"
    ssl       = true
    masterarn = data.aws_rds_cluster.shop.master_user_secret[0].secret_arn
  })

  # Rotations write the later ones.
  lifecycle {
    ignore_changes = [secret_string, version_stages]
  }
}

module "rotator" {
  source   = "../.."
  name     = "rotate-postgres"
  rotator  = "postgres"
  archive  = "${path.root}/rotate-postgres-0.1.0-arm64.zip"
  strategy = "alternating-users"

  admin_secret_arns = [data.aws_rds_cluster.shop.master_user_secret[0].secret_arn]
  kms_key_arns      = [data.aws_rds_cluster.shop.master_user_secret[0].kms_key_id]

  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  databases = {
    shop = {
      security_group_id = tolist(data.aws_rds_cluster.shop.vpc_security_group_ids)[0]
      port              = data.aws_rds_cluster.shop.port
    }
  }

  secrets = { app = { arn = aws_secretsmanager_secret_version.app.arn } }
}
