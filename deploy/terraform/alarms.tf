# How a failure is noticed: a failed step, a slow one, and what Secrets Manager itself reports, which comes
# also where the function could not be started. The rule sees every secret of the account in this Region.

locals {
  make_topic = var.alarms && var.alarm_topic_arn == null
  topic      = local.make_topic ? aws_sns_topic.this[0].arn : var.alarm_topic_arn
  watched = var.alarms ? {
    errors = { metric = "Errors", statistic = "Sum", threshold = 1, says = "A rotation step failed" }
    # Milliseconds; three quarters of the timeout.
    slow = { metric = "Duration", statistic = "Maximum", threshold = local.timeout * 750, says = "A rotation step was slow" }
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.watched
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.says} in ${var.name}"
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic]
  tags                = var.tags
}

resource "aws_cloudwatch_event_rule" "ended" {
  count       = local.make_topic ? 1 : 0
  name        = "${var.name}-ended"
  description = "A rotation, or the test of one, failed or was abandoned"
  tags        = var.tags
  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = {
      eventSource = ["secretsmanager.amazonaws.com"]
      eventName   = ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]
    }
  })
}

resource "aws_cloudwatch_event_target" "ended" {
  count = local.make_topic ? 1 : 0
  rule  = aws_cloudwatch_event_rule.ended[0].name
  arn   = local.topic
}

resource "aws_sns_topic" "this" {
  # checkov:skip=CKV_AWS_26: topic_kms_key_arn is optional: AWS's own key for SNS does not let CloudWatch publish
  count             = local.make_topic ? 1 : 0
  name              = "${var.name}-alarms"
  kms_master_key_id = var.topic_kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_subscription" "this" {
  count     = local.make_topic && var.alarm_email != null ? 1 : 0
  topic_arn = local.topic
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_sns_topic_policy" "this" {
  count = local.make_topic ? 1 : 0
  arn   = local.topic
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.ended[0].arn } }
      },
      {
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic
        Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
      },
      {
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
