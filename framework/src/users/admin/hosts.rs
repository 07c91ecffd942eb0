//! `SAME_DATABASE_HOSTS`: several names of one database, as the function's owner lists them.

use crate::config::{Environment, refused};
use crate::error::Error;
use crate::net::same_host;
use crate::users::Login;
use crate::users::pair::words;

pub(super) const SAME_HOSTS: &str = "SAME_DATABASE_HOSTS";

/// Databases that have several names.
#[derive(Debug)]
pub(super) struct SameHosts(Vec<Vec<Name>>);

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
    pub(super) fn read(environment: &Environment) -> Result<Self, Error> {
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
