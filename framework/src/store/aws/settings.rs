//! What the clients of AWS's services share, read from the function's environment and nowhere else.
//!
//! Not by `aws_config::load_defaults`: it brings every way to find credentials that there is (shared
//! files, web identity with STS, containers, instance metadata), a third of a megabyte of code that
//! a Lambda function never runs, since Lambda hands its role's credentials over in variables
//! (AWS Lambda Developer Guide, "Using Lambda environment variables").

use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use super::http::http_client;
use crate::config::{Environment, refused};
use crate::error::Result;

/// How long one attempt of a call may take. The SDK makes up to three attempts, within the
/// function's deadline.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);

/// As every AWS SDK names the endpoint of all services.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// As every AWS SDK names the kinds of endpoint of which it makes the address itself.
const FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
const DUAL_STACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";

/// Region, credentials, the HTTPS stack, time limits; and the endpoint, where it is not the Region's
/// own.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`], naming a variable that cannot be read.
pub(crate) async fn shared(environment: &Environment, endpoint: Option<&str>) -> Result<SdkConfig> {
    let mut retries = RetryConfig::standard();
    match environment.number("AWS_MAX_ATTEMPTS")?.map(u32::try_from) {
        None => {}
        Some(Ok(attempts)) if attempts > 0 => retries = retries.with_max_attempts(attempts),
        Some(_) => return Err(refused("AWS_MAX_ATTEMPTS", "must be a number from 1 on")),
    }
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(environment)?)
        .retry_config(retries)
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIME).build());
    settings.set_endpoint_url(endpoint.map(str::to_owned));
    settings.set_use_fips(environment.flag_if_set(FIPS)?);
    settings.set_use_dual_stack(environment.flag_if_set(DUAL_STACK)?);
    Ok(settings.build())
}

/// The endpoint of a service: by the first of these variables that is set, or by the one for all
/// services. Each is checked: the SDK would report one that cannot be used at the first call only, and
/// as a request that could not be sent. So it does where it is to make the address by itself, too.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`], naming the variable.
pub(crate) fn endpoint<'a>(
    environment: &'a Environment,
    names: &[&str],
) -> Result<Option<&'a str>> {
    let Some((name, endpoint)) = chosen(environment, names)? else { return Ok(None) };
    for kind in [FIPS, DUAL_STACK] {
        if environment.flag_if_set(kind)? == Some(true) {
            let what = format!(
                "cannot be used together with {kind}: if it is the address of such an endpoint, set \
                 {kind} to false, which is about the addresses that the SDK makes; otherwise take \
                 {name} out"
            );
            return Err(refused(name, &what));
        }
    }
    Ok(Some(endpoint))
}

/// The same, with its variable, and whatever is to make the address. For a service that may never be
/// asked.
pub(super) fn chosen<'a, 'b>(
    environment: &'a Environment,
    names: &[&'b str],
) -> Result<Option<(&'b str, &'a str)>> {
    let mut chosen = None;
    for name in names.iter().copied().chain([ENDPOINT]) {
        let Some(endpoint) = environment.text(name)? else { continue };
        if !is_usable(endpoint) {
            return Err(refused(name, "is not a URL that begins with https:// or http://"));
        }
        chosen = chosen.or(Some((name, endpoint)));
    }
    Ok(chosen)
}

fn is_usable(endpoint: &str) -> bool {
    let authority = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    authority.is_some_and(|host| {
        !host.is_empty()
            && !host.starts_with(['/', ':'])
            && host.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_of_an_endpoint_counts_and_each_is_checked() {
        let read = |pairs: &[(&str, &str)]| {
            let environment: Environment = pairs.iter().copied().collect();
            endpoint(&environment, &["FIRST", "SECOND"]).map(|one| one.map(str::to_owned))
        };
        let url = |host: &str| format!("http://{host}");
        let (one, two, three) = (url("one"), url("two:80"), url("three"));
        for (pairs, expected) in [
            (&[][..], None),
            (&[("AWS_ENDPOINT_URL", three.as_str())][..], Some(&three)),
            (&[("SECOND", two.as_str()), ("AWS_ENDPOINT_URL", &three)][..], Some(&two)),
            (&[("SECOND", two.as_str()), ("FIRST", &one)][..], Some(&one)),
        ] {
            assert_eq!(read(pairs).unwrap().as_ref(), expected);
        }
        let error = read(&[("FIRST", &one), ("AWS_ENDPOINT_URL", "three")]).unwrap_err();
        assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
    }

    #[test]
    fn an_endpoint_is_refused_beside_a_kind_of_endpoint_that_the_sdk_makes() {
        for kind in [FIPS, DUAL_STACK] {
            let read = |on: &str, pairs: &[(&str, &str)]| {
                let variables = pairs.iter().chain(&[(kind, on)]).copied().collect();
                endpoint(&variables, &["FIRST"]).map(|one| one.map(str::to_owned))
            };
            for name in ["FIRST", "AWS_ENDPOINT_URL"] {
                let error = read("true", &[(name, "http://one")]).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains(kind), "{error}");
                // A service that is never asked stops no start.
                let variables = [(name, "http://one"), (kind, "true")].into_iter().collect();
                assert!(chosen(&variables, &["FIRST"]).unwrap().is_some());
                assert!(read("false", &[(name, "http://one")]).unwrap().is_some());
            }
            assert_eq!(read("true", &[]).unwrap(), None);
        }
    }

    #[tokio::test]
    async fn settings_that_cannot_be_read_are_refused_by_name() {
        for (name, text) in [
            ("AWS_MAX_ATTEMPTS", "0"),
            ("AWS_MAX_ATTEMPTS", "many"),
            ("AWS_USE_FIPS_ENDPOINT", "perhaps"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "perhaps"),
            ("AWS_CA_BUNDLE", "/nowhere/bundle.pem"),
        ] {
            let error = shared(&Environment::from([(name, text)]), None).await.unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
