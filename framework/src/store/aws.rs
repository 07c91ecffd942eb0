//! Secrets Manager through the AWS SDK.
