//! Faults of the strategies in which an admin has a hand: what stands in the way of by-admin and
//! alternating-users rotations, and that the way out that the message names leads out.

pub mod mysql;
pub mod postgres;
mod postgres_pair;
mod secret;

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use fourstep_local::NewSecret;
use serde_json::json;

use super::Playing;
use super::case::{ADMIN_SECRET, Case, Ground, Left, Row, Share};
use super::site::Site;

const BY_ADMIN: &str = "single-user-by-admin";
const ALTERNATING: &str = "alternating-users";

impl<S: Site> Case<S> {
    /// A new user and its admin, a secret that names both, and a function with this strategy.
    async fn administered(
        ground: &Arc<Ground<S>>,
        name: &'static str,
        strategy: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut case = Self::new(ground, name, &[], |_| ()).await;
        let admin = ground.server.new_admin(&case.user).await;
        let value = Some(ground.server.document(&admin).to_string().as_str().into());
        let secret = NewSecret { value, ..NewSecret::default() };
        case.stage.store.create(ADMIN_SECRET, secret).unwrap();
        case.admin = Some(admin);
        case.follow(strategy, variables);
        case.correct();
        case
    }

    /// The function with this strategy and these variables, in which names stand in braces.
    fn follow(&mut self, strategy: &str, variables: &[(&str, &str)]) {
        let filled: Vec<_> =
            variables.iter().map(|(name, text)| (*name, self.fill(text))).collect();
        let variables = filled.iter().map(|(name, text)| (*name, text.as_str()));
        let all: Vec<_> =
            std::iter::once(("ROTATION_STRATEGY", strategy)).chain(variables).collect();
        self.configure(&all);
    }

    /// Fills in the names of this case.
    fn fill(&self, text: &str) -> String {
        let admin = self.admin.as_ref().unwrap();
        let arn = self.stage.store.describe(&self.stage.secret).unwrap().arn;
        let mark = json!({"partner": self.user.name, "secret": arn}).to_string();
        text.replace("{user}", &self.user.name)
            .replace("{clone}", &self.second())
            .replace("{long}", &self.ground.server.long_name(&self.user))
            .replace("{admin}", &admin.name)
            .replace("{password}", &self.user.password)
            .replace("{admin's password}", &admin.password)
            .replace("{mark}", &mark)
    }

    /// Runs SQL as the administrator, in which names stand in braces.
    async fn make(&self, sql: &[&str]) {
        for sql in sql.iter().filter(|_| !self.followed) {
            self.ground.server.arrange(&self.fill(sql)).await;
        }
    }

    /// A rotation from its beginning to its end, and the beginning of another.
    async fn rotated(&mut self) {
        self.reach(Step::Finish).await;
        self.go_on().await;
        self.stage.end(&self.token);
        self.begin();
    }
}

/// Something about users, an admin or the function that a rotation stops at. Names stand in braces.
struct Arranged {
    name: &'static str,
    /// Empty where it shares its message with no other.
    cause: &'static str,
    strategy: &'static str,
    variables: &'static [(&'static str, &'static str)],
    /// The user that the secret names, if it is another one.
    username: &'static str,
    /// Run right before the step.
    begin: &'static [&'static str],
    step: Step,
    kind: ErrorKind,
    /// Run before the retry.
    end: &'static [&'static str],
    /// Another strategy for the retry, if the way out is one.
    then: Option<(&'static str, &'static [(&'static str, &'static str)])>,
}

/// What most of them have in common.
const ARRANGED: Arranged = Arranged {
    name: "",
    cause: "",
    strategy: BY_ADMIN,
    variables: &[],
    username: "",
    begin: &[],
    step: Step::Set,
    kind: ErrorKind::Forbidden,
    end: &[],
    then: None,
};

impl Arranged {
    async fn play<S: Site>(&self, ground: &Arc<Ground<S>>) -> Row {
        let case = Case::administered(ground, self.name, self.strategy, self.variables).await;
        let mut case = if self.cause.is_empty() { case } else { case.cause(self.cause) };
        if !self.username.is_empty() {
            let username = case.fill(self.username);
            case.edit(|document| document["username"] = json!(username));
        }
        case.reach(self.step).await;
        let _known = crate::support::mysql::PLUGINS.read().await;
        case.make(self.begin).await;
        case.ends(self.step, self.kind, Share::AtOnce, Left::Unchanged).await;
        case.make(self.end).await;
        if let Some((strategy, variables)) = self.then {
            case.follow(strategy, variables);
        }
        case.converges().await
    }
}

/// These, to be played.
fn arranged<S: Site>(ground: &Arc<Ground<S>>, all: &'static [Arranged]) -> Vec<Playing> {
    all.iter()
        .map(|one| -> Playing {
            let ground = Arc::clone(ground);
            Box::pin(async move { one.play(&ground).await })
        })
        .collect()
}
