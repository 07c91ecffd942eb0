//! The states of the decision table, each made by a real rotation that was killed, and by what people and
//! restored backups do to a server.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select};
use fourstep::{ExposeSecret, SecretId, SecretValue, Step};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};
use serde_json::{Value, json};

use super::killed::{Point, begun, killed};
use crate::support::door::{Door, Moment, Way};
use crate::support::host::{Host, arn, days};
use crate::support::mysql;
use crate::support::postgres::{Server, User};
use crate::support::stage::new_token;

/// The function of most secrets.
pub const POSTGRES: &str = "fourstep-postgres";

/// What becomes of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing was wrong.
    Healthy,
    /// It is mended, and AWSCURRENT logs in.
    Mended,
    /// Nothing is changed.
    Left,
    /// What is safe is done, and the rotation after it says that an administrator is needed.
    ByHand,
}

/// A secret, and what doctor must say of it.
#[derive(Debug, Clone)]
pub struct State {
    pub name: String,
    /// The row of the table; empty where the function is not asked.
    pub row: &'static str,
    pub advice: &'static str,
    pub end: End,
    /// Whether others are drawn after it.
    pub drawn: bool,
}

pub const CURRENT: &str = "AWSCURRENT accepted";
pub const PENDING: &str = "AWSCURRENT rejected, AWSPENDING accepted";
pub const PREVIOUS: &str = "AWSCURRENT rejected, AWSPREVIOUS accepted";
pub const NONE: &str = "none accepted";
pub const UNKNOWN: &str = "unknown";

/// A state of which others are drawn.
pub fn drawn(name: &str, row: &'static str, advice: &'static str, end: End) -> State {
    State { name: name.to_owned(), row, advice, end, drawn: true }
}

/// A state of its own.
pub fn once(name: &str, row: &'static str, advice: &'static str, end: End) -> State {
    State { drawn: false, ..drawn(name, row, advice, end) }
}

pub struct Fleet<'a> {
    pub host: &'a Host,
    pub server: &'a Server,
    /// Where those with two passwords are, those with keys, and some more.
    pub mysql: Option<&'a mysql::Server>,
    pub vendor: Option<super::keys::Vendor>,
    pub others: Option<super::others::Others>,
    /// In front of the server; secrets name it.
    pub door: Door,
}

