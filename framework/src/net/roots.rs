//! The authorities that may sign a server's certificate, none of which is parsed in a function but
//! those that are configured.

use std::fs;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, Der, TrustAnchor};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};

/// Amazon RDS's root certificates, from AWS's trust store of each partition (`rds-ca/`). See build.rs.
static RDS: &[TrustAnchor<'static>] = include!(concat!(env!("OUT_DIR"), "/rds_roots.rs"));

/// The Regions whose roots these are, sorted.
static REGIONS: &[&str] = include!(concat!(env!("OUT_DIR"), "/rds_regions.rs"));

/// The Regions of AWS whose RDS roots this build trusts, sorted.
pub fn rds_regions() -> &'static [&'static str] {
    REGIONS
}

/// The Region of a host by AWS's own name of a database, if this build has no roots for it.
///
/// Names end in `.REGION.rds.amazonaws.com`; in China, the other way round, in
/// `.rds.REGION.amazonaws.com.cn`. DocumentDB's have `docdb` in place of `rds`, and presents what
/// RDS's authorities signed. A global cluster's name has no Region.
pub(super) fn uncovered_region(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let host = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let mut labels = host.rsplit('.');
    let (last, before) = (labels.next()?, labels.next()?);
    let region = match (before, last) {
        (region, "rds" | "docdb") | ("rds" | "docdb", region) => region,
        _ => return None,
    };
    (region != "global" && !REGIONS.contains(&region)).then(|| region.to_owned())
}

/// Amazon RDS's.
pub(super) fn of_rds() -> impl Iterator<Item = TrustAnchor<'static>> {
    RDS.iter().cloned()
}

/// The web's: Mozilla's list.
pub(crate) fn of_the_web() -> impl Iterator<Item = TrustAnchor<'static>> {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned()
}

/// Those of the PEM file whose path this variable holds; `None` if it is absent or empty.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable, if the file cannot be read or holds no
/// certificate.
pub(crate) fn of_bundle(
    environment: &Environment,
    variable: &str,
) -> Result<Option<Vec<TrustAnchor<'static>>>> {
    let Some(path) = environment.text(variable)? else { return Ok(None) };
    let text = fs::read(path).map_err(|cause| {
        refused(variable, "names a file that cannot be read")
            .caused_by(format!("{path:?}: {cause}"))
    })?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| refused(variable, "names a file that is not in PEM format"))?;
    if certificates.is_empty() {
        return Err(refused(variable, "names a file without a PEM certificate"));
    }
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(refused(variable, "names a file in which no certificate can be decoded"));
    }
    Ok(Some(roots.roots))
}

/// What every TLS client here is: these roots, the server verified, no certificate of its own.
///
/// # Errors
/// [`ErrorKind::Internal`] if TLS cannot be set up.
pub(crate) fn client(
    roots: impl IntoIterator<Item = TrustAnchor<'static>>,
) -> Result<ClientConfig> {
    // The provider is passed, not installed: a process default would be decided by whoever comes
    // first.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| cannot_set_up(&cause))?;
    Ok(builder.with_root_certificates(RootCertStore::from_iter(roots)).with_no_client_auth())
}

