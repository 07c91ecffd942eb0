//! `Debug` of every public type, made of canaries; and a guard that no public type is forgotten.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fourstep::rds::AwsRds;
use fourstep::store::aws::AwsStore;
use fourstep::store::{SecretStore, Select, StoredVersion};
use fourstep::users::{
    Assessment, Attempt, Database as _, Driver, LoggedIn, Login, ManagedUser, NewPrimary, Part,
    SingleUser, driver,
};
use fourstep::vendor::{Caller, Issued, IssuedKeys, PairedKey, RolledKey, UpdatedKey};
use fourstep::{
    Current, Deadline, Environment, Invocation, PasswordPolicy, Pending, Previous, Request,
    RotationToken, Secret, SecretId, SecretValue, VersionId,
};
use fourstep_cli::function::{Function, Sam};
use fourstep_cli::player::Player;
use fourstep_cli::replay::crash::Reset;
use fourstep_cli::replay::{Options, Rotator, SecretFile, Stage};
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, ReadValue};
use fourstep_testing::models::{Account, Identified, IssuedKey, Server, Terms, Vendor};
use fourstep_testing::{Asked, DoubleKeys, Fault, Told, Wire};
use rotate_mongodb::Mongodb;
use rotate_mysql::Mysql;
use rotate_postgres::Postgres;
use rotate_sqlserver::Sqlserver;
use serde_json::json;

use super::Planted;
use super::public_types::public_types;
use super::without_secret::WITHOUT_SECRET;
use crate::support::postgres::server;
use crate::support::program::secret_file;
use crate::support::stage::FUNCTION;

/// Each public type that holds a secret, printed in both ways.
#[derive(Default)]
struct Printed {
    types: BTreeSet<&'static str>,
    text: String,
}

impl Printed {
    fn see(&mut self, name: &'static str, value: &dyn Debug) {
        self.types.insert(name);
        self.text += &format!("{name}: {value:?}\n{name}: {value:#?}\n");
    }
}

/// What every value is made of.
struct Source {
    planted: Planted,
    text: String,
    secret: Secret,
    version: VersionId,
    token: RotationToken,
}

fn source() -> Source {
    let mut planted = Planted::default();
    let password = planted.new_one("the password");
    let text = json!({
        "engine": "postgres", "host": "h", "username": "u", "password": password,
        "note": planted.new_one("another field"),
    })
    .to_string();
    planted.add("the whole secret", &text);
    let token = RotationToken::parse(&planted.new_one("the RotationToken")).unwrap();
    let secret = Secret::decode(&text.as_str().into());
    Source { planted, text, secret, version: VersionId::from_store("v".repeat(32)), token }
}

/// The kit's models, which keep passwords as a server does.
fn models(source: &Source, printed: &mut Printed) {
    let mut account = Account::with_password(&source.text);
    account.dual.retained = Some(source.text.clone());
    account.dual.former = vec![source.text.clone()];
    printed.see("Account", &account);
    printed.see("DualPassword", &account.dual);
    printed.see("Identified", &Identified::by(&source.text).replace(&source.text));
    let wire = Wire::default();
    printed.see("Wire", &wire);
    printed.see("Server", &Server::new(&wire, [("u".to_owned(), account)].into()));
    let vendor = Vendor::new(&wire, Terms::default());
    printed.see("Vendor", &vendor);
    let value = source.text.as_str().into();
    printed.see("IssuedKey", &IssuedKey { id: "k".to_owned(), value });
    let told = Told::json(200, source.text.clone());
    printed.see("Fault", &Fault::Answer(told.clone()));
    printed.see("Told", &told);
    let text = || source.text.clone();
    let headers = [("authorization".to_owned(), text())].into();
    let (method, path, query) = ("GET".to_owned(), "/".to_owned(), [(text(), text())].into());
    printed.see("Asked", &Asked { method, path, query, headers, body: text() });
    let mut keys = DoubleKeys::default();
    let mut key = keys.issue(Some(&source.text)).unwrap();
    key.value.clone_from(&source.text);
    printed.see("DoubleKey", &key);
}

