//! Whose requests are answered: no web page's, and if there is a key, only those signed with it.
//!
//! Every user of a machine reaches its loopback address, and so does every page in a browser on it
//! whose name its owner lets resolve to that address (DNS rebinding). Such a request still names the
//! page's host.

use std::fmt;
use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};

use super::refusal::Refusal;

/// Names by which programs of this machine, or of its containers, reach it. Nobody else can make
/// them resolve.
const OWN_NAMES: [&str; 2] = ["localhost", "host.docker.internal"];

/// An access key id that only the function of a run knows. Signatures are not checked: on the way
/// to this machine nobody reads the id, and whoever knows it may sign what he likes.
#[derive(Clone)]
pub struct AccessKey(String);

impl AccessKey {
    /// One that cannot be guessed: 122 bits of the system's random numbers.
    pub fn random() -> Self {
        Self(format!("FOURSTEP{:X}", uuid::Uuid::new_v4().simple()))
    }

    /// One that the function has already.
    pub fn given(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// The id itself, for the function's environment and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessKey(redacted)")
    }
}

/// Who may ask.
pub(super) struct Admitted {
    /// The only access key id that is answered, if there is one.
    pub(super) key: Option<AccessKey>,
    /// Names that a Host may have besides this machine's own: of a network in which nobody else gives names.
    pub(super) hosts: Vec<String>,
}

/// Refuses whoever may not ask.
pub(super) fn admitted(headers: &HeaderMap, who: &Admitted) -> Result<(), Refusal> {
    if !names_this_machine(headers, &who.hosts) {
        // Who started it for one function has no flag for that.
        let next = match (&who.key, who.hosts.join(", ")) {
            (Some(_), _) => String::new(),
            (None, hosts) if hosts.is_empty() => {
                ", or a name that it was told with --allow-host NAME".to_owned()
            }
            (None, hosts) => format!(", or as --allow-host has it: {hosts}"),
        };
        return Err(Refusal::foreign_host(&next));
    }
    // A browser says whose page asks. What AWS's clients send it would not send without asking first, but
    // Lambda's Invoke is a plain POST.
    if headers.contains_key(header::ORIGIN) {
        return Err(Refusal::foreign_page());
    }
    match &who.key {
        Some(key) if signer(headers) != Some(key.expose()) => Err(Refusal::unknown_key()),
        _ => Ok(()),
    }
}

/// Whether every Host header, and there is one, has an address, one of this machine's own names, or one of
/// these.
fn names_this_machine(headers: &HeaderMap, hosts: &[String]) -> bool {
    let own = |host: &HeaderValue| {
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        host.is_some_and(|host| {
            let name = host.host();
            let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let mut names = OWN_NAMES.into_iter().chain(hosts.iter().map(String::as_str));
            address.is_ok() || names.any(|own| own.eq_ignore_ascii_case(name))
        })
    };
    let mut hosts = headers.get_all(header::HOST).iter().peekable();
    hosts.peek().is_some() && hosts.all(own)
}

/// The access key id that a request is signed with.
///
/// Source of the form: AWS General Reference, "Signature Version 4", the Authorization header.
fn signer(headers: &HeaderMap) -> Option<&str> {
    let signature = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = signature.split_once(" Credential=")?;
    credential.split_once('/').map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(header::HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_host_is_an_address_or_a_name_that_nobody_else_can_make_resolve() {
        for own in [
            "127.0.0.1:4566",
            "127.0.0.1",
            "172.17.0.1:1",
            "[::1]:4566",
            "[::1]",
            "localhost:4566",
            "LocalHost",
            "host.docker.internal:1",
        ] {
            assert!(names_this_machine(&headers(&[(header::HOST, own)]), &[]), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:4566",
            "127.0.0.1.evil.example",
            "localhost.evil.example:4566",
            "evil.localhost",
            "127.0.0.1@evil.example",
            "::1",
            "",
            ":4566",
            "127.0.0.1 evil.example",
        ] {
            assert!(
                !names_this_machine(&headers(&[(header::HOST, foreign)]), &["secrets".to_owned()]),
                "{foreign}"
            );
        }
        assert!(!names_this_machine(&HeaderMap::new(), &[]));
        let mut two = headers(&[(header::HOST, "localhost")]);
        two.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(!names_this_machine(&two, &[]));
    }

    #[test]
    fn a_name_that_is_allowed_is_a_host_too_and_a_web_page_is_none() {
        let who = Admitted { key: None, hosts: vec!["secrets".to_owned()] };
        for (host, allowed) in [
            ("secrets", true),
            ("SECRETS:4566", true),
            ("localhost", true),
            ("secrets.evil.example", false),
            ("evil.example", false),
        ] {
            let asked = admitted(&headers(&[(header::HOST, host)]), &who);
            assert_eq!(asked.is_ok(), allowed, "{host}");
        }
        let page = [(header::HOST, "127.0.0.1:4566"), (header::ORIGIN, "https://evil.example")];
        assert!(admitted(&headers(&page), &who).is_err());
    }

    #[test]
    fn only_the_key_itself_opens() {
        let key = AccessKey::random();
        let id = key.expose().to_owned();
        let who = Admitted { key: Some(key.clone()), hosts: Vec::new() };
        let anybody = Admitted { key: None, hosts: Vec::new() };
        let opens = |signature: &str| {
            let signed = [(header::HOST, "localhost"), (header::AUTHORIZATION, signature)];
            admitted(&headers(&signed), &who).is_ok()
        };
        let rest =
            "20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0";
        assert!(opens(&format!("AWS4-HMAC-SHA256 Credential={id}/{rest}")));
        for other in ["local", "", &id[1..], &id[..id.len() - 1], &id.to_lowercase()] {
            assert!(!opens(&format!("AWS4-HMAC-SHA256 Credential={other}/{rest}")), "{other}");
        }
        assert!(!opens(&id) && !opens("") && !opens(&format!("Basic {id}/")));
        assert!(admitted(&headers(&[(header::HOST, "localhost")]), &who).is_err());
        assert!(admitted(&headers(&[(header::HOST, "localhost")]), &anybody).is_ok());
        assert_ne!(AccessKey::random().expose(), id);
        assert!(!format!("{key:?}").contains(&id));
    }
}
