//! What differs from run to run in a message, masked.

use super::case::Case;
use super::site::Site;

impl<S: Site> Case<S> {
    /// A message with names, ports, ids and times masked.
    pub fn masked(&self, message: &str) -> String {
        let server = &self.ground.server;
        let admin = self.admin.as_ref().map_or("ADMIN", |admin| &admin.name);
        let named = message
            .replace(&server.long_name(&self.user), "LONG")
            .replace(&self.user.name, "USER")
            .replace(admin, "ADMIN")
            .replace(self.token.as_str(), "TOKEN")
            .replace(server.host(), "HOST")
            .replace(&format!("HOST:{}", server.port()), "HOST:PORT")
            // A connection that is closed at once may be reset, if something was sent before that.
            .replace("be sent: Connection reset by peer (os error 104) (no", "be sent (no")
            .replace(
                "for TLS: Connection reset by peer (os error 104)",
                "for TLS: the server closed it",
            )
            .replace(
                "the login: Connection reset by peer (os error 104)",
                "the login: the server closed it",
            )
            // A pooler that knows already says it in other words.
            .replace(
                "server login has been failing, try again later (server_login_retry)",
                "query_wait_timeout",
            );
        // The resolver's words differ between systems, and between networks.
        let named = match named.split_once("failed to lookup address information: ") {
            Some((before, _)) => format!("{before}failed to lookup address information: WORDS"),
            None => named,
        };
        let words: Vec<&str> = named.split(' ').collect();
        let masked = (0..words.len()).map(|place| {
            let before = place.checked_sub(1).map_or("", |before| words[before]);
            mask_number(before, words[place], words.get(place + 1).copied().unwrap_or_default())
        });
        masked.collect::<Vec<_>>().join(" ")
    }
}

/// Masks a time, as `5.0 s`, an age in days, the characters of a name, a port, and a session.
fn mask_number(before: &str, word: &str, after: &str) -> String {
    let bare = word.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (front, rest) = (bare.trim_end_matches(|c: char| c.is_ascii_digit()), &word[bare.len()..]);
    let number = !bare.is_empty() && front.len() < bare.len();
    if number && (front == "HOST:" || front.ends_with(".invalid:")) {
        return format!("{front}PORT{rest}");
    }
    let counted = after.starts_with('s') || ["days", "bytes", "characters,"].contains(&after);
    match before {
        "port" if number => format!("PORT{rest}"),
        _ if number && front == "pg_terminate_backend(" => format!("{front}N{rest}"),
        "connection" | "process" | "KILL" if number => format!("N{rest}"),
        _ if number && counted => format!("N{rest}"),
        _ => word.to_owned(),
    }
}
