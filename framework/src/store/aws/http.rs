//! The HTTPS client under the AWS SDK's clients.
//!
//! Not the SDK's own (aws-smithy-http-client): whenever a client is made, that one reads and parses
//! the operating system's certificates, twenty million instructions before the first event, and it
//! can be given no others but as PEM. Time limits, connections kept for the next call, and one that
//! failed given up are as there; HTTP/2 is not spoken.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http_body_util::Limited;
use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{
    CaptureConnection, HttpConnector as Tcp, capture_connection,
};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{error::Elapsed, timeout};
use tower_service::Service;

use crate::config::Environment;
use crate::error::Result;
use crate::net::roots;

/// As every AWS SDK that has one names it: "Specifies the path to a custom certificate bundle" (AWS
/// SDKs and Tools Reference Guide, "ca_bundle").
pub(super) const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The most of an answer that is read, in bytes: more than any of AWS's is, and a small part of a function's
/// memory. What answers more is not AWS.
const LONGEST: usize = 8 * 1024 * 1024;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The HTTPS client of [`AwsStore`](super::AwsStore), for a rotator whose vendor is AWS too.
///
/// It trusts Mozilla's list of authorities, which is built in; or, as in other AWS SDKs, those of the
/// PEM file that `AWS_CA_BUNDLE` names and no others.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`], naming the variable, if the file cannot be read or holds no
/// certificate.
///
/// ```
/// use fourstep::{Environment, store::aws::http_client};
///
/// http_client(&Environment::default()).unwrap();
/// let nowhere = Environment::from([("AWS_CA_BUNDLE", "/nowhere/bundle.pem")]);
/// assert!(http_client(&nowhere).unwrap_err().to_string().contains("AWS_CA_BUNDLE"));
/// ```
pub fn http_client(environment: &Environment) -> Result<SharedHttpClient> {
    Ok(SharedHttpClient::new(Https { tls: tls(environment)?, pools: Mutex::default() }))
}

/// One pool of connections of the same client, for requests that are signed without an SDK's client:
/// `connect` bounds name, address and TLS together, `read` a call until the first of its answer.
///
/// # Errors
/// As for [`http_client`].
pub fn http_connector(
    environment: &Environment,
    connect: Duration,
    read: Duration,
) -> Result<SharedHttpConnector> {
    let limits = Limits { connect: Some(connect), read: Some(read) };
    Ok(SharedHttpConnector::new(Pool::new(tls(environment)?, limits)))
}

fn tls(environment: &Environment) -> Result<Arc<ClientConfig>> {
    let mut tls = match roots::of_bundle(environment, CA_BUNDLE)? {
        Some(bundle) => roots::client(bundle),
        None => roots::client(roots::of_the_web()),
    }?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// The limits of the SDK's client that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// For name, address and TLS together.
    connect: Option<Duration>,
    /// For a call until the first of its answer.
    read: Option<Duration>,
}

/// One pool of connections for all clients that have the same limits.
#[derive(Debug)]
struct Https {
    tls: Arc<ClientConfig>,
    pools: Mutex<Vec<(Limits, SharedHttpConnector)>>,
}

impl HttpClient for Https {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limits = Limits { connect: settings.connect_timeout(), read: settings.read_timeout() };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(of, _)| *of == limits) {
            return pool.clone();
        }
        let pool = SharedHttpConnector::new(Pool::new(Arc::clone(&self.tls), limits));
        pools.push((limits, pool.clone()));
        pool
    }
}

#[derive(Debug)]
struct Pool {
    client: Client<Connect, SdkBody>,
    read: Option<Duration>,
}

impl Pool {
    fn new(tls: Arc<ClientConfig>, limits: Limits) -> Self {
        let mut tcp = Tcp::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connect = Connect { https: (tcp, tls).into(), limit: limits.connect };
        let client =
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connect);
        Self { client, read: limits.read }
    }
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        // For the SDK to give up the connection that a failure came over.
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || metadata(&connection));
        }
        let (answer, read) = (self.client.request(request), self.read);
        HttpConnectorFuture::new(async move {
            let answer = within(read, async { answer.await.map_err(BoxError::from) }).await;
            let answer = answer.map_err(failed)?;
            let body = |body| SdkBody::from_body_1_x(Limited::new(body, LONGEST));
            HttpResponse::try_from(answer.map(body))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn metadata(connection: &CaptureConnection) -> Option<ConnectionMetadata> {
    connection.connection_metadata().as_ref()?;
    let captured = connection.clone();
    let poison = move || {
        if let Some(connection) = captured.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    Some(ConnectionMetadata::builder().proxied(false).poison_fn(poison).build())
}

/// TCP and TLS, within the limit for both.
#[derive(Debug, Clone)]
struct Connect {
    https: HttpsConnector<Tcp>,
    limit: Option<Duration>,
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(within(self.limit, self.https.call(to)))
    }
}

async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    match limit {
        Some(limit) => timeout(limit, work).await?,
        None => work.await,
    }
}

/// What a failure is to the SDK, which repeats a call that may succeed the next time.
fn failed(error: BoxError) -> ConnectorError {
    if cause::<Elapsed>(&*error).is_some() {
        return ConnectorError::timeout(error);
    }
    if cause::<ClientError>(&*error).is_some_and(ClientError::is_connect) {
        return ConnectorError::io(error);
    }
    match cause::<hyper::Error>(&*error) {
        Some(hyper) if hyper.is_user() => ConnectorError::user(error),
        Some(hyper) if hyper.is_incomplete_message() => {
            ConnectorError::other(error, Some(ErrorKind::TransientError))
        }
        Some(hyper) if hyper.is_closed() || hyper.is_canceled() => ConnectorError::io(error),
        _ if cause::<io::Error>(&*error).is_some() => ConnectorError::io(error),
        _ => ConnectorError::other(error, None),
    }
}

/// The first cause of this type.
pub(super) fn cause<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an io::Error holds is no source of it, but that one's source is.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;