fn framework(source: &Source, printed: &mut Printed) {
    let Source { text, secret, version, token, .. } = source;
    let event = json!({"Step": "setSecret", "SecretId": "s", "RotationToken": token.expose(),
        "ClientRequestToken": version.as_str()});
    let request = Request::decode(&event).unwrap();
    printed.see("Request", &request);
    let Request::Rotate(rotation) = request else { panic!("it is a rotation") };
    printed.see("RotationEvent", &rotation);
    printed.see("RotationToken", &rotation.rotation_token);
    printed.see(
        "Secret",
        &[
            secret,
            &Secret::of_bytes(text.clone().into_bytes()),
            &Secret::decode(&text.replace('{', "").into()),
        ],
    );
    printed.see("Document", secret.document().unwrap());
    let current = Current::new(version.clone(), secret.clone());
    printed.see("Pending", &Pending::new(version.clone(), secret.clone()));
    printed.see("Previous", &Previous::new(version.clone(), secret.clone()));
    printed.see("Current", &current);
    let environment = Environment::from([("AWS_SESSION_TOKEN", text.as_str())]);
    let postgres = Postgres::read(&environment).unwrap();
    let login = Login::read(secret, postgres.dialect()).unwrap();
    printed.see("Attempt", &Attempt::Accepted(login.clone()));
    printed.see("Login", &login);
    printed.see("Environment", &environment);
    printed.see("AwsRds", &AwsRds::read(&environment).unwrap());
    let policy = PasswordPolicy::read(&environment, "").unwrap();
    let replace = Some(&login.password);
    printed.see("NewPrimary", &NewPrimary { password: &login.password, replace, retain: true });
    printed.see("Mongodb", &Mongodb::read(&environment).unwrap());
    printed.see("Sqlserver", &Sqlserver::read(&environment).unwrap());
    let mysql = Driver::read(&environment, Mysql::read(&environment).unwrap()).unwrap();
    let mysql = Arc::new(mysql);
    printed.see("Mysql", &mysql);
    printed.see("DualPassword", &fourstep::users::DualPassword::new(mysql, policy.clone()));
    printed.see("Postgres", &postgres);
    let driver = Driver::read(&environment, postgres).unwrap();
    printed.see("Driver", &driver);
    printed.see("SingleUser", &SingleUser::new(Arc::new(driver), policy));
    let (name, password) = (login.username.clone(), Some(login.password.clone()));
    let user = ManagedUser { arn: "a".into(), name, password, login: Some(login.clone()) };
    printed.see("ManagedUser", &user);
    let cx = Invocation::new(Deadline::after(Duration::from_secs(1)));
    printed.see("LoggedIn", &LoggedIn { login: login.clone(), session: (), cx: &cx });
    let part = || Part { login: login.clone(), steps: Vec::new() };
    printed.see("Part", &part());
    printed.see("Assessment", &Assessment { parts: vec![part()], ..Assessment::<()>::default() });
    printed.see("Caller", &Caller { own: secret, admin: Some(secret) });
    printed.see("Issued", &Issued::Key(secret.clone()));
    printed.see("IssuedKeys", &IssuedKeys::new(environment.clone()));
    let pairs = Environment::from([("USER_PAIRS", "app=app_b")]);
    printed.see("PairedKey", &PairedKey::read(&pairs, environment.clone()).unwrap());
    printed.see("RolledKey", &RolledKey::new(environment.clone()));
    printed.see("UpdatedKey", &UpdatedKey::new(environment));
}

async fn stores(source: &Source, printed: &mut Printed) {
    let Source { text, version, token, .. } = source;
    let bytes = SecretValue::Binary(text.clone().into_bytes().into());
    let value = || SecretValue::from(text.as_str());
    printed.see("SecretValue", &[value(), bytes.clone()]);
    let new = NewSecret { value: Some(bytes), ..NewSecret::default() };
    printed.see("NewSecret", &[new, NewSecret { value: Some(value()), ..NewSecret::default() }]);
    let put =
        NewValue { rotation_token: Some(token.clone()), ..NewValue::current(version, value()) };
    printed.see("NewValue", &put);
    let store = Arc::new(MemoryStore::new());
    store.create("s", NewSecret { value: Some(value()), ..NewSecret::default() }).unwrap();
    let secret = SecretId::parse("s").unwrap();
    store.rotate(&secret, &NewRotation::now(version, FUNCTION)).unwrap();
    let pending = NewValue { labels: vec!["AWSPENDING".to_owned()], ..put };
    store.put(&secret, pending).unwrap();
    let read: ReadValue = store.get(&secret, Select::Label("AWSCURRENT")).unwrap();
    printed.see("ReadValue", &read);
    let stored: StoredVersion =
        store.get_secret_value(&secret, Select::Label("AWSPENDING")).await.unwrap();
    printed.see("StoredVersion", &stored);
    printed.see("MemoryStore", &store);
    let server = serve::start(([127, 0, 0, 1], 0).into(), store, None).await.unwrap();
    let environment = Environment::from([("SECRETS_MANAGER_ENDPOINT", server.url().as_str())]);
    printed.see("AwsStore", &AwsStore::connect(&environment).await.unwrap());
    printed.see("Server", &server);
    printed.see("AccessKey", &serve::AccessKey::given(&source.text));
}

