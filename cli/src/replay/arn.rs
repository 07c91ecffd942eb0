//! The ARN of a secret in AWS, under which a replay can have it too.

use std::fmt;

/// The whole ARN of a secret: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX`.
///
/// Rotators write it at the target, for example on the two users of a pair, and know them by it
/// again. Source of its form: AWS Service Authorization Reference, "Resource types defined by AWS
/// Secrets Manager"; of a name's characters: the API reference, CreateSecret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretArn(String);

impl SecretArn {
    /// Checks the form.
    ///
    /// # Errors
    /// What is wrong with it, if it is no such ARN. One without the six characters at its end is
    /// refused: what is written at the target has them.
    pub fn parse(arn: &str) -> Result<Self, String> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "secretsmanager", region, account, "secret", resource] = parts[..]
        else {
            return Err(format!("must be the ARN of a secret, {FORM}"));
        };
        if !partition.starts_with("aws") || !word(partition) || region.is_empty() || !word(region) {
            return Err(format!("names no partition or no Region; it should be {FORM}"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("names no account of 12 digits; it should be {FORM}"));
        }
        match named(resource) {
            Some(name) if name.len() <= 512 && name.bytes().all(legal) => Ok(Self(arn.to_owned())),
            Some(_) => {
                Err("names no secret: a name has up to 512 letters, digits and -/_+=.@!".into())
            }
            None => Err(format!(
                "must end in the hyphen and the six characters that Secrets Manager gave it: {FORM}"
            )),
        }
    }

    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The secret's name in it.
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().and_then(named).unwrap_or_default()
    }
}

impl fmt::Display for SecretArn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

const FORM: &str = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX";

fn word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte)
}

/// What stands before the six characters.
fn named(resource: &str) -> Option<&str> {
    let (name, suffix) = resource.rsplit_once('-')?;
    let whole = suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (whole && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_arn_is_taken_as_it_is() {
        for (arn, name) in [
            ("arn:aws:secretsmanager:eu-central-1:111122223333:secret:app/db-AbC1eF", "app/db"),
            (
                "arn:aws-us-gov:secretsmanager:us-gov-west-1:111122223333:secret:a-b-c-abcdef",
                "a-b-c",
            ),
            (
                "arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!db-1-2-AbCdEf",
                "rds!db-1-2",
            ),
        ] {
            let parsed = SecretArn::parse(arn).unwrap();
            assert_eq!((parsed.as_str(), parsed.name()), (arn, name));
        }
    }

    #[test]
    fn whatever_is_none_is_refused_and_why() {
        for (arn, words) in [
            ("", "must be the ARN of a secret"),
            ("app/db", "must be the ARN of a secret"),
            (
                "arn:aws:lambda:us-east-1:111122223333:function:x-AbCdEf",
                "must be the ARN of a secret",
            ),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:a-AbCdEf:b", "must be the ARN"),
            ("arn:aws:secretsmanager::111122223333:secret:app/db-AbCdEf", "Region"),
            ("arn:gcp:secretsmanager:us-east-1:111122223333:secret:app/db-AbCdEf", "partition"),
            ("arn:aws:secretsmanager:us-east-1:11112222333:secret:app/db-AbCdEf", "12 digits"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db", "six characters"),
            (
                "arn:aws:secretsmanager:us-east-1:111122223333:secret:app/db-??????",
                "six characters",
            ),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:-AbCdEf", "six characters"),
            ("arn:aws:secretsmanager:us-east-1:111122223333:secret:a b-AbCdEf", "names no secret"),
        ] {
            let why = SecretArn::parse(arn).unwrap_err();
            assert!(why.contains(words), "{arn}: {why}");
        }
    }
}