impl Fleet<'_> {
    /// A user of its own, whose secret names the door.
    pub async fn secret(&self, name: &str, strategy: &str) -> User {
        self.secret_of(name, strategy, POSTGRES).await
    }

    /// The same, of this function.
    pub async fn secret_of(&self, name: &str, strategy: &str, function: &str) -> User {
        let user = self.server.user("fleet").await;
        let mut document = self.server.document(&user);
        document["port"] = self.door.port.into();
        if strategy != "single-user" {
            let admin = self.admin(&user).await;
            document["masterarn"] = format!("{name}/admin").into();
            self.host.secret(&format!("{name}/admin"), &admin, None);
        }
        self.host.secret(name, &document, Some((function, days(30))));
        self.host.tag(name, "fourstep:strategy", strategy);
        user
    }

    /// The secret of an admin that may change this user, and has made it.
    async fn admin(&self, user: &User) -> Value {
        let admin = self.server.user("admin").await;
        let only = match self.server.version().await {
            16.. => "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            _ => "WITH ADMIN OPTION",
        };
        let (by, app) = (&admin.name, &user.name);
        let sql = format!("ALTER ROLE \"{by}\" CREATEROLE; GRANT \"{app}\" TO \"{by}\" {only}");
        self.server.arrange(&sql).await;
        let mut document = self.server.document(&admin);
        document["port"] = self.door.port.into();
        document
    }

    /// Sets the password of the user that a version names, as a person or a restored backup does.
    pub async fn set(&self, name: &str, label: &str, password: Option<&str>) {
        let document = document(self.host.store(), name, Select::Label(label)).unwrap();
        let field = |one: &str| document[one].as_str().unwrap();
        let password = password.unwrap_or_else(|| field("password"));
        let user = field("username");
        let sql = format!("ALTER ROLE \"{user}\" PASSWORD '{password}'");
        self.server.arrange_quietly(&sql).await;
    }

    pub async fn killed(&self, name: &str, step: Step, point: Point<'_>) {
        killed(self.host, name, step, point).await;
    }

    /// Kills setSecret when it says this.
    pub async fn said(&self, name: &str, text: &'static [u8], moment: Moment) {
        let point = Point::Said(&self.door, self.server.port, text, moment);
        killed(self.host, name, Step::Set, point).await;
    }

    /// Every state of a secret with one password.
    pub async fn one_password(&self) -> Vec<State> {
        use Moment::{After, Before};
        let mut states = Vec::new();
        let put = "PutSecretValue";
        for (name, moment) in [("one/unrecorded", Before), ("one/recorded", After)] {
            self.secret(name, "single-user").await;
            self.killed(name, Step::Create, Point::Call(put, moment)).await;
            states.push(drawn(name, CURRENT, "discard", End::Mended));
        }
        for (name, text, moment) in [
            ("one/not-sent", &b"ALTER ROLE"[..], Before),
            ("one/sent", b"ALTER ROLE", After),
            ("one/not-committed", b"COMMIT\0", Before),
        ] {
            self.secret(name, "single-user").await;
            self.said(name, text, moment).await;
            states.push(drawn(name, CURRENT, "discard", End::Mended));
        }
        self.secret("one/committed", "single-user").await;
        self.said("one/committed", b"COMMIT\0", After).await;
        states.push(drawn("one/committed", PENDING, "retry", End::Mended));
        for (name, step, call) in [
            ("one/set", Step::Test, "DescribeSecret"),
            ("one/tested", Step::Finish, "UpdateSecretVersionStage"),
        ] {
            self.secret(name, "single-user").await;
            self.killed(name, step, Point::Call(call, Before)).await;
            states.push(drawn(name, PENDING, "retry", End::Mended));
        }
        self.secret("one/promoted", "single-user").await;
        let point = Point::Call("UpdateSecretVersionStage", After);
        self.killed("one/promoted", Step::Finish, point).await;
        states.push(drawn("one/promoted", "", "", End::Healthy));
        // The server comes back with what it had before the last rotation.
        for (name, moment) in [("one/restored-unrecorded", Before), ("one/restored", After)] {
            self.secret(name, "single-user").await;
            self.host.rotate(name).await;
            self.set(name, AWSPREVIOUS, None).await;
            self.killed(name, Step::Create, Point::Call(put, moment)).await;
            states.push(drawn(name, PREVIOUS, "retry", End::Mended));
        }
        // Somebody took the pending version of a rotation off that had changed the password.
        self.secret("one/cancelled", "single-user").await;
        self.said("one/cancelled", b"COMMIT\0", After).await;
        self.take_off("one/cancelled");
        self.killed("one/cancelled", Step::Create, Point::Call(put, After)).await;
        states.push(once("one/cancelled", NONE, "discard", End::Mended));
        self.secret("one/by-hand", "single-user").await;
        self.set("one/by-hand", AWSCURRENT, Some("of a person")).await;
        self.killed("one/by-hand", Step::Create, Point::Call(put, After)).await;
        states.push(once("one/by-hand", NONE, "discard", End::ByHand));
        states.extend(self.turned_off().await);
        states
    }

    /// Rotations that were turned off while they were under way.
    async fn turned_off(&self) -> Vec<State> {
        let put = Point::Call("PutSecretValue", Moment::After);
        for name in ["off/recorded", "off/committed", "off/restored"] {
            self.secret(name, "single-user").await;
        }
        self.killed("off/recorded", Step::Create, put).await;
        self.said("off/committed", b"COMMIT\0", Moment::After).await;
        self.host.rotate("off/restored").await;
        self.set("off/restored", AWSPREVIOUS, None).await;
        self.killed("off/restored", Step::Create, put).await;
        for name in ["off/recorded", "off/committed", "off/restored"] {
            self.host.store().cancel_rotation(&SecretId::parse(name).unwrap()).unwrap();
        }
        vec![
            once("off/recorded", CURRENT, "discard", End::Mended),
            once("off/committed", PENDING, "promote", End::Mended),
            once("off/restored", PREVIOUS, "", End::Left),
        ]
    }

    /// Those of one password that an admin sets.
    pub async fn by_admin(&self) -> Vec<State> {
        let mut states = Vec::new();
        for (name, text, moment, row, advice) in [
            ("admin/not-sent", &b"ALTER ROLE"[..], Moment::Before, CURRENT, "discard"),
            ("admin/not-committed", b"COMMIT\0", Moment::Before, CURRENT, "discard"),
            ("admin/committed", b"COMMIT\0", Moment::After, PENDING, "retry"),
        ] {
            self.secret(name, "single-user-by-admin").await;
            self.said(name, text, moment).await;
            states.push(once(name, row, advice, End::Mended));
        }
        states
    }

    /// Those of two users.
    pub async fn two_users(&self) -> Vec<State> {
        use Moment::{After, Before};
        let mut states = Vec::new();
        let put = Point::Call("PutSecretValue", After);
        for (name, text, moment) in [
            ("two/not-made", &b"CREATE ROLE"[..], Before),
            ("two/half-made", b"CREATE ROLE", After),
            ("two/made", b"COMMIT\0", After),
        ] {
            self.secret(name, "alternating-users").await;
            self.said(name, text, moment).await;
            states.push(once(name, CURRENT, "discard", End::Mended));
        }
        self.secret("two/tested", "alternating-users").await;
        let point = Point::Call("UpdateSecretVersionStage", Before);
        self.killed("two/tested", Step::Finish, point).await;
        states.push(once("two/tested", CURRENT, "discard", End::Mended));
        // Somebody changed the password of the user in use.
        self.secret("two/changed", "alternating-users").await;
        begun(self.host, "two/changed", Step::Test).await;
        self.set("two/changed", AWSCURRENT, Some("of a person")).await;
        states.push(once("two/changed", PENDING, "retry", End::Mended));
        self.secret("two/changed-later", "alternating-users").await;
        self.host.rotate("two/changed-later").await;
        self.set("two/changed-later", AWSCURRENT, Some("of a person")).await;
        self.killed("two/changed-later", Step::Create, put).await;
        states.push(once("two/changed-later", PREVIOUS, "retry", End::Mended));
        self.secret("two/by-hand", "alternating-users").await;
        self.host.rotate("two/by-hand").await;
        for label in [AWSCURRENT, AWSPREVIOUS] {
            self.set("two/by-hand", label, Some("of a person")).await;
        }
        self.killed("two/by-hand", Step::Create, put).await;
        states.push(once("two/by-hand", NONE, "discard", End::ByHand));
        states
    }

    /// Those about which nothing can be found out.
    pub async fn unknown(&self, closed: &Door) -> Vec<State> {
        let put = Point::Call("PutSecretValue", Moment::After);
        closed.set(Way::To(self.server.port));
        for name in ["away/recorded", "away/committed"] {
            let user = self.server.user("fleet").await;
            let mut document = self.server.document(&user);
            document["port"] = closed.port.into();
            self.host.secret(name, &document, Some((POSTGRES, days(30))));
        }
        self.killed("away/recorded", Step::Create, put).await;
        let point = Point::Said(closed, self.server.port, b"COMMIT\0", Moment::After);
        self.killed("away/committed", Step::Set, point).await;
        closed.set(Way::Closed);
        ["away/recorded", "away/committed"].map(|name| once(name, UNKNOWN, "", End::Left)).into()
    }

    /// Takes AWSPENDING off, as somebody does who wants to be rid of a rotation.
    pub fn take_off(&self, name: &str) {
        let id = SecretId::parse(name).unwrap();
        let pending = versions(self.host.store(), name, AWSPENDING);
        self.host.store().update_stage(&id, AWSPENDING, None, pending.as_ref()).unwrap();
    }

    /// The password that the server has, of those that the versions of a secret hold.
    pub async fn alive(&self, of: &str) -> String {
        for label in [AWSCURRENT, AWSPENDING, AWSPREVIOUS] {
            let Some(one) = document(self.host.store(), of, Select::Label(label)) else { continue };
            let field = |name: &str| one[name].as_str().unwrap();
            if self.server.logs_in(field("username"), field("password")).await {
                return field("password").to_owned();
            }
        }
        panic!("{of}: no version logs in")
    }

    /// A secret in the state of another one, with a user of its own.
    pub async fn draw(&self, (of, alive): (&str, &str), name: &str) {
        let store = self.host.store();
        let value = |label| document(store, of, Select::Label(label));
        let labels = [AWSPREVIOUS, AWSCURRENT, AWSPENDING];
        let [previous, current, pending] = labels.map(value);
        let begun = versions(store, of, AWSPENDING);
        let user = self.server.user_with("fleet", alive).await;
        let own = |document: &Value| {
            let mut own = document.clone();
            own["username"] = json!(user.name);
            own.to_string()
        };
        let first = previous.as_ref().or(current.as_ref()).unwrap();
        let value = Some(own(first).as_str().into());
        store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
        self.host.tag(name, "fourstep:strategy", "single-user");
        let id = SecretId::parse(name).unwrap();
        let lambda_arn = Some(arn(POSTGRES));
        let rotation = |immediately| NewRotation {
            token: new_token(),
            lambda_arn: lambda_arn.clone(),
            rules: Some(days(30)),
            immediately,
        };
        let test = rotation(false);
        store.rotate(&id, &test).unwrap();
        store.end_test(&id, &test.token).unwrap();
        if let (Some(_), Some(current)) = (&previous, &current) {
            store.put(&id, NewValue::current(&new_token(), own(current).as_str())).unwrap();
        }
        if begun.is_none() || begun == versions(store, of, AWSCURRENT) {
            return;
        }
        let new = rotation(true);
        store.rotate(&id, &new).unwrap();
        if let Some(pending) = pending {
            let value = own(&pending);
            let value = NewValue::labelled(&new.token, value.as_str(), &[AWSPENDING]);
            store.put(&id, value).unwrap();
        }
    }
}

/// The version with this label.
pub fn versions(store: &MemoryStore, name: &str, label: &str) -> Option<fourstep::VersionId> {
    let labels = store.describe(&SecretId::parse(name).unwrap()).unwrap().labels;
    let found = labels.into_iter().find(|(_, on)| on.iter().any(|one| one == label));
    found.map(|(version, _)| version)
}

/// The document of a version, if it has a value.
pub fn document(store: &MemoryStore, name: &str, select: Select<'_>) -> Option<Value> {
    match store.get(&SecretId::parse(name).unwrap(), select).ok()?.value {
        SecretValue::Text(text) => Some(serde_json::from_str(text.expose_secret()).unwrap()),
        SecretValue::Binary(_) => None,
    }
}
