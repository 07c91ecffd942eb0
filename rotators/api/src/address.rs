//! Where requests may go: https, and in tests this machine.

use std::net::IpAddr;

/// A URL that requests go to: scheme, host, port and the beginning of every path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Without the slash at its end.
    pub(crate) path: String,
}

impl Address {
    /// Reads a URL; an error says what is wrong with it.
    pub(crate) fn read(url: &str) -> Result<Self, String> {
        // A user's password may stand before an @: it is not repeated.
        let shown = if url.contains('@') { "given" } else { url };
        let refuse = |why: &str| Err(format!("the URL {shown:?} {why}"));
        let Ok(uri) = url.parse::<hyper::Uri>() else { return refuse("cannot be read") };
        let Some(authority) = uri.authority() else { return refuse("names no host") };
        if authority.as_str().contains('@') {
            return refuse("holds a user; credentials stand in [credential]");
        }
        if uri.query().is_some() || url.contains('#') {
            return refuse("holds a query; see query");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            // An address and not a name: nobody's resolver decides where a credential goes.
            Some("http") if host.parse().is_ok_and(|one: IpAddr| one.is_loopback()) => false,
            _ => return refuse("must be https; http is for 127.0.0.1 and [::1] in tests"),
        };
        if host.is_empty() || host.contains(['{', '}']) {
            return refuse("names no host; a host cannot be a placeholder");
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host, port, path })
    }

    /// A URL's path and query, if it is one of this scheme, host and port; else what it is.
    pub(crate) fn same_origin<'u>(&self, url: &'u str) -> &'u str {
        let scheme = if self.tls { "https://" } else { "http://" };
        let begins = |text: &'u str, with: &str| {
            let (first, rest) = text.split_at_checked(with.len())?;
            first.eq_ignore_ascii_case(with).then_some(rest)
        };
        let Some(rest) = begins(url, scheme) else { return url };
        let port = format!(":{}", self.port);
        let plain = self.authority();
        let full = if plain.ends_with(&port) { plain.clone() } else { format!("{plain}{port}") };
        let path = [full, plain].iter().find_map(|host| begins(rest, host));
        path.filter(|path| path.starts_with('/')).unwrap_or(url)
    }

    /// As it stands in a Host header: without the port where that is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_over_tls_or_to_this_machine() {
        let good = Address::read("https://api.example.com/v2/").unwrap();
        assert_eq!((good.tls, good.port, good.path.as_str()), (true, 443, "/v2"));
        assert_eq!(good.authority(), "api.example.com");
        assert_eq!(Address::read("http://127.0.0.1:81").unwrap().authority(), "127.0.0.1:81");
        assert_eq!(Address::read("http://[::1]:81/a").unwrap().authority(), "[::1]:81");
        for (url, path) in [
            ("https://api.example.com/v2/keys?page=2", "/v2/keys?page=2"),
            ("https://API.example.com:443/v2/keys", "/v2/keys"),
            ("/v2/keys", "/v2/keys"),
        ] {
            assert_eq!(good.same_origin(url), path);
        }
        for other in [
            "http://api.example.com/v2/keys",
            "https://api.example.com.evil.example/v2/keys",
            "https://api.example.com@evil.example/v2/keys",
            "https://api.example.com:444/v2/keys",
            "https://evil.example/v2/keys",
            "https://api.example.com",
        ] {
            assert_eq!(good.same_origin(other), other);
        }
        for wrong in [
            "http://api.example.com",
            "http://localhost",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user:word@example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "https://{secret.host}/",
            "example.com",
            "/path",
            "",
        ] {
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
    }
}
