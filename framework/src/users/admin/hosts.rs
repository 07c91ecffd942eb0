//! `SAME_DATABASE_HOSTS`: several names of one database, as the function's owner lists them; and to which
//! servers a password may be sent of which only another server has told.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::net::same_host;
use crate::rds::is_of_rds;
use crate::users::pair::words;
use crate::users::{Login, fields};

pub(in crate::users) const SAME_HOSTS: &str = "SAME_DATABASE_HOSTS";

/// Databases that have several names, as the function's owner lists them in `SAME_DATABASE_HOSTS`.
#[derive(Debug, Default)]
pub struct SameHosts(Vec<Vec<Name>>);

/// One name of a database.
#[derive(Debug)]
struct Name {
    host: String,
    /// The admin's own where it is absent.
    port: Option<u16>,
}

impl SameHosts {
    /// Reads names of one database joined by `=`, databases separated by commas, as
    /// `db.example=db-reader.example=10.0.0.7,other.example:5432=other.example:6432`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the variable.
    pub fn read(environment: &Environment) -> Result<Self> {
        let mut groups: Vec<Vec<Name>> = Vec::new();
        for group in words(environment, SAME_HOSTS)? {
            let names: Option<Vec<Name>> = group.split('=').map(Name::parse).collect();
            let Some(names) = names.filter(|names| names.len() > 1) else {
                let what = "must list names of one database joined by =, as host=host or \
                            host:port=host:port";
                return Err(refused(SAME_HOSTS, what));
            };
            if names.iter().any(|name| groups.iter().flatten().any(|one| one.is(name))) {
                let what = "names a host twice; join all names of one database, as a=b=c";
                return Err(refused(SAME_HOSTS, what));
            }
            groups.push(names);
        }
        Ok(Self(groups))
    }

    /// Whether a name of the admin's server and one of the user's stand in one group. A name without
    /// a port means the admin's port at that host, and no other: a server that somebody else started
    /// there could let in whomever it likes, and would prove any account of the admin's.
    pub(super) fn join(&self, admin: &Login, user: &Login) -> bool {
        let names = |group: &[Name], login: &Login| {
            let of = |name: &Name| name.port.unwrap_or(admin.port) == login.port;
            group.iter().any(|name| of(name) && same_host(&name.host, &login.host))
        };
        self.0.iter().any(|group| names(group, admin) && names(group, user))
    }

    /// The name by which the RDS API knows the server of `login`: its host, or one that is listed beside it.
    /// A name without a port means the login's.
    pub fn name_at_rds<'a>(&'a self, login: &'a Login) -> Option<&'a str> {
        let names = |name: &Name| {
            name.port.unwrap_or(login.port) == login.port && same_host(&name.host, &login.host)
        };
        let group = self.0.iter().filter(|group| group.iter().any(names)).flatten();
        let mut all =
            std::iter::once(login.host.as_str()).chain(group.map(|one| one.host.as_str()));
        all.find(|host| is_of_rds(host))
    }

    /// Whether a password may be sent to the server `to` of which the one that `admin` names, a secret's,
    /// has told. Whoever can make himself listed there must not be sent passwords, so it must be a
    /// place that he cannot have a certificate for from a public authority (a private address, a name
    /// without a dot), one below the secret's host, or one that the function's owner lists, by itself or as a
    /// domain (`db.example.org=*.nodes.example.org`).
    ///
    /// Source: CA/Browser Forum, Baseline Requirements, 4.2.2: no certificates for reserved addresses and
    /// internal names.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], naming the setting.
    pub fn may_go(&self, admin: &Login, to: &Login) -> Result<()> {
        if to.port == 0 || fields::check_host("host", &to.host).is_err() {
            let what =
                format!("{} lists a server that has the user, but not where it is", admin.server());
            return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
                "let each server announce an address and a port, and have those forgotten that are gone",
            ));
        }
        if same_host(&admin.host, &to.host)
            || is_private(&to.host)
            || is_below(&admin.host, &to.host)
            || self.join(admin, to)
            || self.has_domain(admin, to)
        {
            return Ok(());
        }
        let (from, to, port) = (admin.server(), to.server(), to.port);
        let what =
            format!("{from} lists {to}, which is neither private nor below the secret's host");
        Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
            "no password was sent there; if it is right, list it in {SAME_HOSTS}, as {from}={to}, or a domain in which you alone \
             make names, as {from}=*.DOMAIN:{port}"
        )))
    }

    /// Whether the function's owner lists a domain with a name of the admin's server, and `to` is in that. It
    /// is a word about where servers are, and joins no database with another.
    fn has_domain(&self, admin: &Login, to: &Login) -> bool {
        let port = |name: &Name, login: &Login| name.port.unwrap_or(admin.port) == login.port;
        let is = |name: &Name| port(name, admin) && same_host(&name.host, &admin.host);
        let in_it = |name: &Name| {
            let domain = name.host.strip_prefix("*.");
            domain.is_some_and(|domain| port(name, to) && is_below(domain, &to.host))
        };
        self.0.iter().any(|group| group.iter().any(is) && group.iter().any(in_it))
    }
}

