//! An adversary beside two rotations: a user at the target, a writer of its own secret, somebody who may
//! tag it, each with every statement that they may make, before, between and after the steps of both
//! secrets' rotations, in every order of these.
//!
//! The invariant: a step changes no account outside the pair of its own secret, and the other secret's
//! AWSCURRENT logs in at every moment. What else it may come to, as a refused rotation of the
//! adversary's own secret, is the adversary's.

use std::collections::BTreeMap;
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select};
use fourstep::users::Strategies;
use fourstep::{
    Deadline, Engine, Environment, ExposeSecret, Invocation, PasswordPolicy, RotationEvent,
    SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};

use super::database::{Commit, Defect, Model};
use super::takeover::document;
use crate::Wire;
use crate::enumerator::Choices;
use crate::models::{Accounts, Mark, Server, SharedServer};

/// The secret that is the adversary's, with its pair, and the one that is not.
const SECRETS: [(&str, &str); 2] = [("own", "app"), ("theirs", "ledger")];

/// How often the order changes from one rotation to the other and back, where not all is tried.
const FEW_TURNS: usize = 2;

/// What the adversary does, once.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Move {
    /// As a user at the target, whose password it knows: writes a mark on itself.
    Claim { on: &'static str, partner: &'static str, secret: usize },
    /// As that user: another password.
    Own(&'static str),
    /// As a writer of its own secret, which it cannot read otherwise: this login, under a label.
    Put { label: &'static str, username: &'static str, password: &'static str },
    /// As somebody who may tag: another strategy.
    Tag(&'static str),
}

/// Every move there is.
fn moves() -> Vec<Move> {
    let mut all = Vec::new();
    for on in ["app", "app_clone"] {
        for partner in ["ledger", "ledger_clone", "somebody", "admin", "app", "app_clone"] {
            all.extend((0..2).map(|secret| Move::Claim { on, partner, secret }));
        }
        all.push(Move::Own(on));
    }
    for label in [AWSCURRENT, AWSPENDING, AWSPREVIOUS] {
        for username in ["ledger", "ledger_clone", "somebody", "admin", "app", "app_clone"] {
            let password = "made up by the adversary";
            all.push(Move::Put { label, username, password });
        }
    }
    all.extend(["single-user", "single-user-by-admin"].map(Move::Tag));
    all
}

/// One run.
struct World {
    store: MemoryStore,
    server: Server,
    secrets: Vec<SecretId>,
    defect: Option<Defect>,
    /// The token of each secret's rotation, and which step is next.
    under_way: Vec<(VersionId, usize)>,
    versions: u32,
    told: Vec<String>,
}

impl World {
    /// Two secrets of one server, whose pairs are made.
    async fn new(defect: Option<Defect>) -> Self {
        let server = SharedServer::server(&Wire::default());
        let half = server.arrange(|accounts| accounts.get("app").cloned()).unwrap_or_default();
        let ledger = crate::models::Account { password: "of the ledger".to_owned(), ..half };
        server.arrange(|accounts| accounts.insert("ledger".to_owned(), ledger));
        let store = MemoryStore::new();
        let admin = document(SharedServer::ADMIN, SharedServer::ADMIN_PASSWORD);
        let new = |value| NewSecret { value: Some(value), ..NewSecret::default() };
        store.create(SharedServer::ADMIN_SECRET, new(admin)).unwrap();
        let passwords = ["first-password", "of the ledger"];
        let secrets = SECRETS.iter().zip(passwords).map(|((name, user), password)| {
            let made = store.create(name, new(document(user, password))).unwrap();
            SecretId::parse(&made.arn).unwrap()
        });
        let secrets: Vec<_> = secrets.collect();
        let (under_way, told) = (Vec::new(), Vec::new());
        let mut world = Self { store, server, secrets, defect, under_way, versions: 0, told };
        world.begin();
        for secret in 0..SECRETS.len() {
            for _ in Step::ALL {
                world.step(secret).await.unwrap();
            }
        }
        world.begin();
        world
    }

    fn token(&mut self) -> VersionId {
        self.versions += 1;
        VersionId::from_store(format!("v{}-{}", self.versions, "0".repeat(32)))
    }

    /// RotateSecret of both.
    fn begin(&mut self) {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
        let tokens = [self.token(), self.token()];
        self.under_way = tokens.into_iter().map(|token| (token, 0)).collect();
        for (secret, (token, _)) in self.secrets.iter().zip(&self.under_way) {
            self.store.rotate(secret, &NewRotation::now(token, function)).unwrap();
        }
    }

    fn is_over(&self, secret: usize) -> bool {
        self.under_way[secret].1 == Step::ALL.len()
    }

    /// The next step of this secret's rotation. One that fails ends it.
    async fn step(&mut self, secret: usize) -> Result<(), String> {
        let (token, next) = self.under_way[secret].clone();
        let step = Step::ALL[next];
        let event = RotationEvent {
            step,
            secret: self.secrets[secret].clone(),
            token,
            rotation_token: None,
        };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        let strategies =
            [("ROTATION_STRATEGY", "alternating-users,single-user,single-user-by-admin")];
        let model = Model::undriven(&self.server, Commit::PerStatement, self.defect);
        let rotator =
            Strategies::of_pairs(&Environment::from(strategies), model, PasswordPolicy::default());
        let before = self.accounts();
        let result = Engine::new(&self.store, &rotator.unwrap()).step(&event, &cx).await;
        let after = self.accounts();
        self.under_way[secret].1 = if result.is_ok() { next + 1 } else { Step::ALL.len() };
        let (name, user) = SECRETS[secret];
        self.told.push(match &result {
            Ok(_) => format!("{step} of {name}"),
            Err(error) => format!("{step} of {name}: {error}"),
        });
        let pair = [user.to_owned(), format!("{user}_clone")];
        let names = before.keys().chain(after.keys());
        let mut touched = names.filter(|name| before.get(*name) != after.get(*name));
        match touched.find(|name| !pair.contains(name)) {
            Some(touched) => Err(format!("{step} of {name} changed {touched}")),
            None => self.check(),
        }
    }

    fn accounts(&self) -> Accounts {
        self.server.arrange(|accounts| accounts.clone())
    }

    /// The other secret's AWSCURRENT logs in.
    fn check(&self) -> Result<(), String> {
        let read = self.store.get(&self.secrets[1], Select::Label(AWSCURRENT)).unwrap();
        let SecretValue::Text(text) = read.value else { return Err("it is no text".to_owned()) };
        let fields: BTreeMap<String, String> = serde_json::from_str(text.expose_secret()).unwrap();
        match self.server.accepts(&fields["username"], &fields["password"]) {
            true => Ok(()),
            false => Err("AWSCURRENT of theirs does not log in".to_owned()),
        }
    }

    fn make(&mut self, one: &Move) -> Result<(), String> {
        self.told.push(format!("{one:?}"));
        match one {
            Move::Claim { on, partner, secret } => {
                let secret = self.secrets[*secret].as_str().to_owned();
                let claim = Mark { partner: (*partner).to_owned(), secret };
                self.server.arrange(|accounts| {
                    if let Some(account) = accounts.get_mut(*on) {
                        // There is one place for both.
                        (account.rights.claim, account.rights.mark) = (Some(claim), None);
                    }
                });
            }
            Move::Own(on) => self.server.arrange(|accounts| {
                if let Some(one) = accounts.get_mut(*on).filter(|one| one.is_live()) {
                    one.password = "of the adversary's own".to_owned();
                }
            }),
            Move::Put { label, username, password } => {
                let token = match *label {
                    AWSPENDING => self.under_way[0].0.clone(),
                    _ => self.token(),
                };
                let value = NewValue::labelled(&token, document(username, password), &[label]);
                // A version that has a value keeps it.
                let _ = self.store.put(&self.secrets[0], value);
            }
            Move::Tag(strategy) => {
                let tags = [("fourstep:strategy".to_owned(), (*strategy).to_owned())].into();
                self.store.tag(&self.secrets[0], tags).unwrap();
            }
        }
        self.check()
    }
}

/// How much was tried, and the first run that went wrong.
struct Tried {
    runs: u32,
    wrong: Option<(String, Vec<String>)>,
}

/// Plays all runs in which the adversary makes this many moves and the order turns this often at most.
fn play(defect: Option<Defect>, most_moves: usize, most_turns: usize) -> Tried {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (all, mut choices, mut runs) = (moves(), Choices::default(), 0);
    loop {
        runs += 1;
        let mut world = runtime.block_on(World::new(defect));
        let limits = (most_moves, most_turns);
        if let Err(wrong) = runtime.block_on(run(&mut world, &all, &mut choices, limits)) {
            return Tried { runs, wrong: Some((wrong, world.told)) };
        }
        if !choices.next() {
            return Tried { runs, wrong: None };
        }
    }
}

async fn run(
    world: &mut World,
    all: &[Move],
    choices: &mut Choices,
    (mut moves, mut turns): (usize, usize),
) -> Result<(), String> {
    let mut last = None;
    while !(world.is_over(0) && world.is_over(1)) {
        if moves > 0 {
            match choices.pick(all.len() + 1) {
                0 => {}
                one => {
                    moves -= 1;
                    world.make(&all[one - 1])?;
                }
            }
        }
        let may_turn = turns > 0 || last.is_none();
        let next = match (world.is_over(0), world.is_over(1), last) {
            (true, ..) => 1,
            (_, true, _) => 0,
            (.., Some(last)) if !may_turn => last,
            _ => choices.pick(2),
        };
        if last.is_some_and(|last| last != next) {
            turns = turns.saturating_sub(1);
        }
        last = Some(next);
        world.step(next).await?;
    }
    Ok(())
}

#[test]
fn rule_18_an_adversary_changes_no_account_outside_its_secret_s_pair() {
    let turns = if super::effort() == crate::Effort::Short { FEW_TURNS } else { usize::MAX };
    let Tried { runs, wrong } = play(None, 1, turns);
    eprintln!("{runs} runs with one of {} moves", moves().len());
    assert_eq!(wrong, None);
    if super::effort() == crate::Effort::Long {
        let Tried { runs, wrong } = play(None, 2, 0);
        eprintln!("{runs} runs with two");
        assert_eq!(wrong, None);
    }
}

/// With the rule as it was, where either user's mark proved the pair, whoever wrote it.
#[test]
fn f1_the_adversary_finds_that_a_mark_of_the_user_s_own_is_believed() {
    let (wrong, told) = play(Some(Defect::ClaimProves), 1, 0).wrong.expect("it was not found");
    assert!(wrong.ends_with("of own changed ledger"), "{wrong}: {told:#?}");
    assert!(told.iter().any(|one| one.contains("Claim")), "{told:#?}");
}
