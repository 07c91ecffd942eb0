# Keys of SendGrid. The function talks to the Internet, so it is in no VPC.

variable "secret_arn" {
  type        = string
  description = "The secret with the key: docs/rotate-a-vendor-key.md has its fields"
}

variable "admin_secret_arn" {
  type        = string
  description = "The secret with the key that may make keys"
}

module "rotator" {
  source  = "../.."
  name    = "rotate-sendgrid"
  rotator = "api"
  archive = "${path.root}/rotate-api-0.1.0-arm64.zip"

  environment = {
    ROTATION_SPEC = "sendgrid"
    ADMIN_SECRET  = var.admin_secret_arn
  }
  admin_secret_arns = [var.admin_secret_arn]

  secrets = { sendgrid = { arn = var.secret_arn } }
}
