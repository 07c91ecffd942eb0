//! How a call ends whatever the other side does, and that a connection is kept.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Option<Duration> = Some(Duration::from_millis(100));
const NO_LIMITS: Limits = Limits { connect: None, read: None };

/// A server that reads each request and answers it so, if at all; and how many connections it had.
async fn server(answer: Option<&'static str>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                    if let Some(answer) = answer {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (port, connections)
}

fn pool(limits: Limits) -> Pool {
    Pool::new(Arc::new(roots::client(roots::of_the_web()).unwrap()), limits)
}

async fn call(pool: &Pool, url: &str) -> Result<HttpResponse, ConnectorError> {
    pool.call(HttpRequest::get(url).unwrap()).await
}

#[tokio::test]
async fn silence_ends_at_the_limit_that_it_belongs_to() {
    let (port, _) = server(None).await;
    for (scheme, limits) in [
        ("https", Limits { connect: SOON, read: None }),
        ("http", Limits { connect: None, read: SOON }),
    ] {
        let error = call(&pool(limits), &format!("{scheme}://127.0.0.1:{port}/")).await;
        assert!(error.unwrap_err().is_timeout(), "{scheme}");
    }
}

#[tokio::test]
async fn what_may_succeed_the_next_time_is_told_from_what_may_not() {
    let error = call(&pool(NO_LIMITS), "http://127.0.0.1:1/").await.unwrap_err();
    assert!(error.is_io(), "{error}");
    // No TLS is spoken there.
    let (port, _) = server(Some("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let error = call(&pool(NO_LIMITS), &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(error.is_io(), "{error}");
    assert!(cause::<rustls::Error>(&error).is_some(), "{error}");
    let (port, _) = server(Some("nothing of HTTP\r\n\r\n")).await;
    let error = call(&pool(NO_LIMITS), &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(!error.is_io() && !error.is_timeout(), "{error}");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_call() {
    let (port, connections) = server(Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")).await;
    let (pool, url) = (pool(NO_LIMITS), format!("http://127.0.0.1:{port}/"));
    for _ in 0..3 {
        let answer = call(&pool, &url).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let body = aws_smithy_types::byte_stream::ByteStream::new(answer.into_body());
        assert_eq!(body.collect().await.unwrap().into_bytes(), "{}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
