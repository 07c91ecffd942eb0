//! The login: answers what the server asks, as far as the transport allows, and makes sure that it
//! did ask.

use fourstep::net::{Stream, Transport};
use fourstep::users::{Attempt, Login};
use fourstep::{Error, ErrorKind, ExposeSecret, Result};

use super::{Channel, Parts, Plugin, Wire, not_mysql};
use crate::errors::{self, ServerError};
use crate::session::Failure;

pub(crate) const CLIENT_SSL: u32 = 0x0800;
const CLIENT_LONG_PASSWORD: u32 = 0x0001;
const CLIENT_CONNECT_WITH_DB: u32 = 0x0008;
const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;
const CLIENT_PLUGIN_AUTH: u32 = 0x0008_0000;
/// Without it MySQL ends the login of who has an expired password, which was right.
const CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS: u32 = 0x0040_0000;

/// Without these the login below means nothing to a server. Every one since 5.6 has them.
const NEEDED: u32 = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;

/// utf8mb4_general_ci: statements and names are UTF-8, whatever the server's default is.
const UTF8MB4: u8 = 45;

/// The most that is sent or taken in one packet.
const LONGEST_PACKET: u32 = 0x0100_0000;

/// How often a server may ask for another plugin: MariaDB's accounts can have several.
const MOST_SWITCHES: usize = 4;

/// Logs in, and returns how the server checked the password.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the server let the user in without a password, or asks for one in
/// a way that is not answered here or not on this transport; then nothing of it was sent.
pub(crate) async fn log_in(wire: &mut Wire, login: &Login) -> Result<Attempt<Plugin>> {
    if !wire.greeting.can(NEEDED) {
        return Err(unsupported("the server is too old to be logged in to; upgrade it"));
    }
    // The server says so if the account has another one.
    let plugin = match Plugin::named(&wire.greeting.plugin) {
        Some(Plugin::CachingSha2) => Plugin::CachingSha2,
        _ => Plugin::Native,
    };
    let mut conversation = Conversation {
        channel: &mut wire.channel,
        login,
        secure: wire.transport == Transport::Tls,
        plugin,
        challenge: wire.greeting.challenge.clone(),
        told: false,
    };
    match conversation.run().await {
        Ok(plugin) => Ok(Attempt::Accepted(plugin)),
        Err(Failure::Lost(error)) => Err(error),
        Err(Failure::Refused(mut refusal)) => {
            refusal.message.redact(&login.password, conversation.told);
            errors::of_login(&refusal).map(Attempt::Refused)
        }
    }
}

/// SSLRequest. The server goes by its capabilities, and not by those that come inside TLS.
pub(crate) fn ssl_request(login: &Login) -> Vec<u8> {
    beginning(capabilities(true, login.dbname.is_some()))
}

/// The part of a HandshakeResponse that an SSLRequest consists of.
fn beginning(capabilities: u32) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend(LONGEST_PACKET.to_le_bytes());
    payload.push(UTF8MB4);
    payload.extend([0; 23]);
    payload
}

/// CLIENT_DEPRECATE_EOF, CLIENT_MULTI_STATEMENTS and whatever else is not here is not understood.
fn capabilities(secure: bool, database: bool) -> u32 {
    let also = |condition, capability| if condition { capability } else { 0 };
    NEEDED
        | CLIENT_LONG_PASSWORD
        | CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS
        | also(secure, CLIENT_SSL)
        | also(database, CLIENT_CONNECT_WITH_DB)
}

/// What was under way where the connection fails.
fn during(error: Error) -> Failure {
    Failure::Lost(error.while_doing("during the login"))
}

struct Conversation<'a> {
    channel: &'a mut Channel<Box<dyn Stream>>,
    login: &'a Login,
    secure: bool,
    plugin: Plugin,
    challenge: Vec<u8>,
    /// Whether the server was sent the password itself.
    told: bool,
}

