# A security group of the function's own, with explicit rules both ways.

resource "aws_security_group" "this" {
  count       = local.make_group ? 1 : 0
  name        = var.name
  description = "The rotation function ${var.name}"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

# Secrets Manager, by an interface endpoint or NAT; for api, the vendor too; for iam, IAM and STS.
resource "aws_vpc_security_group_egress_rule" "https" {
  count             = local.make_group ? 1 : 0
  security_group_id = aws_security_group.this[0].id
  description       = "Secrets Manager"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each                     = local.make_group ? var.databases : {}
  security_group_id            = aws_security_group.this[0].id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = local.make_group ? var.databases : {}
  security_group_id            = each.value.security_group_id
  description                  = "The rotation function ${var.name}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.this[0].id
}
