//! Which of a user's accounts the server takes for a login from here.
//!
//! A user may have an account for each of several host patterns, with passwords of their own, and
//! the server takes the most specific one. Source: MySQL 9.7 reference manual, sections 8.2.4,
//! "Specifying Account Names", and 8.2.6, "Access Control, Stage 1"; MariaDB documentation, "CREATE
//! USER".

use std::net::Ipv4Addr;

use crate::alternate::is_like;

/// The longest host that a server knows a client by.
const LONGEST_CLIENT: usize = 255;

/// How well a host pattern fits a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Up to its first wildcard it has this many characters.
    Pattern(usize),
    /// A network with this many bits.
    Network(u32),
    Exact,
}

/// The one of these patterns by which the server lets `client` in, as it names it itself. `None` if
/// that is not clear.
pub(crate) fn matching<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    client: &str,
) -> Option<&'a str> {
    let patterns: Vec<_> = patterns.into_iter().collect();
    if let [only] = patterns.as_slice() {
        return Some(only);
    }
    if client.len() > LONGEST_CLIENT {
        return None;
    }
    let address: Option<Ipv4Addr> = client.parse().ok();
    // Of a client that the server knows by name, patterns of addresses may fit too.
    let by_address = |pattern: &&str| pattern.starts_with(|first: char| first.is_ascii_digit());
    if address.is_none() && patterns.iter().any(by_address) {
        return None;
    }
    let mut fits: Vec<_> =
        patterns.into_iter().filter_map(|one| Some((fit(one, client, address)?, one))).collect();
    fits.sort_unstable();
    let (best, pattern) = fits.pop()?;
    (fits.last().is_none_or(|(next, _)| *next < best)).then_some(pattern)
}

fn fit(pattern: &str, client: &str, address: Option<Ipv4Addr>) -> Option<Fit> {
    let (pattern, client) = (pattern.to_ascii_lowercase(), client.to_ascii_lowercase());
    if pattern == client {
        return Some(Fit::Exact);
    }
    if pattern.is_empty() {
        return Some(Fit::Pattern(0));
    }
    if let Some((network, mask)) = pattern.split_once('/') {
        let network = u32::from(network.parse::<Ipv4Addr>().ok()?);
        let mask = match mask.parse::<u32>() {
            Ok(bits) => u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0),
            Err(_) => u32::from(mask.parse::<Ipv4Addr>().ok()?),
        };
        let inside = u32::from(address?) & mask == network;
        return inside.then(|| Fit::Network(mask.count_ones()));
    }
    let wild = pattern.find(['%', '_'])?;
    is_like(&client, &pattern).then_some(Fit::Pattern(wild))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_is_the_server_s_choice() {
        for (patterns, client, expected) in [
            (&["%"][..], "10.0.3.7", Some("%")),
            (&["localhost"], "10.0.3.7", Some("localhost")),
            (&["%", "10.%"], "10.0.3.7", Some("10.%")),
            (&["10.%", "10.0.%", "%"], "10.0.3.7", Some("10.0.%")),
            (&["%", "10.%"], "11.0.3.7", Some("%")),
            (&["10.0.3.7", "10.0.3.%"], "10.0.3.7", Some("10.0.3.7")),
            (&["10.0.0.0/16", "10.%"], "10.0.3.7", Some("10.0.0.0/16")),
            (&["10.0.0.0/255.255.0.0", "10.0.3.0/24"], "10.0.3.7", Some("10.0.3.0/24")),
            (&["10.1.0.0/16", "%"], "10.0.3.7", Some("%")),
            (&["%", ""], "10.0.3.7", None),
            (&["10.0.%.7", "10.0._.7"], "10.0.3.7", None),
            (&["127.0.0.1", "localhost"], "localhost", None),
            (&["%.example.com", "%"], "App.Example.com", None),
            (&["app.%", "%"], "App.Example.com", Some("app.%")),
            (&["192.168.%", "172.%"], "10.0.3.7", None),
        ] {
            let chosen = matching(patterns.iter().copied(), client);
            assert_eq!(chosen, expected, "{patterns:?} for {client}");
        }
    }
}
