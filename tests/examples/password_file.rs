//! A backend written by the recipe of CONTRIBUTING.md, and as small as one can be: users in a JSON
//! file, `{"app": {"password": "...", "rights": ["read"]}}`, in which some are `admin`, `locked`, or
//! marked. The secret's `dbname` is the path. Not for use: such a file is readable by whoever has it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::driver::{lacks_rights, open_admin};
use fourstep::users::{
    Account, Accounts, Administered, Alternates, Assessment, Attempt, Change, Database, Dialect,
    Driver, End, Install, LoggedIn, Login, Mark, Ownership, Part, Step, Strategies,
};
use fourstep::{
    CHANGE_TIME, Environment, Error, ErrorKind, ExposeSecret, Fence, Invocation, PasswordPolicy,
    SecretString,
};
use serde_json::{Map, Value, json};

/// The file of users.
#[derive(Debug)]
pub struct PasswordFile;

/// The users as they were read, and the lock that lets one write them.
pub struct Session {
    path: PathBuf,
    user: String,
    users: Map<String, Value>,
    lock: Option<File>,
}

const DIALECT: Dialect = Dialect {
    engines: &["password-file"],
    default_port: 1,
    default_dbname: None,
    longest_name: 63,
    most_older_logins: 8,
    besides: &[],
};

fn failed(what: &str) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::new(ErrorKind::Unreachable, what).caused_by(cause.kind().to_string())
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Session {
    fn read(&mut self) -> Result<(), Error> {
        let text = std::fs::read(&self.path).map_err(failed("cannot read the file of users"))?;
        let unreadable = Error::new(ErrorKind::Unsupported, "the file of users is not JSON");
        self.users = serde_json::from_slice(&text).map_err(|_| unreadable)?;
        Ok(())
    }

    fn is(&self, user: &str, what: &str) -> bool {
        self.users.get(user).is_some_and(|user| user[what] == true)
    }

    /// Replaces the file at once, so that who reads it sees all or nothing of a change.
    fn write(&self) -> std::io::Result<()> {
        let next = self.path.with_extension("next");
        std::fs::write(&next, Value::from(self.users.clone()).to_string())?;
        std::fs::rename(next, &self.path)
    }

    async fn lock(&self, cx: &Invocation) -> Result<File, Error> {
        let named = failed("cannot lock the users");
        let file = File::create(self.path.with_extension("lock")).map_err(&named)?;
        while cx.deadline().remaining() > CHANGE_TIME {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(named(error)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        Err(Error::new(ErrorKind::Conflict, "another session holds the lock; retry"))
    }
}

#[async_trait]
impl Database for PasswordFile {
    type Session = Session;
    type Prepared = (String, SecretString);

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<Session>, Error> {
        cx.count_connection();
        let path = login.dbname.as_deref().unwrap_or_default().into();
        let (user, users, lock) = (login.username.clone(), Map::new(), None);
        let mut session = Session { path, user, users, lock };
        session.read()?;
        let user = session.users.get(&login.username).filter(|user| user["locked"] != true);
        Ok(match user.is_some_and(|user| user["password"] == login.password.expose_secret()) {
            true => Attempt::Accepted(session),
            false => Attempt::Refused("wrong password, or no such user".to_owned()),
        })
    }

    async fn prepare_own(
        &self,
        at: &mut LoggedIn<'_, Session>,
        password: &SecretString,
    ) -> Result<Self::Prepared, Error> {
        Ok((at.session.user.clone(), password.clone()))
    }

    fn locks(&self, (user, _): &Self::Prepared) -> Vec<String> {
        vec![user.clone()]
    }

    /// One lock for all users: the file is written as a whole.
    async fn begin(&self, at: &mut LoggedIn<'_, Session>, locks: &[String]) -> Result<(), Error> {
        at.cx.enough_for_a_change()?;
        if !locks.is_empty() {
            at.session.lock = Some(at.session.lock(at.cx).await?);
        }
        at.session.read()
    }

    async fn set(
        &self,
        at: &mut LoggedIn<'_, Session>,
        (user, password): &Self::Prepared,
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        let Some(account) = at.session.users.get_mut(user) else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the user was taken away meanwhile; retry",
            ));
        };
        account["password"] = password.expose_secret().into();
        account["locked"] = false.into();
        Ok(Change::Made)
    }

    async fn end(&self, at: &mut LoggedIn<'_, Session>, end: End) -> Result<(), Error> {
        let written = match end {
            End::Commit { unknown } => at.session.write().map_err(failed(unknown)),
            End::Abandon => Ok(()),
        };
        at.session.lock = None;
        written
    }
}

