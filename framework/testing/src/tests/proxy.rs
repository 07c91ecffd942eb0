//! Alternating users behind a proxy that knows each of them by a secret of its own.
//!
//! | sequence | where it is played |
//! |---|---|
//! | a crash between the server and the proxy secret, a lost answer of either write | one crash in three rotations |
//! | a rotation that is cancelled between them, and another token | cancelled twice; between any two calls |
//! | a container that comes late with a password that was replaced | frozen in setSecret, and cancelled; planted: [`Defect::Overwrites`] |
//! | a proxy that learns late | every scenario; planted: [`Defect::Impatient`] |
//! | AWSCURRENT is moved back while its user's password is changed | rolled back between any two calls |

mod planted;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::store::{AWSCURRENT, Select};
use fourstep::users::Login;
use fourstep::{Document, Error, ExposeSecret, Rotator, Secret, SecretId, VersionId};
use fourstep_local::{MemoryStore, NewValue};
use serde_json::json;
use tokio::time::Instant;

use super::database::Commit;
use super::{assert_caught, assert_caught_in, assert_safe};
use crate::models::{Server, SharedServer};
use crate::{Effort, Overlap, Remote, Testbed, Wire, conformance};
use planted::Defect;

/// The two users, and the secrets by which the proxy knows them.
const USERS: [(&str, &str); 2] = [("app", "proxy-app"), ("app_clone", "proxy-app_clone")];
const SETTING: &str = "app=proxy-app,app_clone=proxy-app_clone";

/// What is known of the second user before it is made.
const NOTHING_YET: &str = "nothing-yet";

/// A proxy in front of a server: it knows each user's password from a secret's AWSCURRENT, which it
/// reads from time to time, and lets nobody else in. Clones are the same proxy.
#[derive(Clone)]
pub(super) struct Front {
    wire: Wire,
    server: Server,
    every: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    store: Option<Arc<MemoryStore>>,
    known: BTreeMap<String, String>,
    read: Option<Instant>,
    /// Whether the server lost what its users have, and no rotation has ended since: who logs in there
    /// need not come through the proxy, whose secrets have lost nothing.
    forgot: bool,
    /// Every password that the server ever had for a user.
    had: BTreeSet<(String, String)>,
}

impl Front {
    pub(super) const HOST: &str = "proxy";

