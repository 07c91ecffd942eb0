output "function_arn" {
  description = "For rotation_lambda_arn"
  value       = aws_lambda_function.this.arn

  # Whoever sets a schedule by it needs these first.
  depends_on = [aws_lambda_permission.this, aws_iam_role_policy.this]
}

output "function_name" {
  description = "The function's name"
  value       = aws_lambda_function.this.function_name
}

output "role_arn" {
  description = "The function's role, for the policies of keys"
  value       = aws_iam_role.this.arn
}

output "security_group_id" {
  description = "The security group that was made, which databases must let in"
  value       = one(aws_security_group.this[*].id)
}

output "log_group_name" {
  description = "The log, one JSON line for each step"
  value       = aws_cloudwatch_log_group.this.name
}

output "alarm_topic_arn" {
  description = "Where failures are told"
  value       = local.topic
}
