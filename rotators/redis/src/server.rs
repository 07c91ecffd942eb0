//! Which server this is, as far as an admin must know, and where it keeps its users.
//!
//! Source: Redis documentation, "INFO", "ACL SAVE", "CONFIG REWRITE".

use fourstep::{Error, ErrorKind, Invocation};

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

/// What an admin's session knows of its server.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// None where a restart would bring old passwords back.
    pub(crate) keeping: Option<Keeping>,
}

impl Session {
    /// Asks which server this is, and refuses one whose users are not all in one place.
    pub(crate) async fn ask_server(&mut self, cx: &Invocation) -> Result<(), Error> {
        let info = self.run("INFO", &["INFO"], cx).await;
        let info = info.map_err(|failure| lacking(failure, "INFO", "+info"))?;
        let info = info.text().unwrap_or_default();
        refuse_several(info)?;
        let has_file = !field(info, "config_file").unwrap_or_default().is_empty();
        let what = "CONFIG GET aclfile";
        let setting = self.run(what, &["CONFIG", "GET", "aclfile"], cx).await;
        let setting = setting.map_err(|failure| lacking(failure, what, "+config|get"))?;
        let named = setting.list().get(1).and_then(Reply::text).unwrap_or_default();
        self.server.keeping = match (named, has_file) {
            ("", false) => None,
            ("", true) => Some(Keeping::ConfigFile),
            _ => Some(Keeping::AclFile),
        };
        Ok(())
    }

    /// Has the server keep its users as they are now.
    pub(crate) async fn save(&mut self, cx: &Invocation) -> Result<(), Error> {
        let Some(keeping) = self.server.keeping else { return Err(kept_nowhere()) };
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

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(one, _)| *one == name).map(|(_, value)| value.trim()).next()
}

/// Each node has users of its own, and only one is changed.
fn refuse_several(info: &str) -> Result<(), Error> {
    let is = |name, value| field(info, name) == Some(value);
    let refused = |what: &str| Err(Error::new(ErrorKind::Unsupported, what));
    if is("redis_mode", "sentinel") || is("server_mode", "sentinel") {
        return refused(
            "this is a Sentinel, which has users of its own; let the secret's \"host\" and \"port\" \
             name a server",
        );
    }
    if is("cluster_enabled", "1") {
        return refused(
            "the server is a node of a cluster, each of which has users of its own; only a single \
             server is supported",
        );
    }
    if is("role", "slave") {
        return refused(
            "the server is a replica; only a single server is supported, because each has users of \
             its own",
        );
    }
    if field(info, "connected_slaves").is_some_and(|count| count != "0") {
        return refused(
            "the server has replicas, which have users of their own and would go on refusing the new \
             password; only a single server is supported",
        );
    }
    match field(info, "role") {
        Some(_) => Ok(()),
        None => refused("INFO does not say whether the server is a replica"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_by_itself_is_changed_and_no_other() {
        let alone = "# Server\r\nredis_mode:standalone\r\nconfig_file:\r\nrole:master\r\n\
                     connected_slaves:0\r\ncluster_enabled:0\r\n";
        assert_eq!(refuse_several(alone), Ok(()));
        assert_eq!(field(alone, "config_file"), Some(""));
        for (from, to, what) in [
            ("standalone", "sentinel", "this is a Sentinel"),
            ("cluster_enabled:0", "cluster_enabled:1", "a node of a cluster"),
            ("role:master", "role:slave", "is a replica"),
            ("slaves:0", "slaves:2", "has replicas"),
            ("role:master", "", "does not say"),
        ] {
            let error = refuse_several(&alone.replace(from, to)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