impl Conversation<'_> {
    async fn run(&mut self) -> Result<Plugin, Failure> {
        self.channel.send(&self.response()).await.map_err(during)?;
        let mut switches = 0;
        // Whether the server showed that it looks at the password. By caching_sha2_password it
        // says so before it lets anybody in; by the others the answer is all there is.
        let mut checked = self.plugin != Plugin::CachingSha2;
        loop {
            let payload = self.channel.receive().await.map_err(during)?;
            match payload.split_first() {
                Some((0x00, _)) if checked => return Ok(self.plugin),
                Some((0x00, _)) => return Err(Failure::Lost(unchecked())),
                Some((0xff, _)) => return Err(Failure::Refused(ServerError::parse(&payload))),
                Some((0xfe, request)) if switches < MOST_SWITCHES => {
                    switches += 1;
                    self.switch(request).await?;
                    checked = self.plugin != Plugin::CachingSha2;
                }
                Some((0x01, [0x03])) if self.plugin == Plugin::CachingSha2 => checked = true,
                Some((0x01, [0x04])) if self.plugin == Plugin::CachingSha2 && !self.told => {
                    self.tell().await?;
                    checked = true;
                }
                Some((0x02, _)) => {
                    return Err(Failure::Lost(unsupported(
                        "the account asks for a further factor beside the password",
                    )));
                }
                _ => return Err(Failure::Lost(not_mysql())),
            }
        }
    }

    /// HandshakeResponse41.
    fn response(&self) -> Vec<u8> {
        let database = self.login.dbname.as_deref();
        let mut payload = beginning(capabilities(self.secure, database.is_some()));
        payload.extend(self.login.username.as_bytes());
        payload.push(0);
        let answer = self.plugin.answer(&self.login.password, &self.challenge).unwrap_or_default();
        payload.push(u8::try_from(answer.len()).unwrap_or_default());
        payload.extend(answer);
        if let Some(database) = database {
            payload.extend(database.as_bytes());
            payload.push(0);
        }
        payload.extend(self.plugin.name().as_bytes());
        payload.push(0);
        payload
    }

    /// AuthSwitchRequest: the account has another plugin, or the challenge is a new one.
    async fn switch(&mut self, request: &[u8]) -> Result<(), Failure> {
        let mut parts = Parts::of(request);
        let name = parts.until_nul();
        let Some(plugin) = Plugin::named(name) else {
            return Err(Failure::Lost(other_plugin(name)));
        };
        let challenge = parts.rest();
        self.challenge = challenge.strip_suffix(&[0]).unwrap_or(challenge).to_vec();
        self.plugin = plugin;
        match plugin.answer(&self.login.password, &self.challenge) {
            Some(answer) => self.channel.send(&answer).await.map_err(during),
            None => self.tell().await,
        }
    }

    /// The server wants the password itself: by caching_sha2_password because it has not seen it
    /// since it was set.
    async fn tell(&mut self) -> Result<(), Failure> {
        if !self.secure {
            return Err(Failure::Lost(unsupported(
                "the server asks for the password itself on a connection without TLS, and it was \
                 not sent; set the secret's field \"ssl\" to true (it asks so of users that do not exist, \
                 too)",
            )));
        }
        // Before it is sent: a server that was half told may repeat it too.
        self.told = true;
        let password = self.login.password.expose_secret().as_bytes();
        self.channel.send(&[password, &[0]].concat()).await.map_err(during)
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

fn unchecked() -> Error {
    unsupported(
        "the server let the user in without checking the password, so a login proves nothing; \
         look at the account's plugin and at skip-grant-tables",
    )
}

/// Refuses by name what the account asks for instead of a password check that is known here. The
/// name comes from the server, but it has not been sent the password. MariaDB asks whom it does not know as
/// it asks some account that it knows, so that nobody can tell (`find_mpvio_user`).
fn other_plugin(name: &[u8]) -> Error {
    let real = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (name, hint) = match std::str::from_utf8(name) {
        Ok("") => ("mysql_old_password", "it is too weak to be answered"),
        Ok("mysql_clear_password") => (
            "mysql_clear_password",
            "it would show the password to whatever the server asks (PAM, LDAP, or IAM as \
             AWSAuthenticationPlugin does); stop rotating it, or give it a password of its own",
        ),
        Ok("sha256_password") => ("sha256_password", "it is deprecated; use caching_sha2_password"),
        Ok(name) if name.len() <= 64 && name.bytes().all(|byte| real(&byte)) => {
            (name, "it is not supported")
        }
        _ => ("without a readable name", "it is not supported"),
    };
    unsupported(&format!(
        "the account's authentication plugin is not one that is answered here; nothing of the \
         password was sent (it asks for {name}: {hint}; use caching_sha2_password, or \
         mysql_native_password on MariaDB, which asks like that for some users that it does not know, too)"
    ))
}

#[cfg(test)]
mod tests;
