//! What the server says of users: their roles, what these allow, and what else is kept of them.

use std::collections::{BTreeMap, BTreeSet};

use bson::raw::{RawArray, RawArrayBuf, RawDocument, RawDocumentBuf};
use bson::rawdoc;
use fourstep::users::Mark;
use fourstep::{Invocation, Result};

use crate::change::quoted;
use crate::session::{Session, flag, text, texts, unusable};

/// The key in a user's customData under which its mark stands.
pub(crate) const MARK: &str = "fourstep";

/// The mechanism that is sent alone where the server takes no other any more.
pub(crate) const STRONGEST: &str = "SCRAM-SHA-256";

/// What only somebody may do who is more than an application's user: make users, or change what others
/// may do.
const POWERS: [&str; 11] = [
    "anyAction",
    "changeCustomData",
    "changePassword",
    "createRole",
    "createUser",
    "dropRole",
    "dropUser",
    "grantRole",
    "impersonate",
    "revokeRole",
    "setAuthenticationRestriction",
];

/// The same by name, of a server that does not say what a role allows.
const POWERFUL_ROLES: [&str; 6] =
    ["__system", "dbOwner", "restore", "root", "userAdmin", "userAdminAnyDatabase"];

/// The most that is kept of an answer, in bytes of the server's descriptions of users: some thousands of
/// privileges. What is made of them takes several times as much.
const MOST_KEPT: usize = 2 * 1024 * 1024;

/// A role, and the database in which it is defined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Role {
    pub(crate) database: String,
    pub(crate) name: String,
}

impl Role {
    /// As mongosh takes it.
    pub(crate) fn shown(&self) -> String {
        format!("{{role: {}, db: {}}}", quoted(&self.name), quoted(&self.database))
    }
}

fn documents(array: &RawArray) -> impl Iterator<Item = &RawDocument> {
    array.into_iter().filter_map(|one| one.ok()?.as_document())
}

fn roles(array: &RawArray) -> BTreeSet<Role> {
    let role = |role: &RawDocument| {
        let field = |name| text(role, name).map(str::to_owned);
        Some(Role { database: field("db")?, name: field("role")? })
    };
    documents(array).filter_map(role).collect()
}

/// What somebody may do: actions by the resource, as the server writes it. `None` where the server does
/// not say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Privileges(Option<BTreeMap<Vec<u8>, BTreeSet<String>>>);

impl Privileges {
    /// A server that knows nothing of a user's privileges, though it has roles, does not say.
    fn read(privileges: Option<&RawArray>, has_roles: bool) -> Self {
        let mut found = BTreeMap::<Vec<u8>, BTreeSet<String>>::new();
        for privilege in privileges.into_iter().flat_map(documents) {
            if let (Ok(resource), Ok(actions)) =
                (privilege.get_document("resource"), privilege.get_array("actions"))
            {
                let actions = texts::<BTreeSet<_>>(actions);
                found.entry(resource.as_bytes().to_vec()).or_default().extend(actions);
            }
        }
        Self((!has_roles || !found.is_empty()).then_some(found))
    }

    /// The session's own.
    pub(crate) async fn own(session: &mut Session, cx: &Invocation) -> Result<Self> {
        let what = "the question what the user may do";
        let command = rawdoc! { "connectionStatus": 1, "showPrivileges": true, "$db": "admin" };
        let answer = session.run(what, &command, cx).await.map_err(|failure| failure.of(what))?;
        let info = answer.get_document("authInfo").map_err(|_| unusable(what))?;
        let has_roles =
            info.get_array("authenticatedUserRoles").is_ok_and(|roles| !roles.is_empty());
        Ok(Self::read(info.get_array("authenticatedUserPrivileges").ok(), has_roles))
    }

    /// Whether they allow this in a whole database. `None` where the server does not say.
    pub(crate) fn allow(&self, action: &str, database: &str) -> Option<bool> {
        let covers = |resource: &[u8]| {
            let Ok(resource) = RawDocument::from_bytes(resource) else { return false };
            let here = text(resource, "db").is_some_and(|db| db.is_empty() || db == database);
            flag(resource, "anyResource") || (here && text(resource, "collection") == Some(""))
        };
        let given =
            |actions: &BTreeSet<String>| actions.contains(action) || actions.contains("anyAction");
        let found = self.0.as_ref()?;
        Some(found.iter().any(|(resource, actions)| given(actions) && covers(resource)))
    }

    /// What makes its holder more than an application's user.
    fn power(&self) -> Option<&str> {
        let found = self.0.as_ref()?;
        let writes_users = |resource: &[u8]| {
            RawDocument::from_bytes(resource).is_ok_and(|resource| {
                flag(resource, "anyResource")
                    || text(resource, "collection") == Some("system.users")
            })
        };
        let power =
            |actions: &BTreeSet<String>| POWERS.into_iter().find(|power| actions.contains(*power));
        found.iter().find_map(|(resource, actions)| {
            let writes = actions.contains("insert") || actions.contains("update");
            power(actions)
                .or((writes && writes_users(resource)).then_some("update of system.users"))
        })
    }
}

/// A user, as the server describes it.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) roles: BTreeSet<Role>,
    inherited: BTreeSet<Role>,
    privileges: Privileges,
    custom_data: RawDocumentBuf,
    /// From which addresses it may log in; `None` where the server knows no such thing.
    pub(crate) restrictions: Option<RawArrayBuf>,
    /// `None` of a server before 4.0.
    pub(crate) mechanisms: Option<Vec<String>>,
}

