//! A user as the server has it, and a change of its passwords.
//!
//! Source: Redis documentation, "ACL GETUSER", "ACL SETUSER", "ACL DRYRUN".

use std::collections::BTreeSet;

use fourstep::users::Change;
use fourstep::users::driver::{Failure, lacks_rights};
use fourstep::{Error, ErrorKind, ExposeSecret, Invocation, Result, SecretString, hex};
use ring::digest::{SHA256, digest};

use crate::resp::Reply;
use crate::server::{kept_nowhere, lacking};
use crate::session::Session;

/// What the server keeps of a password, and takes in its place: the digest, without a salt.
pub(crate) fn hash(password: &SecretString) -> String {
    hex(digest(&SHA256, password.expose_secret().as_bytes()).as_ref())
}

/// A user. Whether its passwords are this or that is asked by their hashes.
#[derive(Default)]
pub(crate) struct Account {
    on: bool,
    /// Any password lets it in.
    open: bool,
    passwords: BTreeSet<String>,
}

impl Account {
    /// Of the answer to ACL GETUSER: names and values in turn.
    fn read(reply: &Reply) -> Self {
        let mut account = Self::default();
        for pair in reply.list().chunks(2) {
            let [Reply::Text(name), value] = pair else { continue };
            let values = value.list().iter().filter_map(Reply::text);
            match name.as_str() {
                "flags" => values.for_each(|flag| {
                    account.on |= flag == "on";
                    account.open |= flag == "nopass";
                }),
                "passwords" => account.passwords = values.map(str::to_owned).collect(),
                _ => {}
            }
        }
        account
    }

    pub(crate) fn has(&self, hash: &str) -> bool {
        self.passwords.contains(hash)
    }

    /// What keeps a password from letting this user in, or from proving anything.
    fn flaws(&self, user: &str) -> Vec<Error> {
        let open = Error::new(
            ErrorKind::Unsupported,
            format!(
                "user {user:?} is let in with any password (nopass), and a password of its own would \
                 shut out whoever uses another; have ACL SETUSER run for it with resetpass and the \
                 password that its clients use"
            ),
        );
        let off = Error::new(
            ErrorKind::Forbidden,
            format!("user {user:?} is off; have ACL SETUSER run for it with on"),
        );
        let all = [(self.open, open), (!self.on, off)];
        all.into_iter().filter(|(is, _)| *is).map(|(_, error)| error).collect()
    }
}

/// A change of one user's passwords, as hashes.
pub struct Prepared {
    pub(crate) user: String,
    pub(crate) add: Option<String>,
    /// It must be there, and stays, or nothing is changed.
    pub(crate) demand: Option<String>,
    /// Each must be there, or nothing is changed.
    pub(crate) remove: Vec<String>,
}

impl Session {
    /// The user; none where there is none of this name.
    pub(crate) async fn account(&mut self, user: &str, cx: &Invocation) -> Result<Option<Account>> {
        let reply = self.run("ACL GETUSER", &["ACL", "GETUSER", user], cx).await;
        match reply.map_err(|failure| lacking(failure, "ACL GETUSER", "+acl|getuser"))? {
            Reply::Nothing => Ok(None),
            reply => Ok(Some(Account::read(&reply))),
        }
    }

