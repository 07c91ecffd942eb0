//! One request and its answer, over a connection of its own.

use std::time::Duration;

use fourstep::net::{TlsSettings, connect_tcp, handshake, within};
use fourstep::{Error, ErrorKind, Invocation, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, LINK, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;
use crate::items::Items;

/// The longest wait for one answer.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// The longest answer that is read. A vendor's page of keys is a few kilobytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What a vendor answered. There may be a key in it: nothing of the body is ever shown.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    /// The first word of its type, if that is a plain one.
    pub(crate) content_type: Option<String>,
    /// How long to wait, as the vendor says it.
    pub(crate) retry_after: Option<Duration>,
    /// The URL of the next page, by a `Link` header (RFC 8288).
    pub(crate) next: Option<String>,
    /// What must stand in it, as its request says.
    pub(crate) expected: Vec<Expected>,
}

/// What must stand at a place of an answer.
pub(crate) struct Expected {
    pub(crate) pointer: String,
    pub(crate) value: Value,
    /// The placeholder that the value was taken from.
    pub(crate) from: Option<String>,
}

/// Sends a request and reads the answer. Redirects are answers: nobody follows them.
///
/// # Errors
/// Those of connecting; [`ErrorKind::Unreachable`] if the connection breaks or nothing comes;
/// [`ErrorKind::Unsupported`] if the answer is too long; [`ErrorKind::OutOfTime`].
pub(crate) async fn exchange(
    address: &Address,
    tls: &TlsSettings,
    request: Request<Full<Bytes>>,
    items: Option<&mut Items<'_>>,
    cx: &Invocation,
) -> Result<Answer> {
    let stream = connect_tcp(&address.host, address.port, cx).await?;
    let what = format!("a request to {}", address.authority());
    if address.tls {
        let stream = handshake(stream, &address.host, tls, cx).await?;
        within(cx, &what, ANSWER_TIME, converse(stream, request, items)).await.flatten()
    } else {
        within(cx, &what, ANSWER_TIME, converse(stream, request, items)).await.flatten()
    }
}

async fn converse<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    items: Option<&mut Items<'_>>,
) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|cause| broken(&cause))?;
    let mut connection = std::pin::pin!(connection);
    let talk = async move {
        let response = sender.send_request(request).await.map_err(|cause| broken(&cause))?;
        read(response, items).await
    };
    let mut talk = std::pin::pin!(talk);
    // The connection has to be driven for the talk to go on; it may end first, as after
    // `Connection: close`, and what it read is still there.
    tokio::select! {
        biased;
        answer = &mut talk => answer,
        _ = &mut connection => talk.await,
    }
}

async fn read(response: Response<Incoming>, items: Option<&mut Items<'_>>) -> Result<Answer> {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header(CONTENT_TYPE).and_then(plain_type);
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS => header(RETRY_AFTER).and_then(|text| text.parse().ok()),
        _ => None,
    };
    let links = response.headers().get_all(LINK).iter();
    let next = links.filter_map(|value| value.to_str().ok()).find_map(next_link);
    let body = match items {
        Some(items) if status.is_success() => in_pieces(response.into_body(), items).await?,
        _ => whole(response.into_body()).await?,
    };
    Ok(Answer {
        next,
        expected: Vec::new(),
        status: status.as_u16(),
        body,
        content_type,
        retry_after: retry_after.map(Duration::from_secs),
    })
}

fn broke() -> Error {
    Error::new(ErrorKind::Unreachable, "the connection broke in the answer")
}

async fn whole(body: Incoming) -> Result<Bytes> {
    match Limited::new(body, LONGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(cause) if cause.is::<http_body_util::LengthLimitError>() => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the answer is longer than {LONGEST_ANSWER} bytes, which is not read"),
        )),
        Err(_) => Err(broke()),
    }
}

async fn in_pieces(mut body: Incoming, items: &mut Items<'_>) -> Result<Bytes> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(|_| broke())?.into_data() {
            items.feed(&bytes)?;
        }
    }
    Ok(items.rest().into())
}

/// The URL that a `Link` header calls `next`, if it does: `<URL>; rel="next"`.
fn next_link(header: &str) -> Option<String> {
    let mut links = header.split('<').skip(1).filter_map(|one| one.split_once('>'));
    let is_next = |parameters: &str| {
        let mut all = parameters.trim_end_matches([',', ' ']).split(';').map(str::trim);
        let rel = all.find_map(|one| one.strip_prefix("rel="));
        // Okta and Sentry say so of a page that is empty: `results="false"`.
        let none = parameters.contains("results=\"false\"");
        !none && rel.is_some_and(|rel| rel.trim_matches('"').split(' ').any(|one| one == "next"))
    };
    links.find(|(_, parameters)| is_next(parameters)).map(|(url, _)| url.to_owned())
}

/// A content type as it may stand in an error: a server that was sent a key may put it anywhere.
fn plain_type(text: &str) -> Option<String> {
    const KNOWN: [&str; 6] = [
        "application/json",
        "application/problem+json",
        "application/xml",
        "text/html",
        "text/plain",
        "text/xml",
    ];
    let first = text.split(';').next()?.trim().to_ascii_lowercase();
    KNOWN.contains(&first.as_str()).then_some(first)
}

/// hyper's own words only: those of the other side may repeat what it was sent.
fn broken(cause: &hyper::Error) -> Error {
    let why = match cause {
        cause if cause.is_parse() => "what came is no HTTP",
        cause if cause.is_timeout() => "it took too long",
        _ => "it was closed or reset",
    };
    Error::new(ErrorKind::Unreachable, "the connection broke").caused_by(why)
}

#[cfg(test)]
mod tests {
    use super::next_link;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let page = "https://api.example/keys?page=2";
        for (header, next) in [
            (
                format!("<https://api.example/keys?page=1>; rel=\"prev\", <{page}>; rel=\"next\""),
                true,
            ),
            (format!("<{page}>;rel=next"), true),
            (format!("<{page}>; title=\"x\"; rel=\"last next\""), true),
            (format!("<{page}>; rel=\"next\"; results=\"false\"; cursor=\"0:1:0\""), false),
            (format!("<{page}>; rel=\"self\""), false),
            ("next".to_owned(), false),
        ] {
            assert_eq!(next_link(&header).as_deref(), Some(page).filter(|_| next), "{header}");
        }
    }
}