/// Whether no public authority certifies this: an address of a private network, or a name without a dot.
/// Source: RFC 1918, 6598, 3927, 4193, 4291.
fn is_private(host: &str) -> bool {
    let local = |address: Ipv6Addr| {
        address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
    };
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || shared
        }
        Ok(IpAddr::V6(address)) => local(address),
        // A number is an address too, by itself and in hexadecimal.
        Err(_) => !host.contains('.') && host.starts_with(|c: char| c.is_ascii_alphabetic()),
    }
}

/// Whether the name `host` is below `known`. Beside it may be strangers: whoever rents a machine is given a name beside
/// that of others (`*.westeurope.cloudapp.azure.com`), with a certificate for it.
fn is_below(known: &str, host: &str) -> bool {
    if known.parse::<IpAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return false;
    }
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let (known, host) = (bare(known), bare(host));
    known.contains('.') && host.strip_suffix(&known).is_some_and(|rest| rest.ends_with('.'))
}

impl Name {
    /// A host, `host:port`, an IPv6 address, or that in brackets with or without a port.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
            // More than one colon stands in an address alone.
            None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|&port: &u16| port != 0)?),
            None => None,
        };
        (!host.is_empty() && !host.contains(['[', ']']))
            .then(|| Self { host: host.to_owned(), port })
    }

    fn is(&self, other: &Self) -> bool {
        self.port == other.port && same_host(&self.host, &other.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(known: &str, to: &str, listed: &str) -> Result<()> {
        let hosts = SameHosts::read(&Environment::from([(SAME_HOSTS, listed)])).unwrap();
        let login = |host: &str| Login::new(host, 6379, "admin", "canary");
        hosts.may_go(&login(known), &login(to))
    }

    #[test]
    fn a_server_may_have_a_name_at_rds() {
        const NAME: &str = "db.abc.us-east-1.rds.amazonaws.com";
        for (host, listed, known) in [
            (NAME, "a=b", true),
            ("db.example", "a=b", false),
            ("db.example", &format!("db.example={NAME}"), true),
            ("db.example", &format!("db.example:6379={NAME}:5432"), true),
            ("db.example", &format!("db.example:5433={NAME}:5432"), false),
        ] {
            let hosts = SameHosts::read(&Environment::from([(SAME_HOSTS, listed)])).unwrap();
            let login = Login::new(host, 6379, "app", "canary");
            assert_eq!(hosts.name_at_rds(&login), known.then_some(NAME), "{host} {listed}");
        }
    }

    #[test]
    fn a_password_goes_to_no_stranger_that_a_server_lists() {
        for (known, to) in [
            ("cache.example.org", "cache.example.org"),
            ("cache.example.org", "10.0.0.7"),
            ("cache.example.org", "100.64.0.1"),
            ("cache.example.org", "fd00::7"),
            ("cache.example.org", "::ffff:192.168.0.1"),
            ("cache.example.org", "node-1"),
            ("cache.example.org", "node-1.cache.example.org"),
            ("10.0.0.6", "10.0.0.7"),
        ] {
            assert_eq!(asked(known, to, "a=b"), Ok(()), "{known} {to}");
        }
        for (known, to) in [
            ("cache.example.org", "8.8.8.8"),
            ("cache.example.org", "2001:4860::8888"),
            ("cache.example.org", "evil.example"),
            ("cache.example.org", "evilexample.org"),
            ("cache.example.org", "node-1.example.org"),
            ("mine.westeurope.cloudapp.azure.com", "other.westeurope.cloudapp.azure.com"),
            ("mine.co.uk", "other.co.uk"),
            ("cache.org", "evil.org"),
            ("8.8.8.7", "8.8.8.8"),
            ("8.8.8.8", "a.8.8.8"),
            ("cache.example.org", "134744072"),
            ("cache.example.org", "0x08080808"),
        ] {
            let error = asked(known, to, "a=b").unwrap_err().to_string();
            assert!(error.contains("no password was sent there"), "{error}");
            assert_eq!(asked(known, to, &format!("{known}={to}")), Ok(()));
        }
        let listed = "cache.example.org=*.Nodes.example.org=*.example.org:7000";
        for (to, port, may) in [
            ("a.nodes.example.org", 6379, true),
            ("a.b.nodes.example.org.", 6379, true),
            ("a.nodes.example.org", 7000, true),
            ("nodes.example.org", 6379, false),
            ("evilnodes.example.org", 6379, false),
            ("a.nodes.example.org", 7001, false),
            ("8.8.8.8", 6379, false),
        ] {
            let hosts = SameHosts::read(&Environment::from([(SAME_HOSTS, listed)])).unwrap();
            let login = |host: &str, port| Login::new(host, port, "admin", "canary");
            let (admin, to) = (login("cache.example.org", 6379), login(to, port));
            assert_eq!(hosts.may_go(&admin, &to).is_ok(), may, "{to:?}");
            // It says nothing about whose database it is.
            assert!(!hosts.join(&admin, &to));
            assert!(hosts.may_go(&login("other.example.org", 6379), &to).is_err());
        }
        for to in ["", "a b", "ca/nary"] {
            let error = asked("cache.example.org", to, "a=b").unwrap_err().to_string();
            assert!(error.contains("not where it is"), "{error}");
        }
    }
}
