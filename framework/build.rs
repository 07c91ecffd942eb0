//! Makes Amazon RDS's roots ready to be trusted: of each certificate the parts that a verifier wants,
//! as Rust. Parsed in a function they would cost every step that connects 5.7 million instructions.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// One bundle for each partition of AWS. Those that are not there are built without.
const BUNDLES: [&str; 3] = ["rds-ca/aws.pem", "rds-ca/aws-us-gov.pem", "rds-ca/aws-cn.pem"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=rds-ca");
    let mut text = String::from("&[\n");
    let mut regions = BTreeSet::new();
    for bundle in BUNDLES.iter().filter(|path| Path::new(path).exists()) {
        for certificate in CertificateDer::pem_file_iter(bundle)? {
            let certificate = certificate?;
            let anchor = webpki::anchor_from_trusted_cert(&certificate)?;
            regions.extend(region(&String::from_utf8_lossy(&anchor.subject)));
            let subject = anchor.subject.escape_ascii();
            let key = anchor.subject_public_key_info.escape_ascii();
            let constraints = match &anchor.name_constraints {
                Some(constraints) => {
                    format!("Some(Der::from_slice(b\"{}\"))", constraints.escape_ascii())
                }
                None => "None".to_owned(),
            };
            writeln!(
                text,
                "TrustAnchor {{ subject: Der::from_slice(b\"{subject}\"), \
                 subject_public_key_info: Der::from_slice(b\"{key}\"), \
                 name_constraints: {constraints} }},"
            )?;
        }
    }
    text.push(']');
    let folder = std::env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("rds_roots.rs"), text)?;
    let regions: Vec<_> = regions.into_iter().collect();
    std::fs::write(Path::new(&folder).join("rds_regions.rs"), format!("&{regions:?}"))?;
    Ok(())
}

/// The Region of a root named `Amazon RDS REGION Root CA ...`; those of AWS's own test Regions have
/// a word before it.
fn region(subject: &str) -> Option<String> {
    let (_, rest) = subject.split_once("Amazon RDS ")?;
    let (region, _) = rest.split_once(" Root CA ")?;
    (!region.contains(' ')).then(|| region.to_owned())
}