#[async_trait]
impl Administered for PasswordFile {
    async fn prepare_reset(
        &self,
        _admin: &mut LoggedIn<'_, Session>,
        target: &Login,
    ) -> Result<Self::Prepared, Error> {
        Ok((target.username.clone(), target.password.clone()))
    }

    async fn objections(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        user: &str,
    ) -> Result<Vec<Error>, Error> {
        let users = &admin.session;
        let absent = Error::new(ErrorKind::NotFound, format!("user {user:?} does not exist"));
        let what = format!("user {user:?} is an admin and is never changed by one");
        let powerful = Error::new(ErrorKind::Unsupported, what);
        let admin = &admin.login.username;
        let lacks = lacks_rights([format!("make user {admin:?} an admin").as_str()]);
        let all = [
            (!users.users.contains_key(user), absent),
            (users.is(user, "admin"), powerful),
            (!users.is(admin, "admin"), lacks),
        ];
        Ok(all.into_iter().filter(|(is, _)| *is).map(|(_, error)| error).collect())
    }
}

#[async_trait]
impl Alternates for PasswordFile {
    type Found = ();

    fn transactions(&self, _: &Login) -> bool {
        true
    }

    async fn accounts(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts, Error> {
        let users = &admin.session;
        let known = users.users.iter().map(|(name, user)| {
            let mark = Mark::from_json(&user["mark"]);
            let protected = users.is(name, "admin").then(|| "it is an admin".to_owned());
            let usable = !users.is(name, "locked");
            (name.clone(), Account { mark, protected, usable, ..Account::default() })
        });
        let marked = |user: &Account| user.mark.as_ref().is_some_and(|mark| mark.secret == secret);
        Ok(known
            .filter(|(name, user)| marked(user) || usernames.contains(&name.as_str()))
            .collect())
    }

    /// A statement is a change of one user: `{"user": "app_clone", "set": {"rights": [...]}}`.
    async fn assess(
        &self,
        admin: &mut LoggedIn<'_, Session>,
        install: &Install<'_>,
        _: &Accounts,
        standing: Option<Ownership>,
    ) -> Result<Assessment<()>, Error> {
        let Install { target, source, pair, .. } = *install;
        let users = &admin.session.users;
        let rights = |user: &str| users.get(user).map(|user| names(&user["rights"]));
        let mut set = Map::new();
        if matches!(standing, Some(Ownership::Absent | Ownership::Adopted)) {
            set.insert("mark".to_owned(), pair.mark(source).to_json());
        }
        if standing == Some(Ownership::Absent) {
            set.insert("locked".to_owned(), true.into());
        }
        if rights(target) != rights(source) {
            set.insert("rights".to_owned(), json!(rights(source).unwrap_or_default()));
        }
        let step = (!set.is_empty()).then(|| json!({"user": target, "set": set}).to_string());
        let steps = step.into_iter().map(Step::new).collect();
        let parts = vec![Part { login: admin.login.clone(), steps }];
        Ok(Assessment { parts, ..Assessment::default() })
    }

    async fn run(&self, at: &mut LoggedIn<'_, Session>, statement: &str) -> Result<(), Error> {
        let change: Value = serde_json::from_str(statement)
            .map_err(|_| Error::new(ErrorKind::Internal, "not a statement of ours"))?;
        let user = change["user"].as_str().unwrap_or_default();
        let user = at.session.users.entry(user).or_insert_with(|| json!({}));
        for (field, value) in change["set"].as_object().into_iter().flatten() {
            user[field] = value.clone();
        }
        Ok(())
    }

    async fn prepare_install(
        &self,
        _admin: &mut LoggedIn<'_, Session>,
        install: &Install<'_>,
        (): (),
        password: &SecretString,
    ) -> Result<Self::Prepared, Error> {
        Ok((install.target.to_owned(), password.clone()))
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>, Error> {
        let session = open_admin(self, admin, cx).await?.session;
        let rights = |user: &str| session.users.get(user).map(|user| names(&user["rights"]));
        let differ = rights(&pending.username) != rights(partner);
        Ok(differ.then(|| "the rights differ".to_owned()).into_iter().collect())
    }
}

/// The function's rotator, as its environment variables describe it.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn strategies(environment: &Environment) -> Result<Strategies, Error> {
    let policy = PasswordPolicy::read(environment, "/@\"'\\")?;
    Strategies::of_pairs(environment, Driver::read(environment, PasswordFile)?, policy)
}

#[tokio::main(flavor = "current_thread")]
#[allow(dead_code, reason = "the tests take this file in as a module")]
async fn main() -> ExitCode {
    fourstep::run("password-file", strategies).await
}
