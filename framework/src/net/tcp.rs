//! A name, its addresses, and the first of them that takes a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::{connect_time, within};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

/// Connects to the first address of `host` that answers, and counts the connection.
///
/// Of [`connect_time`] each address that is left is given its share.
/// `TCP_NODELAY` is set, because what follows are short questions and answers.
///
/// # Errors
/// [`ErrorKind::Unreachable`] if the name does not resolve, or if no address takes a connection;
/// then the message lists what each address did. [`ErrorKind::OutOfTime`] if the invocation's time ended.
pub async fn connect_tcp(host: &str, port: u16, cx: &Invocation) -> Result<TcpStream> {
    let addresses = resolve(host, port, cx).await?;
    let (mut failures, count) = (Vec::new(), addresses.len());
    for address in addresses {
        let left = cx.deadline().remaining();
        if left.is_zero() {
            return Err(failed(ErrorKind::OutOfTime, host, port, &failures)
                .caused_by("the function's time is used up"));
        }
        let others = u32::try_from(count - failures.len()).unwrap_or(1).max(1);
        let most = (connect_time(cx) / others).min(left);
        match tokio::time::timeout(most, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                cx.count_connection();
                // Without it the stream works as well, only later.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(cause)) => failures.push(format!("{}: {}", address.ip(), explain(&cause))),
            Err(_) => failures.push(format!("{}: {}", address.ip(), silence(most))),
        }
    }
    Err(failed(ErrorKind::Unreachable, host, port, &failures))
}

async fn resolve(host: &str, port: u16, cx: &Invocation) -> Result<Vec<SocketAddr>> {
    let attempted = || format!("cannot resolve host {host:?}");
    let looked_up = within(cx, "a name lookup", connect_time(cx), lookup_host((host, port)))
        .await
        .map_err(|error| error.while_doing(attempted()))?;
    // The resolver's own text names no address and differs between systems: it is kept as the
    // cause, behind what to look at.
    let addresses: Vec<SocketAddr> = looked_up
        .map_err(|cause| Error::new(ErrorKind::Unreachable, attempted()).caused_by(cause))?
        .collect();
    if addresses.is_empty() {
        return Err(
            Error::new(ErrorKind::Unreachable, attempted()).caused_by("the name has no address")
        );
    }
    Ok(addresses)
}

fn failed(kind: ErrorKind, host: &str, port: u16, failures: &[String]) -> Error {
    let error = Error::new(kind, format!("cannot connect to {host:?} port {port}"));
    if failures.is_empty() { error } else { error.caused_by(failures.join("; ")) }
}

fn silence(waited: Duration) -> String {
    format!(
        "no answer within {:.1} s (look at security groups, network ACLs and routes)",
        waited.as_secs_f64()
    )
}

fn explain(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused (nothing listens there)".into(),
        io::ErrorKind::TimedOut => "connection timed out (look at security groups)".into(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route to this address".into()
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            "connection reset".into()
        }
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invocation::Deadline;
    use tokio::net::{TcpListener, TcpSocket};

    fn invocation() -> Invocation {
        Invocation::new(Deadline::after(Duration::from_secs(60)))
    }

    #[tokio::test]
    async fn a_connection_is_counted_and_a_refusal_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cx = invocation();
        let stream = connect_tcp("127.0.0.1", port, &cx).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(cx.stats().connections, 1);

        // It keeps its port, so that nobody else listens there.
        let unheard = TcpSocket::new_v4().unwrap();
        unheard.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = unheard.local_addr().unwrap().port();
        let error = connect_tcp("127.0.0.1", port, &cx).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot connect to \"127.0.0.1\" port {port}: \
                 127.0.0.1: connection refused (nothing listens there)"
            )
        );
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert_eq!(cx.stats().connections, 1);
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_says_so() {
        let error = connect_tcp("nowhere.invalid", 5432, &invocation()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(
            error.to_string().starts_with("cannot resolve host \"nowhere.invalid\""),
            "{error}"
        );
    }

    #[tokio::test]
    async fn nothing_is_tried_after_the_deadline() {
        let over = Invocation::new(Deadline::after(Duration::ZERO));
        let error = connect_tcp("127.0.0.1", 9, &over).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfTime);
    }
}
