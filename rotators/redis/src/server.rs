//! Which server this is, as far as an admin must know, and where it keeps its users.
//!
//! Source: Redis documentation, "INFO", "ACL SAVE", "CONFIG REWRITE".

use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::resp::Reply;
use crate::session::{Failure, Session};

/// Where the server keeps its users, so that they outlive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In the file that the setting `aclfile` names.
    AclFile,
    /// In its configuration file.
    ConfigFile,
}

impl Keeping {
    /// The command that writes the file.
    pub(crate) fn command(self) -> [&'static str; 2] {
        match self {
            Self::AclFile => ["ACL", "SAVE"],
            Self::ConfigFile => ["CONFIG", "REWRITE"],
        }
    }
}

impl Session {
    /// Asks which server this is, where it keeps its users, and which others there are.
    pub(crate) async fn ask_server(&mut self, cx: &Invocation) -> Result<()> {
        let info = self.run("INFO", &["INFO"], cx).await;
        let info = info.map_err(|failure| lacking(failure, "INFO", "+info"))?;
        let info = info.text().unwrap_or_default();
        if ["redis_mode", "server_mode"].iter().any(|name| field(info, name) == Some("sentinel")) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "this is a Sentinel, which has users of its own; add the name of the primary to the secret \
                 as \"sentinel\", or let \"host\" and \"port\" name a server",
            ));
        }
        self.peers = self.ask_peers(info, cx).await?;
        let has_file = !field(info, "config_file").unwrap_or_default().is_empty();
        let what = "CONFIG GET aclfile masteruser";
        let words = ["CONFIG", "GET", "aclfile", "masteruser"];
        let settings = self.run(what, &words, cx).await;
        let settings = settings.map_err(|failure| lacking(failure, what, "+config|get"))?;
        let setting = |name| {
            let mut pairs = settings.list().chunks(2).map(|pair| [pair.first(), pair.last()]);
            let found = pairs.find(|[one, _]| one.and_then(Reply::text) == Some(name));
            found.and_then(|[_, value]| value.and_then(Reply::text)).unwrap_or_default()
        };
        // Without a name the default user's password is used.
        self.replicates_as = match setting("masteruser") {
            "" if self.peers.others.is_empty() => String::new(),
            "" => "default".to_owned(),
            user => user.to_owned(),
        };
        self.keeping = match (setting("aclfile"), has_file) {
            ("", false) => None,
            ("", true) => Some(Keeping::ConfigFile),
            _ => Some(Keeping::AclFile),
        };
        Ok(())
    }

    /// Has the server keep its users as they are now.
    pub(crate) async fn save(&mut self, cx: &Invocation) -> Result<()> {
        let Some(keeping) = self.keeping else { return Err(kept_nowhere()) };
        let command = keeping.command();
        let what = command.join(" ");
        match self.run(&what, &command, cx).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.of(&what)),
        }
        .map_err(|error| {
            error.while_doing(
                "the passwords are changed, and the server may not have written them to its file, so \
                 that a restart would undo that; see to the file (the server's log says what is \
                 wrong), then retry",
            )
        })
    }
}

/// The error of a command that an admin must be allowed.
pub(crate) fn lacking(failure: Failure, what: &str, rule: &str) -> Error {
    let error = failure.of(what);
    if error.kind() != ErrorKind::Forbidden {
        return error;
    }
    let advice = format!("have ACL SETUSER run for it with {rule}");
    error.caused_by(advice)
}

/// The error of a server that forgets its users.
pub(crate) fn kept_nowhere() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the server keeps its users in no file, so a restart would bring the old passwords back; \
         name a file in its setting aclfile, or start it with a configuration file",
    )
}

/// A field of the answer to INFO.
pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(one, _)| *one == name).map(|(_, value)| value.trim()).next()
}
