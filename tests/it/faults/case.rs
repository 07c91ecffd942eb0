//! One fault: a user, a secret and a rotation of its own, the step that fails, and the retry.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use fourstep::store::aws::AwsStore;
use fourstep::store::{AWSCURRENT, AWSPENDING, SecretStore};
use fourstep::{Deadline, Engine, Environment, ErrorKind, Invocation, Request, Step, VersionId};
use fourstep_cli::events;
use fourstep_local::serve;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::leaks::Planted;
use crate::support::door::{Door, Way};
use crate::support::postgres::{self, User};
use crate::support::stage::{Ended, Stage};

use super::advice::{Led, Remedy};
use super::ahead::Ahead;
use super::site::Site;

/// What all faults stand on: a server of one kind.
pub struct Ground<S = postgres::Server> {
    pub server: S,
    /// Every password that was used, to be looked for in the end.
    pub planted: Mutex<Planted>,
    /// Which of the ways out that a message prints is followed.
    pub choice: AtomicUsize,
}

impl<S> Ground<S> {
    pub fn new(server: S) -> Arc<Self> {
        Arc::new(Self { server, planted: Mutex::default(), choice: AtomicUsize::default() })
    }
}

/// The most that a step may take of its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// 25 %, of which a busy machine takes most: nothing is waited for.
    AtOnce,
    /// 75 %: something has a limit of its own.
    Before,
    /// All but nothing of it: it is cut off by the deadline.
    AtDeadline,
}

/// What a failed step left at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The password that was there.
    Unchanged,
    /// The pending password: the statement took effect, and nobody heard of it.
    Changed,
}

/// How a fault ended.
pub struct Row {
    pub name: &'static str,
    /// What faults have in common that nobody can tell apart from outside; else the name.
    pub cause: &'static str,
    pub step: Step,
    pub kind: ErrorKind,
    pub share: Share,
    pub left: Left,
    /// What a preflight said before it.
    pub ahead: Ahead,
    /// How many ways out the message prints that can be followed literally.
    pub ways: usize,
    /// Those that were, and where they led.
    pub led: Vec<(Remedy, Led)>,
    /// With names, ports, ids and times masked.
    pub message: String,
}

/// A fault under way.
pub struct Case<S = postgres::Server> {
    pub ground: Arc<Ground<S>>,
    pub user: User,
    /// The admin that the secret names, if it names one.
    pub admin: Option<User>,
    pub stage: Stage,
    pub token: VersionId,
    /// How long a step may take.
    pub seconds: u64,
    name: &'static str,
    cause: &'static str,
    pub seen: Arc<dyn SecretStore>,
    service: Option<serve::Server>,
    /// How many steps have succeeded.
    done: usize,
    /// The function's variables.
    pub variables: Vec<(String, String)>,
    /// Whether a way out that the message prints has led out. Then a play's own changes nothing more.
    pub followed: bool,
    pub row: Option<Row>,
}

/// What a secret's admin is named by.
pub const ADMIN_SECRET: &str = "db-admin";

/// Long enough for a quick step to stay below its share of it on a busy machine.
const SECONDS: u64 = 24;

/// How long such a machine may let a step stand still besides.
const GRACE: Duration = Duration::from_secs(4);

impl<S: Site> Case<S> {
    /// A new user, and a secret with this change that a rotation was begun of.
    pub async fn new(
        ground: &Arc<Ground<S>>,
        name: &'static str,
        variables: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let user = ground.server.new_user().await;
        let mut document = ground.server.document(&user);
        change(&mut document);
        let stage = ground.server.stage(&document, variables);
        let token = stage.begin();
        let seen = Arc::clone(&stage.store) as Arc<dyn SecretStore>;
        let ground = Arc::clone(ground);
        let case = Self {
            ground,
            user,
            admin: None,
            stage,
            token,
            seconds: SECONDS,
            name,
            cause: name,
            seen,
            service: None,
            done: 0,
            variables: owned(variables),
            followed: false,
            row: None,
        };
        case.plant().await;
        case
    }

    /// As [`new`](Self::new), with a door to the server in the secret.
    pub async fn behind(ground: &Arc<Ground<S>>, name: &'static str, seconds: u64) -> (Self, Door) {
        let door = Door::new(Way::To(ground.server.port())).await;
        let mut case =
            Self::new(ground, name, &[], |document| document["port"] = door.port.into()).await;
        case.seconds = seconds;
        (case, door)
    }

    /// Has the function reach its secret through HTTP, the real SDK and a door.
    pub async fn through_the_sdk(mut self) -> (Self, Door) {
        let memory = Arc::clone(&self.stage.store);
        let service = serve::start(([127, 0, 0, 1], 0).into(), memory, None).await.unwrap();
        let door = Door::new(Way::To(service.address().port())).await;
        self.service = Some(service);
        self.call(&format!("http://127.0.0.1:{}", door.port)).await;
        (self, door)
    }

    /// Has the function reach Secrets Manager here.
    pub async fn call(&mut self, endpoint: &str) {
        let environment = Environment::from([("SECRETS_MANAGER_ENDPOINT", endpoint)]);
        self.seen = Arc::new(AwsStore::connect(&environment).await.unwrap());
    }

    /// Says what this fault shares with others.
    pub fn cause(mut self, cause: &'static str) -> Self {
        self.cause = cause;
        self
    }

    /// Another function with these variables.
    pub fn configure(&mut self, variables: &[(&str, &str)]) {
        if self.followed {
            return;
        }
        self.variables = owned(variables);
        let document = self.stage.document(AWSCURRENT);
        self.stage.rotator = self.ground.server.stage(&document, variables).rotator;
    }