    fn new(wire: &Wire, server: &Server, every: Duration) -> Self {
        let (wire, server) = (wire.clone(), server.clone());
        Self { wire, server, every, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn store(&self) -> Arc<MemoryStore> {
        self.state().store.clone().unwrap()
    }

    /// What a user's secret holds as AWSCURRENT.
    fn held(&self, user: &str) -> Document {
        let stored = self.store().get(&secret_of(user), Select::Label(AWSCURRENT)).unwrap();
        Secret::of_value(&stored.value).document().unwrap().clone()
    }

    fn password(&self, user: &str) -> String {
        self.held(user).required("password").unwrap().to_owned()
    }

    fn learn(&self) {
        let known = USERS.map(|(user, _)| (user.to_owned(), self.password(user)));
        let mut state = self.state();
        (state.known, state.read) = (known.into(), Some(Instant::now()));
    }

    /// Whether it lets the user in, once it has looked whether it is time to read the secrets again.
    pub(super) async fn lets_in(&self, login: &Login) -> Result<bool, Error> {
        let name = format!("log in at the proxy as {}", login.username);
        let asked = self.wire.call(&name, || {
            if self.state().read.is_none_or(|read| read.elapsed() >= self.every) {
                self.learn();
            }
            self.knows(&login.username, login.password.expose_secret())
        });
        Ok(asked.await?)
    }

    fn knows(&self, user: &str, password: &str) -> bool {
        self.state().known.get(user).is_some_and(|known| known == password)
    }

    /// Whether the proxy takes this login, whether it has read the secrets just now or has not.
    fn certainly_takes(&self, user: &str, password: &str) -> bool {
        self.state().forgot || self.knows(user, password) && self.password(user) == password
    }

    /// Stores a password for a user as its secret's AWSCURRENT, whoever may have stored another.
    fn overwrite(&self, user: &str, password: &str, token: &VersionId) {
        let (store, secret) = (self.store(), secret_of(user));
        let new = Secret::from(self.held(user).with("password", password));
        // Where it is stored already, the label alone is moved.
        let _ = store.put(&secret, NewValue::labelled(token, new.encode(), &[]));
        let labels = store.describe(&secret).unwrap().labels;
        let holder = labels.iter().find(|(_, on)| on.iter().any(|one| one == AWSCURRENT));
        let holder = holder.map(|(version, _)| version.clone());
        store.update_stage(&secret, AWSCURRENT, Some(token), holder.as_ref()).unwrap();
    }

    /// What the proxy would be told of which the server never heard.
    fn ahead(&self) -> Option<String> {
        let now = self.server.arrange(|accounts| {
            USERS.map(|(user, _)| Some((user.to_owned(), accounts.get(user)?.password.clone())))
        });
        self.state().had.extend(now.into_iter().flatten());
        let ahead = USERS.iter().any(|(user, _)| {
            let password = self.password(user);
            password != NOTHING_YET && !self.state().had.contains(&((*user).to_owned(), password))
        });
        ahead.then(|| AHEAD.to_owned())
    }
}

const AHEAD: &str = "a proxy secret holds what the server never had";

fn secret_of(user: &str) -> SecretId {
    let (_, name) = USERS.iter().find(|(one, _)| *one == user).unwrap();
    SecretId::parse(name).unwrap()
}

/// A server that is shared with others, behind a proxy.
struct BehindProxy {
    commit: Commit,
    every: Duration,
    defect: Option<Defect>,
}

fn behind(commit: Commit, seconds: u64, defect: Option<Defect>) -> BehindProxy {
    BehindProxy { commit, every: Duration::from_secs(seconds), defect }
}

#[async_trait]
impl Testbed for BehindProxy {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    fn turns(&self, effort: Effort) -> u32 {
        // Its calls are half as many again as without a proxy: two turns take minutes.
        if effort == Effort::Short { 1 } else { 4 }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let server = SharedServer::server(wire);
        let front = Front::new(wire, &server, self.every);
        let (at, commit, defect) = (front.clone(), self.commit, self.defect);
        let shared = SharedServer::new(Overlap::Full, move |server: &Server| {
            planted::alternating(&at, server, commit, defect)
        });
        Box::new(Proxied { shared: shared.remote(&server), front })
    }
}

/// The shared server as it is, but that logins count through the proxy.
struct Proxied {
    shared: Box<dyn Remote>,
    front: Front,
}

#[async_trait]
impl Remote for Proxied {
    fn rotator(&self) -> Box<dyn Rotator> {
        self.shared.rotator()
    }

    fn secret(&self) -> String {
        let secret = Secret::decode(&self.shared.secret().into());
        let proxied = secret.document().unwrap().with("proxyHost", Front::HOST);
        Secret::from(proxied).expose().unwrap()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        let own = Secret::decode(&self.shared.secret().into());
        let own = own.document().unwrap().required("password").unwrap().to_owned();
        let proxys = USERS.into_iter().zip([own.as_str(), NOTHING_YET]);
        let proxys = proxys.map(|((user, name), password)| {
            let held = json!({"username": user, "password": password, "dbClusterIdentifier": "x"});
            (name, held.to_string())
        });
        self.shared.other_secrets().into_iter().chain(proxys).collect()
    }

    fn placed(&self, store: &Arc<MemoryStore>) {
        self.front.state().store = Some(Arc::clone(store));
        self.front.learn();
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let Ok(document) = secret.document() else { return false };
        let field = |name| document.required(name).unwrap_or_default();
        self.shared.accepts(secret).await
            && self.front.certainly_takes(field("username"), field("password"))
    }

    fn credential(&self) -> &'static [&'static str] {
        self.shared.credential()
    }

    async fn credentials(&self) -> Option<usize> {
        self.shared.credentials().await
    }

    fn complaint(&self) -> Option<String> {
        let other = USERS.iter().any(|(user, _)| {
            let held = self.front.held(user);
            held.field("username") != Some(&json!(user))
                || held.field("dbClusterIdentifier") != Some(&json!("x"))
        });
        let lost = other.then(|| "a proxy secret lost another field".to_owned());
        self.shared.complaint().or(self.front.ahead()).or(lost)
    }

    fn unsettled(&self) -> Option<String> {
        self.front.state().forgot = false;
        self.shared.unsettled()
    }

    fn administer(&self, current: &Secret) -> bool {
        self.shared.administer(current)
    }

    fn replaces(&self) -> bool {
        self.shared.replaces()
    }

    fn hour_passes(&self) {
        self.shared.hour_passes();
    }

    fn remember(&self) {
        self.shared.remember();
    }

    fn forget(&self) -> bool {
        self.front.state().forgot = true;
        self.shared.forget()
    }
}

#[test]
fn a_pair_behind_a_proxy_that_learns_late_survives_every_sweep() {
    assert_safe(&behind(Commit::PerDatabase, 5, None));
}

#[test]
fn a_pair_behind_a_proxy_that_learns_at_once_survives_every_sweep() {
    assert_safe(&behind(Commit::PerStatement, 0, None));
}

#[tokio::test(start_paused = true)]
async fn a_pair_behind_a_proxy_conforms() {
    for commit in [Commit::PerDatabase, Commit::PerStatement] {
        conformance(&behind(commit, 5, None)).await.assert_safe();
    }
}

#[test]
fn a_proxy_secret_that_is_written_before_the_server_is_told_is_caught() {
    assert_caught(&behind(Commit::PerDatabase, 5, Some(Defect::ToldFirst)), AHEAD);
}

#[test]
fn a_promotion_before_the_proxy_secret_is_written_is_caught() {
    let broken = behind(Commit::PerDatabase, 5, Some(Defect::PromotedFirst));
    assert_caught(&broken, "AWSCURRENT does not log in");
}

#[test]
fn a_promotion_before_the_proxy_has_read_its_secret_is_caught() {
    let broken = behind(Commit::PerDatabase, 5, Some(Defect::Impatient));
    assert_caught(&broken, "AWSCURRENT does not log in");
}

#[test]
fn a_write_into_the_proxy_secret_of_the_user_in_use_is_caught() {
    let broken = behind(Commit::PerDatabase, 5, Some(Defect::InUse));
    assert_caught(&broken, AHEAD);
}

#[test]
fn a_late_container_that_overwrites_what_a_later_rotation_stored_is_caught() {
    let broken = behind(Commit::PerDatabase, 5, Some(Defect::Overwrites));
    let scenario = "frozen in setSecret, cancelled";
    assert_caught_in(&broken, scenario, "AWSCURRENT does not log in");
}