impl User {
    pub(crate) fn read(user: &RawDocument) -> Option<Self> {
        let array = |name| user.get_array(name).ok();
        let roles = roles(array("roles")?);
        let data = user.get_document("customData");
        Some(Self {
            name: user.get_str("user").ok()?.to_owned(),
            privileges: Privileges::read(array("inheritedPrivileges"), !roles.is_empty()),
            inherited: array("inheritedRoles").map(self::roles).unwrap_or_default(),
            custom_data: data.map(RawDocument::to_owned).unwrap_or_default(),
            restrictions: array("authenticationRestrictions")
                .map(|array| array.into_iter().flatten().collect()),
            mechanisms: array("mechanisms").map(texts),
            roles,
        })
    }

    /// The mark on it, whoever wrote that.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let mark = self.custom_data.get_document(MARK).ok()?;
        let field = |name| text(mark, name).map(str::to_owned);
        Some(Mark { partner: field("partner")?, secret: field("secret")? })
    }

    /// Whether it can write on itself, so that a mark on it proves nothing alone. A server that does
    /// not say is taken at its worst.
    pub(crate) fn writes_marks(&self, database: &str) -> bool {
        self.privileges.allow("changeOwnCustomData", database) != Some(false)
    }

    /// Why it is more than an application's user.
    pub(crate) fn power(&self) -> Option<String> {
        let by_name = || {
            let unknown = self.privileges.0.is_none();
            let mut roles = self.roles.iter().map(|role| role.name.as_str());
            roles.find(|role| unknown && POWERFUL_ROLES.contains(role))
        };
        let power = self.privileges.power().or_else(by_name)?;
        Some(format!("it may change other users ({power})"))
    }

    /// What its owner keeps on it, without the mark.
    pub(crate) fn owners_data(&self) -> RawDocumentBuf {
        self.custom_data.iter().flatten().filter(|(key, _)| key.as_str() != MARK).collect()
    }

    /// The addresses from which it may log in; `None` where there is no limit.
    fn restrictions(&self) -> Option<&RawArrayBuf> {
        self.restrictions.as_ref().filter(|array| !array.is_empty())
    }

    pub(crate) fn is_restricted(&self) -> bool {
        self.restrictions().is_some()
    }

    /// What of these two users differs that is not a role. Not how their passwords are proven: that is
    /// set together with the password.
    pub(crate) fn settings_differ(&self, other: &Self) -> bool {
        let bytes = |user: &Self| user.restrictions().map(|array| array.as_bytes().to_vec());
        self.owners_data() != other.owners_data() || bytes(self) != bytes(other)
    }

    /// What differs between two users as the server resolves it, one line for each.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let differences = [
            (self.roles != other.roles || self.inherited != other.inherited, "roles"),
            (self.privileges != other.privileges, "privileges"),
            (self.settings_differ(other), "customData or authenticationRestrictions"),
            (!proven_alike(self.mechanisms.as_deref(), other.mechanisms.as_deref()), "mechanisms"),
        ];
        let found = differences.into_iter().filter(|(is, _)| *is);
        found.map(|(_, what)| format!("their {what}")).collect()
    }
}

/// Whether the passwords of one user are proven as those of the user it was made after: in the same ways
/// or, where the server lets nobody in by SCRAM-SHA-1 any more, by SCRAM-SHA-256 alone.
fn proven_alike(one: Option<&[String]>, model: Option<&[String]>) -> bool {
    let has = |all: &[String]| all.iter().any(|name| name == STRONGEST);
    one == model || (one.is_some_and(|one| one == [STRONGEST]) && model.is_some_and(has))
}

/// What the server knows of these users of a database, by name.
pub(crate) async fn named<'a>(
    session: &mut Session,
    database: &str,
    names: impl IntoIterator<Item = &'a str>,
    cx: &Invocation,
) -> Result<BTreeMap<String, User>> {
    let users = names.into_iter().map(|name| rawdoc! { "user": name, "db": database });
    let users: RawArrayBuf = users.collect();
    let command = rawdoc! {
        "usersInfo": users,
        "showPrivileges": true,
        "showAuthenticationRestrictions": true,
        "$db": database,
    };
    let users = ask(session, &command, |_| true, cx).await?;
    Ok(users.into_iter().map(|user| (user.name.clone(), user)).collect())
}

/// The names of those users of a database whose mark names this secret.
pub(crate) async fn marked(
    session: &mut Session,
    database: &str,
    secret: &str,
    cx: &Invocation,
) -> Result<Vec<String>> {
    // Without a filter, which servers before 4.0 do not know.
    let command = rawdoc! { "usersInfo": 1, "$db": database };
    let ours = |user: &User| user.mark().is_some_and(|mark| mark.secret == secret);
    let users = ask(session, &command, ours, cx).await?;
    Ok(users.into_iter().map(|user| user.name).collect())
}

async fn ask(
    session: &mut Session,
    command: &RawDocument,
    keep: impl Fn(&User) -> bool,
    cx: &Invocation,
) -> Result<Vec<User>> {
    let what = "the look at the users";
    let answer = session.run(what, command, cx).await.map_err(|failure| failure.of(what))?;
    let users = answer.get_array("users").map_err(|_| unusable(what))?;
    let (mut kept, mut left) = (Vec::new(), MOST_KEPT);
    for user in documents(users) {
        let rest = left.checked_sub(user.as_bytes().len()).ok_or_else(|| {
            unusable(what).caused_by("users with more than 2 MiB of roles and privileges")
        })?;
        let user = User::read(user).ok_or_else(|| unusable(what))?;
        if keep(&user) {
            left = rest;
            kept.push(user);
        }
    }
    Ok(kept)
}
