//! Where `fourstep serve` listens, as people write it, and what they should know about it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fourstep_local::serve;
use tokio::net::TcpListener;

/// An address to listen on. Without one, this machine alone reaches it: what other programs take for "every
/// network" must be written out here.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = || {
        "takes ADDRESS:PORT, localhost:PORT, :PORT or PORT; without an address it is 127.0.0.1, and 0 is any \
         port that is free"
            .to_owned()
    };
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port: u16 = port.parse().map_err(|_| wrong())?;
    match host {
        "" | "localhost" => Ok((Ipv4Addr::LOCALHOST, port).into()),
        _ => Err(wrong()),
    }
}

/// A name that a Host may have.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match text {
        "*" => {
            Err("takes one name: with every name allowed, a web page could read the secrets".into())
        }
        name if !name.is_empty() && name.len() <= 253 && name.bytes().all(of_name) => {
            Ok(name.to_owned())
        }
        _ => Err("takes the name of a host, without a port, such as a service's of Docker Compose"
            .into()),
    }
}

/// Binds it, and says what to do where the port is taken.
pub(crate) async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    serve::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => io::Error::new(
            error.kind(),
            format!(
                "{error}. Another `fourstep serve` may have it; choose another port with --listen, such as \
                 --listen {}, or one that is free with --listen 0",
                listen.port().saturating_add(1)
            ),
        ),
        _ => error,
    })
}

/// The address at which this machine reaches it.
pub(crate) fn reached(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// What is said where every network reaches it.
pub(crate) fn warning(address: SocketAddr) -> Option<String> {
    address.ip().is_unspecified().then(|| {
        format!(
            "warning: {address} is reached from every network of this machine, and whoever reaches it can read \
             every secret in it; `--listen {}` is for this machine alone",
            address.port()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{address, host, reached};

    #[test]
    fn an_address_is_what_people_write() {
        for (text, expected) in [
            ("127.0.0.1:4567", "127.0.0.1:4567"),
            ("localhost:4567", "127.0.0.1:4567"),
            (":4567", "127.0.0.1:4567"),
            ("4567", "127.0.0.1:4567"),
            ("0", "127.0.0.1:0"),
            ("0.0.0.0:4567", "0.0.0.0:4567"),
            ("[::]:4567", "[::]:4567"),
            ("172.17.0.1:0", "172.17.0.1:0"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", ":", "localhost", "127.0.0.1", "example.com:1", "::1:1", "70000", "-1"] {
            assert!(address(text).unwrap_err().contains("ADDRESS:PORT"), "{text}");
        }
        for (bound, own) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("172.17.0.1:1", "172.17.0.1:1")]
        {
            assert_eq!(reached(bound.parse().unwrap()).to_string(), own);
        }
    }

    #[test]
    fn a_host_is_one_name() {
        for name in ["secrets", "secrets.internal", "my_service-1"] {
            assert_eq!(host(name).unwrap(), name);
        }
        for text in ["*", "", "a b", "secrets:4566", "http://secrets", "a,b"] {
            host(text).unwrap_err();
        }
    }
}