/// The error of TLS that cannot begin, whoever the server is.
pub(crate) fn cannot_set_up(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "cannot set up TLS").caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bundle: &[u8]) -> Result<Option<Vec<TrustAnchor<'static>>>> {
        let path = std::env::temp_dir().join(format!(
            "fourstep-bundle-{}-{:?}.pem",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::write(&path, bundle).unwrap();
        let environment = Environment::from([("BUNDLE", path.to_str().unwrap())]);
        let roots = of_bundle(&environment, "BUNDLE");
        fs::remove_file(&path).unwrap();
        roots
    }

    #[test]
    fn a_bundle_that_cannot_serve_is_refused_by_name() {
        for (bundle, expected) in [
            ("", "names a file without a PEM certificate"),
            ("hello", "names a file without a PEM certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "names a file in which no certificate can be decoded",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n",
                "names a file that is not in PEM format",
            ),
        ] {
            let error = read(bundle.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert_eq!(error.to_string(), format!("the environment variable BUNDLE {expected}"));
        }
        let absent = Environment::from([("BUNDLE", "/nowhere/bundle.pem")]);
        let error = of_bundle(&absent, "BUNDLE").unwrap_err().to_string();
        assert!(error.contains("BUNDLE names a file that cannot be read: \"/"), "{error}");
        assert_eq!(of_bundle(&Environment::default(), "BUNDLE").unwrap(), None);
    }

    #[test]
    fn what_was_made_of_rds_roots_at_build_time_is_what_their_certificates_say() {
        let mut parsed = Vec::new();
        for partition in ["aws", "aws-us-gov", "aws-cn"] {
            let path = format!("{}/rds-ca/{partition}.pem", env!("CARGO_MANIFEST_DIR"));
            let Ok(bundle) = fs::read(path) else { continue };
            parsed.extend(read(&bundle).unwrap().unwrap());
        }
        assert!(parsed.len() >= 87, "{}", parsed.len());
        assert_eq!(of_rds().collect::<Vec<_>>(), parsed);
    }

    /// The Regions of which the first bundle had roots: an update may add to them only.
    #[test]
    fn every_region_that_was_ever_covered_is() {
        for region in ["af-south-1", "ap-southeast-4", "eu-central-2", "me-central-1", "us-west-2"]
        {
            assert!(rds_regions().contains(&region), "{region}");
        }
        assert!(rds_regions().len() >= 27 && rds_regions().is_sorted(), "{:?}", rds_regions());
    }

    #[test]
    fn a_region_without_roots_is_known_by_every_form_of_a_host_s_name() {
        for (host, region) in [
            ("db.c1a2b3.xx-north-9.rds.amazonaws.com", Some("xx-north-9")),
            ("DB.cluster-ro-c1a2b3.XX-North-9.RDS.amazonaws.com.", Some("xx-north-9")),
            (
                "reports.proxy-read-c1.endpoint.proxy-c1.xx-north-9.rds.amazonaws.com",
                Some("xx-north-9"),
            ),
            ("docs.cluster-c1a2b3.xx-north-9.docdb.amazonaws.com", Some("xx-north-9")),
            ("db.c1a2b3.rds.cn-north-9.amazonaws.com.cn", Some("cn-north-9")),
            ("docs.cluster-c1a2b3.docdb.cn-north-9.amazonaws.com.cn", Some("cn-north-9")),
            ("db.c1a2b3.cn-north-9.rds.amazonaws.com.cn", Some("cn-north-9")),
            ("db.c1a2b3.us-east-1.rds.amazonaws.com", None),
            ("world.global-c1a2b3.global.rds.amazonaws.com", None),
            ("db.example", None),
            ("rds.amazonaws.com", None),
            ("secretsmanager.xx-north-9.amazonaws.com", None),
            ("db.xx-north-9.rds.amazonaws.com.example", None),
            ("10.0.0.1", None),
        ] {
            assert_eq!(uncovered_region(host).as_deref(), region, "{host}");
        }
    }

    /// Source: Amazon Trust Services, "Certification authorities" (the repository's page).
    #[test]
    fn the_authorities_of_aws_s_endpoints_are_among_the_web_s() {
        let subjects: Vec<_> =
            of_the_web().map(|root| root.subject.escape_ascii().to_string()).collect();
        for name in [
            "Amazon Root CA 1",
            "Amazon Root CA 2",
            "Amazon Root CA 3",
            "Amazon Root CA 4",
            "Starfield Services Root Certificate Authority - G2",
        ] {
            assert!(subjects.iter().any(|subject| subject.ends_with(name)), "{name}");
        }
    }
}
