//! TLS with a verified server: which roots are trusted, which name is expected, and what a refusal
//! means to an operator.

mod any_name;

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::pki_types::{ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{connect_time, roots, within};
use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

const CA_BUNDLE: &str = "TLS_CA_BUNDLE";
const SERVER_NAME: &str = "TLS_SERVER_NAME";
const ANY_NAME: &str = "ALLOW_ANY_SERVER_NAME";

/// Whom to trust, and under which name.
///
/// Trusted are Amazon RDS's roots, the web's (Mozilla's list) and those of the configured bundle.
#[derive(Debug, Default)]
pub struct TlsSettings {
    bundle: Vec<TrustAnchor<'static>>,
    server_name: Option<ServerName<'static>>,
    /// The bundle's authorities only are trusted, and not asked for a name.
    any_name: bool,
    /// Built at the first TLS connection: two of four steps open none.
    client: OnceLock<Result<Arc<ClientConfig>>>,
}

impl TlsSettings {
    /// Reads `TLS_CA_BUNDLE`, the path of a PEM file; `TLS_SERVER_NAME`, the name or address that the
    /// server's certificate must carry where it differs from the secret's host; and
    /// `ALLOW_ANY_SERVER_NAME`, by which any certificate of an authority in the bundle will do, and of no
    /// other: every server of the web has one of a public authority.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable, if the file cannot be read or holds no
    /// certificate, if the name is not one that a certificate can carry, or if any will do and there is
    /// a name or no bundle.
    pub fn read(environment: &Environment) -> Result<Self> {
        let bundle = roots::of_bundle(environment, CA_BUNDLE)?.unwrap_or_default();
        let server_name =
            match environment.text(SERVER_NAME)?.map(str::trim) {
                Some(name) => Some(ServerName::try_from(name.to_owned()).map_err(|_| {
                    refused(SERVER_NAME, "is neither a host name nor an IP address")
                })?),
                None => None,
            };
        let any_name = environment.flag(ANY_NAME)?;
        if any_name && (bundle.is_empty() || server_name.is_some()) {
            return Err(refused(
                ANY_NAME,
                "needs TLS_CA_BUNDLE with an authority of your own, and no TLS_SERVER_NAME",
            ));
        }
        Ok(Self { bundle, server_name, any_name, client: OnceLock::new() })
    }

    fn client(&self) -> Result<Arc<ClientConfig>> {
        self.client.get_or_init(|| configure(&self.bundle, self.any_name)).clone()
    }

    fn expected_name(&self, host: &str) -> Result<ServerName<'static>> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        ServerName::try_from(host.to_owned()).map_err(|_| {
            tls_error("the host is not a name that a certificate can carry; set TLS_SERVER_NAME")
        })
    }
}

fn configure(bundle: &[TrustAnchor<'static>], any_name: bool) -> Result<Arc<ClientConfig>> {
    let built_in = roots::of_the_web().chain(roots::of_rds());
    let mut client = match any_name {
        true => any_name::client(bundle)?,
        false => roots::client(built_in.chain(bundle.iter().cloned()))?,
    };
    // A resumed session is not verified again, and nothing may survive between invocations.
    client.resumption = Resumption::disabled();
    Ok(Arc::new(client))
}

/// Begins TLS on `stream` as a client and verifies the server. `host` may be an IP address.
///
/// # Errors
/// [`ErrorKind::Tls`] if the server cannot be verified or refuses, each cause with what to do
/// about it; [`ErrorKind::Unreachable`] if the connection breaks or stays silent;
/// [`ErrorKind::OutOfTime`] if the invocation's time ended.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    settings: &TlsSettings,
    cx: &Invocation,
) -> Result<TlsStream<S>> {
    let name = settings.expected_name(host)?;
    let expected = name.to_str().into_owned();
    let connector = TlsConnector::from(settings.client()?);
    within(cx, "the TLS handshake", connect_time(cx), connector.connect(name, stream))
        .await?
        .map_err(|cause| classify(&cause, &expected))
}

fn classify(cause: &io::Error, expected: &str) -> Error {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(refusal) => tls_error(&explain(refusal, expected)),
        None => Error::new(ErrorKind::Unreachable, "the connection broke in the TLS handshake")
            .caused_by(cause),
    }
}

fn tls_error(cause: &str) -> Error {
    Error::new(ErrorKind::Tls, "cannot set up verified TLS").caused_by(cause)
}

fn explain(refusal: &rustls::Error, expected: &str) -> String {
    match refusal {
        rustls::Error::InvalidCertificate(reason) => explain_certificate(reason, expected),
        rustls::Error::NoCertificatesPresented => "the server presented no certificate".into(),
        rustls::Error::PeerIncompatible(_) => {
            "the server offers no protocol version or cipher accepted here; TLS 1.2 is the least"
                .into()
        }
        rustls::Error::AlertReceived(alert) => format!("the server sent the TLS alert {alert:?}"),
        rustls::Error::InvalidMessage(_) => "the server's answer is not TLS".into(),
        other => other.to_string(),
    }
}

fn explain_certificate(reason: &CertificateError, expected: &str) -> String {
    match reason {
        CertificateError::UnknownIssuer => unknown_issuer(expected),
        CertificateError::NotValidForName => format!(
            "the server's certificate is not for {expected:?}; write a name it carries into the \
             secret's \"host\", or set TLS_SERVER_NAME"
        ),
        // webpki reads no name but those of the subjectAltName.
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the server's certificate carries no name (no subjectAltName); give the server one that \
             carries its name (`openssl req -addext subjectAltName=DNS:NAME`), or set \
             ALLOW_ANY_SERVER_NAME to believe any server of the authorities in TLS_CA_BUNDLE"
                .into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "the server's certificate is not for {expected:?} but for {}; write a name it carries \
             into the secret's \"host\", or set TLS_SERVER_NAME",
            list(presented)
        ),
        CertificateError::Expired => "the server's certificate has expired; renew it".into(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "the server's certificate expired {} days ago; renew it",
                days(*not_after, *time)
            )
        }
        CertificateError::NotValidYet => "the server's certificate is not valid yet".into(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid yet, but in {} days; look at both clocks",
            days(*time, *not_before)
        ),
        // webpki does not export the type behind this one; its name is part of its Debug text.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server presents an authority's certificate as its own (self-signed with CA:TRUE), \
             which cannot be verified; give it one signed by an authority"
                .into()
        }
        other => rustls::Error::InvalidCertificate(other.clone()).to_string(),
    }
}

fn unknown_issuer(expected: &str) -> String {
    let signed = "the server's certificate is signed by an authority that is not trusted; ";
    match roots::uncovered_region(expected) {
        Some(region) => format!(
            "{signed}this build has no Amazon RDS roots of the Region {region}: name AWS's bundle for \
             that Region in TLS_CA_BUNDLE, or run scripts/update-rds-roots, build and deploy again"
        ),
        None => {
            format!("{signed}name a PEM file with that authority's certificate in TLS_CA_BUNDLE")
        }
    }
}

/// The first few names of a certificate. rustls gives a DNS name as `DnsName("db.example")`.
fn list(presented: &[String]) -> String {
    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).escape_debug().to_string();
    presented.iter().take(5).map(bare).collect::<Vec<_>>().join(", ")
}

fn days(earlier: UnixTime, later: UnixTime) -> u64 {
    later.as_secs().saturating_sub(earlier.as_secs()).div_ceil(24 * 60 * 60)
}

#[cfg(test)]
mod tests;
