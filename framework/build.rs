//! Makes Amazon RDS's roots ready to be trusted: of each certificate the parts that a verifier wants,
//! as Rust. Parsed in a function they would cost every step that connects 5.7 million instructions.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const CERTIFICATES: &str = "rds-ca/global-bundle.pem";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CERTIFICATES}");
    let mut text = String::from("&[\n");
    for certificate in CertificateDer::pem_file_iter(CERTIFICATES)? {
        let certificate = certificate?;
        let anchor = webpki::anchor_from_trusted_cert(&certificate)?;
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
    text.push(']');
    let folder = std::env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("rds_roots.rs"), text)?;
    Ok(())
}
