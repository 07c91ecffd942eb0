//! TLS to a server whose certificate carries no name that fits: its authority is verified, its name is
//! not. Whoever has a certificate of that authority can take the server's place.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as Refusal, RootCertStore,
    SignatureScheme,
};

use crate::error::Result;
use crate::net::roots;

#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Refusal> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last: everything else was found good.
            Err(Refusal::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Refusal> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Refusal> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The settings of a client that believes these authorities and no other.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if TLS cannot be set up.
pub(super) fn client(bundle: &[TrustAnchor<'static>]) -> Result<ClientConfig> {
    let anchors = bundle.iter().cloned();
    let mut client = roots::client(anchors.clone())?;
    let provider = Arc::clone(client.crypto_provider());
    let roots = Arc::new(RootCertStore::from_iter(anchors));
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
    let verifier = verifier.map_err(|cause| roots::cannot_set_up(&cause))?;
    client.dangerous().set_certificate_verifier(Arc::new(AnyName(verifier)));
    Ok(client)
}