/// Variables for a function may be credentials.
fn command_line(source: &Source, printed: &mut Printed) {
    let environment = vec![("AWS_SESSION_TOKEN".to_owned(), source.text.clone())];
    let timeout = Duration::from_secs(1);
    printed.see("Function", &Function::new(Path::new("f"), "http://e", &environment, timeout));
    let sam = Sam {
        function: None,
        endpoint: "http://e".to_owned(),
        access_key_id: source.text.clone(),
        environment: environment.clone(),
        arguments: Vec::new(),
    };
    printed.see("Sam", &[&sam, &sam]);
    printed.see("Function", &Function::of_sam(sam));
    let pending_label = fourstep_local::PendingLabel::Left;
    printed.see(
        "Player",
        &Player {
            rotator: "f".into(),
            endpoint: "http://e".to_owned(),
            environment: environment.clone(),
            verbose: false,
            timeout,
            pending_label,
        },
    );
    let file = secret_file(&source.text);
    printed.see("SecretFile", &SecretFile::open(&file.path, false).unwrap());
    let rotator = Rotator::Binary("f".into());
    printed.see("Rotator", &rotator);
    let stage = Stage {
        rotator,
        listen: ([127, 0, 0, 1], 0).into(),
        secret: file.path.clone(),
        binary: false,
        arn: None,
        admin: None,
        environment,
        verbose: false,
        timeout,
    };
    printed.see("Stage", &stage);
    printed.see("Reset", &Reset::new(source.text.as_str()));
    printed.see(
        "Options",
        &Options {
            stage,
            steps: Vec::new(),
            twice: false,
            rotations: 1,
            test_only: false,
            pending_label,
        },
    );
}

#[tokio::test]
async fn rule_12_debug_of_no_public_type_shows_a_value() {
    let source = source();
    let mut printed = Printed::default();
    framework(&source, &mut printed);
    models(&source, &mut printed);
    stores(&source, &mut printed).await;
    command_line(&source, &mut printed);
    source.planted.assert_absent("Debug", &printed.text);
    // Where the same value is printed by a type that redacts nothing, it is found.
    let login = format!("{:#?}", source.text);
    assert_eq!(source.planted.found_in(&login).len(), 3);

    // `Session` needs a server, so it is seen where there is one.
    let public = public_types();
    let without = WITHOUT_SECRET.iter().flat_map(|(_, names)| names.iter().copied());
    let listed: BTreeSet<String> =
        printed.types.into_iter().chain(without).chain(["Session"]).map(str::to_owned).collect();
    let forgotten: Vec<_> = public.difference(&listed).collect();
    assert!(
        forgotten.is_empty(),
        "print these here, or say why they hold no secret: {forgotten:?}"
    );
    let gone: Vec<_> = listed.difference(&public).collect();
    assert!(gone.is_empty(), "these exist no more: {gone:?}");
}

#[tokio::test]
async fn rule_12_debug_of_a_session_shows_no_password() {
    let Some(server) = server() else { return };
    let mut planted = Planted::default();
    let user = server.user_with("session", &planted.new_one("the password")).await;
    let secret = Secret::decode(&server.document(&user).to_string().into());
    let postgres = Postgres::read(&Environment::default()).unwrap();
    let login = Login::read(&secret, postgres.dialect()).unwrap();
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let Attempt::Accepted(session) = driver::log_in(&postgres, &login, &cx).await.unwrap() else {
        panic!("the password is right")
    };
    planted.assert_absent("Session", &format!("{session:?} {session:#?} {postgres:#?}"));
}

/// Compiles only as long as these types have no `Debug`: with it, the compiler could not choose.
#[test]
fn these_have_no_debug() {
    trait Chosen<Way> {
        fn chosen() {}
    }
    struct WithDebug;
    impl<T: ?Sized> Chosen<()> for T {}
    impl<T: ?Sized + Debug> Chosen<WithDebug> for T {}
    <fourstep::CreateContext<'static> as Chosen<_>>::chosen();
    <fourstep::SetContext<'static> as Chosen<_>>::chosen();
    <dyn fourstep::Fence as Chosen<_>>::chosen();
    <<Postgres as fourstep::users::Database>::Prepared as Chosen<_>>::chosen();
    <<Mongodb as fourstep::users::Database>::Prepared as Chosen<_>>::chosen();
    <<Mysql as fourstep::users::Database>::Prepared as Chosen<_>>::chosen();
    <<rotate_redis::Redis as fourstep::users::Database>::Prepared as Chosen<_>>::chosen();
    <<Sqlserver as fourstep::users::Database>::Prepared as Chosen<_>>::chosen();
    <fourstep::InspectContext<'static> as Chosen<_>>::chosen();
    <fourstep::SecretReader<'static> as Chosen<_>>::chosen();
    <fourstep::RetireContext<'static> as Chosen<_>>::chosen();
    <fourstep::PromoteContext<'static> as Chosen<_>>::chosen();
    <fourstep::Engine<'static> as Chosen<_>>::chosen();
    <fourstep::store::SecretClient<'static> as Chosen<_>>::chosen();
    <fourstep_cli::replay::Report<'static> as Chosen<_>>::chosen();
    <fourstep_testing::models::OneUser as Chosen<_>>::chosen();
    <fourstep::users::scram::Keys as Chosen<_>>::chosen();
    <fourstep::users::scram::Scram as Chosen<_>>::chosen();
    <fourstep::users::scram::Expected as Chosen<_>>::chosen();
}