    pub async fn arrange(&self, sql: &str) {
        if !self.followed {
            self.ground.server.arrange(&sql.replace("USER", &self.user.name)).await;
        }
    }

    async fn deliver(&self, step: Step, time: Duration) -> Ended {
        let cx = Invocation::new(Deadline::after(time));
        let event = events::step(step, self.stage.secret.as_str(), self.token.as_str());
        let Ok(Request::Rotate(event)) = Request::decode(&event) else { panic!("no step") };
        let result = Engine::new(&*self.seen, &self.stage.rotator).step(&event, &cx).await;
        self.plant().await;
        Ended { result, stats: cx.stats() }
    }

    /// Does the steps before this one, which succeed.
    pub async fn reach(&mut self, step: Step) {
        while Step::ALL[self.done] != step {
            self.go_on().await;
        }
    }

    /// Does the next step, which succeeds.
    pub async fn go_on(&mut self) {
        let ended = self.deliver(Step::ALL[self.done], Duration::from_secs(30)).await;
        assert!(ended.result.is_ok(), "{}: {}", self.name, ended.error());
        self.done += 1;
    }

    /// Does this step, which fails in this way.
    pub async fn ends(&mut self, step: Step, kind: ErrorKind, share: Share, left: Left) {
        self.reach(step).await;
        let (ahead, said_ahead) = self.ask_ahead(self.name).await;
        let before = self.verifier().await;
        let started = Instant::now();
        let time = Duration::from_secs(self.seconds);
        let ended = self.deliver(step, time).await;
        let taken = started.elapsed();
        let error = ended.result.expect_err(self.name);
        let percent = match share {
            Share::AtOnce => 25,
            Share::Before => 75,
            Share::AtDeadline => 100,
        };
        assert_eq!(error.kind(), kind, "{}: {error}", self.name);
        assert!(taken <= time * percent / 100 + GRACE, "{}: it took {taken:?}: {error}", self.name);
        let after = self.verifier().await;
        assert_eq!(left == Left::Unchanged, before == after, "{}: {error}", self.name);
        self.ground.planted.lock().await.assert_absent(self.name, &error.to_string());
        let message = self.masked(&error.to_string());
        let (name, cause) = (self.name, self.cause);
        let (ways, led) = (0, Vec::new());
        self.row = Some(Row { name, cause, step, kind, share, left, ahead, ways, led, message });
        self.follow_what_was_said(&error.to_string(), said_ahead).await;
    }

    /// Edits the secret, and begins anew.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut document = self.stage.document(AWSCURRENT);
        change(&mut document);
        self.store(&document);
    }

    /// Corrects the secret as an operator does: with what the server has, which begins anew.
    pub fn correct(&mut self) {
        let mut document = self.ground.server.document(&self.user);
        if self.admin.is_some() {
            document["masterarn"] = ADMIN_SECRET.into();
        }
        self.store(&document);
    }

    fn store(&mut self, document: &Value) {
        if self.followed {
            return;
        }
        self.stage.put_current(document);
        self.discard();
        self.begin();
    }

    /// Takes AWSPENDING off, as errors tell operators to.
    pub fn discard(&self) {
        if self.followed {
            return;
        }
        if let Some(pending) = &self.stage.labels()[1] {
            let (store, secret) = (&self.stage.store, &self.stage.secret);
            store.update_stage(secret, AWSPENDING, None, Some(pending)).unwrap();
        }
    }

    pub fn service_port(&self) -> u16 {
        self.service.as_ref().unwrap().address().port()
    }

    /// RotateSecret, with a token of its own.
    pub fn begin(&mut self) {
        if self.followed {
            return;
        }
        self.token = self.stage.begin();
        self.done = 0;
    }

    /// With the fault gone, the rotation is played again from its beginning, as the service does.
    pub async fn converges(self) -> Row {
        if let Err(error) = self.rotate_again().await {
            panic!("{}, the retry: {error}", self.name);
        }
        assert_eq!(self.stage.labels()[0].as_ref(), Some(&self.token), "{}", self.name);
        let current = self.stage.document(AWSCURRENT);
        let [user, password] = ["username", "password"].map(|one| current[one].as_str().unwrap());
        assert!(self.ground.server.logs_in(user, password).await, "{}", self.name);
        self.row.expect("a fault that was played")
    }

    /// The whole rotation, and what it stops at.
    pub async fn rotate_again(&self) -> Result<(), String> {
        self.stage.store.clear_faults();
        for step in Step::ALL {
            let ended = self.deliver(step, Duration::from_secs(30)).await;
            ended.result.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What the server keeps of the passwords: something else after every change.
    async fn verifier(&self) -> String {
        self.ground.server.kept(&self.names()).await
    }

    /// The users of this fault.
    pub fn names(&self) -> Vec<String> {
        let mut users = vec![self.user.name.clone(), self.second()];
        users.extend(self.admin.iter().map(|admin| admin.name.clone()));
        users
    }

    /// The user that alternates with the secret's.
    pub fn second(&self) -> String {
        format!("{}_clone", self.user.name)
    }

    /// Every password there is by now.
    async fn plant(&self) {
        let mut planted = self.ground.planted.lock().await;
        planted.add("the first password", &self.user.password);
        if let Some(admin) = &self.admin {
            planted.add("the admin's password", &admin.password);
        }
        for label in [AWSCURRENT, AWSPENDING] {
            let text = self.stage.try_text(label).unwrap_or_default();
            let document: Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(password) = document["password"].as_str().filter(|text| text.len() > 9) {
                planted.add("a password", password);
            }
        }
    }
}

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
