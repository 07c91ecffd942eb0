//! A host that the secret names, of those that the specification lists, and no other.

use std::net::IpAddr;

use fourstep::{Error, ErrorKind, Result, Secret};

use crate::address::Address;
use crate::spec::{Document, Values};

/// What stands before the host, the secret's field that names it, and what stands behind, where a URL
/// has such a host: `https://{secret.FIELD}/v2`.
pub(crate) fn chosen(url: &str) -> Option<[&str; 3]> {
    let (scheme, rest) = url.split_once("{secret.")?;
    let (field, path) = rest.split_once('}')?;
    let whole =
        ["https://", "http://"].contains(&scheme) && matches!(path.get(..1), None | Some("/"));
    (whole && !field.is_empty()).then_some([scheme, field, path])
}

/// The field that names the host.
fn field(document: &Document) -> Option<&str> {
    chosen(&document.base_url).map(|[_, field, _]| field)
}

/// What is wrong with a URL of a specification.
pub(crate) fn complaint(url: &str, document: &Document) -> Option<String> {
    let told = |what: &str| Some(what.to_owned());
    let whole = "a URL takes a host from the secret, as https://{secret.FIELD} with hosts, and nothing else";
    let [scheme, named, path] = match chosen(url) {
        Some([.., path]) if path.contains(['{', '}']) => return told(whole),
        None if url.contains(['{', '}']) => return told(whole),
        None => return Address::read(url).err(),
        Some(parts) => parts,
    };
    let secret = &document.secret;
    let answered = document.issue.iter().flat_map(|issue| issue.answer.fields.keys());
    let mut rotated = [&secret.key, &secret.id].into_iter().chain(answered);
    if document.hosts.is_empty() {
        told("hosts must list those that a secret may name: hosts = [\"api.example.com\"]")
    } else if secret.plain_text || field(document) != Some(named) {
        told("a secret names its host in one field, which stands in the first base_url")
    } else if rotated.any(|one| one == named) {
        Some(format!("a rotation sets {named:?}, so it cannot name the host"))
    } else {
        let read = |host: &String| Address::read(&format!("{scheme}{host}{path}")).err();
        document.hosts.iter().filter(|host| is_plain(host)).find_map(read)
    }
}

/// What is wrong with the list of hosts.
pub(crate) fn listed(document: &Document) -> Option<String> {
    if !document.hosts.is_empty() && field(document).is_none() {
        let what = "hosts needs a base_url that takes one of them: \"https://{secret.host}\"";
        return Some(what.to_owned());
    }
    let strange = document.hosts.iter().find(|host| !is_plain(host))?;
    Some(format!(
        "{strange:?} in hosts is no host as a secret names it, letter by letter: \"api.example.com\" or \
         \"api.example.com:8443\", in small letters, IDN as xn--. There are no patterns: whoever may \
         write the secret could have a name that one fits"
    ))
}

/// Whether a host is written in the one way in which a secret may name it.
fn is_plain(host: &str) -> bool {
    let legal = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(legal);
    // A resolver takes 2130706433 and 0x7f.1 for addresses.
    let is_number = |label: &str| label.starts_with(|one: char| one.is_ascii_digit());
    let read = Address::read(&format!("https://{host}"));
    read.is_ok_and(|one| {
        let is_name =
            one.host.split('.').all(is_label) && !one.host.rsplit('.').take(1).any(is_number);
        let is_ip = one.host.parse().is_ok_and(|ip: IpAddr| ip.to_string() == one.host);
        (is_name || is_ip) && one.path.is_empty() && one.authority() == host
    })
}

/// Where a URL leads with the host that the secret names, which an admin's secret must name too: whoever
/// may write the rotated one does not choose where the admin's credential goes.
///
/// # Errors
/// [`ErrorKind::Malformed`] or [`ErrorKind::Mismatch`], naming the field and not what it holds.
pub(crate) fn address(url: &str, document: &Document, values: &Values<'_>) -> Result<Address> {
    let read =
        |url: &str| Address::read(url).map_err(|what| Error::new(ErrorKind::Malformed, what));
    let Some(field) = field(document) else { return read(url) };
    let host = values.secret.document()?.required(field)?;
    if !document.hosts.iter().any(|one| one == host) {
        let what = format!("the secret's field {field:?} names none of the specification's hosts");
        return Err(Error::new(ErrorKind::Malformed, what).caused_by(format!(
            "nothing was sent; write one there as it stands in hosts: {}",
            document.hosts.join(", ")
        )));
    }
    if let Some(admin) = values.admin {
        let own = admin.document().and_then(|one| one.required(field));
        if own.map_err(|error| error.while_doing("the admin's secret"))? != host {
            let what = format!("the admin's secret has another {field:?} than the rotated one");
            return Err(Error::new(ErrorKind::Mismatch, what).caused_by(
                "its credential goes to its own host only, and was not sent: correct that field in one of \
                 them, or name the admin of that host in ADMIN_SECRET",
            ));
        }
    }
    match chosen(url) {
        Some([scheme, _, path]) => read(&format!("{scheme}{host}{path}")),
        None => read(url),
    }
}

/// Whether two secrets are about one host: an id says nothing of a key at another.
pub(crate) fn alike(document: &Document, one: &Secret, other: &Secret) -> bool {
    let host = |secret: &Secret| {
        let named = secret.document().ok()?.field(field(document)?)?.clone();
        Some(named)
    };
    host(one) == host(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_08_a_host_of_the_list_is_written_in_one_way() {
        for plain in [
            "api.example.com",
            "gitlab",
            "a-1.example.com:8443",
            "xn--bcher-kva.example",
            "192.0.2.7",
            "127.0.0.1:80",
            "[::1]:8080",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "",
            "*",
            "*.example.com",
            "*.co.uk",
            ".example.com",
            "api.example.com.",
            "api..example.com",
            "API.example.com",
            "b\u{fc}cher.example",
            "b%75cher.example",
            "api.example.com:443",
            "api.example.com:08443",
            "api.example.com:",
            "user@api.example.com",
            "api.example.com/",
            "api.example.com/v2",
            "api.example.com?a=b",
            "api.example.com#a",
            "api.example.com\\@evil.example",
            " api.example.com",
            "https://api.example.com",
            "{secret.host}",
            "2130706433",
            "127.1",
            "0x7f.1",
            "127.0.0.01",
            "api_1.example.com",
            "[::0:1]:8080",
            "::1",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn a_host_is_taken_from_the_secret_and_nothing_else_of_a_url_is() {
        assert_eq!(chosen("https://{secret.host}/v2"), Some(["https://", "host", "/v2"]));
        assert_eq!(chosen("https://{secret.host}"), Some(["https://", "host", ""]));
        for other in [
            "https://api.{secret.host}",
            "https://{secret.host}.example.com/",
            "https://{secret.host}:8443/",
            "https://{secret.host}@evil.example/",
            "ftp://{secret.host}/",
            "https://{secret.}/",
            "https://{admin.host}/",
            "{secret.url}",
        ] {
            assert_eq!(chosen(other), None, "{other}");
        }
    }
}