    /// Everything that speaks against a change of this user's passwords by `admin`, who is logged in.
    pub(crate) async fn objections(
        &mut self,
        admin: &str,
        user: &str,
        cx: &Invocation,
    ) -> Result<Vec<Error>> {
        let Some(account) = self.account(user, cx).await? else { return Ok(vec![absent(user)]) };
        let mut found = account.flaws(user);
        let may = self.may(user, &["ACL", "SETUSER", user], cx).await;
        if may.map_err(|failure| lacking(failure, "ACL DRYRUN", "+acl|dryrun"))? {
            let what = format!(
                "user {user:?} may give itself every right (ACL SETUSER) and is never changed by an \
                 admin; let the secret name a user that an application needs"
            );
            found.push(Error::new(ErrorKind::Unsupported, what));
        }
        found.extend((self.replicates_as == user).then(|| replicates(user)));
        let save = self.keeping.map(|keeping| keeping.command());
        found.extend(save.is_none().then(kept_nowhere));
        let mut lacks = Vec::new();
        let setuser = ["ACL", "SETUSER", user];
        for command in save.iter().map(<[_; 2]>::as_slice).chain([setuser.as_slice()]) {
            let may = self.may(admin, command, cx).await;
            if !may.map_err(|failure| lacking(failure, "ACL DRYRUN", "+acl|dryrun"))? {
                let [one, two, ..] = command else { continue };
                lacks.push(format!("+{one}|{two}").to_lowercase());
            }
        }
        if !lacks.is_empty() {
            let rights = format!("ACL SETUSER {admin} {}", lacks.join(" "));
            found.push(lacks_rights([rights.as_str()]));
        }
        Ok(found)
    }

    /// Whether this user may run this command, which is not run.
    async fn may(
        &mut self,
        user: &str,
        command: &[&str],
        cx: &Invocation,
    ) -> Result<bool, crate::session::Failure> {
        let words = [&["ACL", "DRYRUN", user], command].concat();
        Ok(self.run("ACL DRYRUN", &words, cx).await?.text() == Some("OK"))
    }

    /// Makes a change, in one command that changes all or nothing.
    pub(crate) async fn change(&mut self, change: &Prepared, cx: &Invocation) -> Result<Change> {
        // What cannot be taken away stops the command: so the one that is demanded is taken, and given
        // back. All this happens at once.
        let demand = change.demand.iter().flat_map(|one| [format!("!{one}"), format!("#{one}")]);
        let add = change.add.iter().map(|one| format!("#{one}"));
        let remove = change.remove.iter().map(|one| format!("!{one}"));
        let rules: Vec<String> = demand.chain(add).chain(remove).collect();
        if rules.is_empty() {
            return Ok(Change::Made);
        }
        let mut words = vec!["ACL", "SETUSER", &change.user];
        words.extend(rules.iter().map(String::as_str));
        match self.run("ACL SETUSER", &words, cx).await {
            Ok(_) => Ok(Change::Made),
            // The one thing that it can have against a hash that is one.
            Err(Failure::Refused(refusal)) if refusal.code == "ERR" => Err(Error::new(
                ErrorKind::Conflict,
                "the user's passwords were changed by somebody else at the same moment; nothing was \
                 changed, retry",
            )),
            Err(failure @ Failure::Refused(_)) => {
                Err(lacking(failure, "ACL SETUSER", "+acl|setuser"))
            }
            Err(failure) => Err(failure
                .of("ACL SETUSER")
                .caused_by("the passwords may or may not have been changed; a retry finds out")),
        }
    }
}

/// The error of a user as which a replica logs in to its primary, by a password in its configuration.
fn replicates(user: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "user {user:?} is the one as which replicas log in to their primary (masteruser), by a password that stands in \
             their configuration and would end two rotations later; let the secret name a user that an application needs"
        ),
    )
}

/// The error of a user that is not there, and that ACL SETUSER would make.
pub(crate) fn absent(user: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("user {user:?} does not exist; create it, or correct the secret's \"username\""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::parse;

    #[test]
    fn a_user_is_read_whatever_else_the_server_says_of_it() {
        let answer = b"*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$6\r\nnopass\r\n$8\r\ncommands\r\n\
            $5\r\n-@all\r\n$9\r\npasswords\r\n*1\r\n$2\r\nab\r\n";
        let account = Account::read(&parse(answer).unwrap().unwrap().0);
        assert!(account.on && account.open && account.has("ab") && !account.has("a"));
        assert_eq!(account.flaws("app").len(), 1);
        assert_eq!(Account::default().flaws("app")[0].kind(), ErrorKind::Forbidden);
    }

    /// Source: FIPS 180-4's example for "abc".
    #[test]
    fn a_hash_is_sha_256_in_small_letters() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(&"abc".into()), expected);
    }
}
