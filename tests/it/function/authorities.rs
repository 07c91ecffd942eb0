//! Whom a function trusts when it calls AWS: a Secrets Manager behind TLS, with a certificate that no
//! public authority signed, as a proxy that inspects TLS presents it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fourstep::Step;
use fourstep_cli::events;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Scene, error, function, unused};
use crate::support::skip;

/// The folder of a server's certificate, which names localhost, and of the CA that signed it.
fn certificates() -> Option<PathBuf> {
    let Ok(folder) = std::env::var("FOURSTEP_TEST_MARIADB_DIR") else {
        skip("FOURSTEP_TEST_MARIADB_DIR");
        return None;
    };
    Some(Path::new(&folder).join("tls"))
}

/// Ends TLS before the server at this address; the port it listens on.
async fn tls_before(server: std::net::SocketAddr, certificates: &Path) -> u16 {
    let chain = CertificateDer::pem_file_iter(certificates.join("server.pem")).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.join("server.key")).unwrap();
    let config =
        ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that refuses the certificate leaves in the handshake.
                let Ok(mut near) = acceptor.accept(near).await else { return };
                let mut far = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_bundle_of_authorities_is_trusted_for_aws_and_nobody_else_is() {
    let Some(certificates) = certificates() else { return };
    let scene = Scene::new(&unused(), &[]).await;
    let port = tls_before(scene.server.address(), &certificates).await;
    let bundle = |file: &str| certificates.join(file).display().to_string();
    let (right, other) = (bundle("ca.pem"), bundle("other-ca.pem"));
    let token = scene.begin();
    let event = events::step(Step::Create, &scene.arn, token.as_str());
    let create = async |host: &str, variable: (&str, &str)| {
        let url = format!("https://{host}:{port}");
        let function = function(&url, &[("AWS_MAX_ATTEMPTS", "1"), variable], 30);
        function.invoke(&event).await.unwrap()
    };
    let untrusted = "signed by an authority that is not trusted; name a PEM file with the \
                     authorities to trust for AWS in AWS_CA_BUNDLE";
    for (host, variable, expected) in [
        ("localhost", ("AWS_CA_BUNDLE", ""), untrusted),
        ("localhost", ("AWS_CA_BUNDLE", &*other), untrusted),
        // This one is about databases and vendors.
        ("localhost", ("TLS_CA_BUNDLE", &*right), untrusted),
        // The authority is right and the name is not.
        ("127.0.0.1", ("AWS_CA_BUNDLE", &*right), "not valid for name"),
    ] {
        let invocation = create(host, variable).await;
        let (kind, message) = error(&invocation);
        assert_eq!(kind, "Unreachable", "{message}");
        assert!(message.contains(expected), "{message}");
    }
    assert!(scene.server.calls().is_empty(), "nothing is asked of a server that is not trusted");

    let invocation = create("localhost", ("AWS_CA_BUNDLE", &right)).await;
    assert!(invocation.answer.is_ok(), "{:?}", invocation.answer);
    assert!(!scene.server.calls().is_empty());
}
