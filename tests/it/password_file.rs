//! The recipe of CONTRIBUTING.md, tried: a backend of one file, proven by the author's kit and run as
//! a function.

#[path = "../examples/password_file.rs"]
mod backend;

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::{Value, json};

use crate::support::program::{binary, fourstep, secret_file};

const STRATEGIES: [(&str, Overlap); 3] = [
    ("single-user", Overlap::None),
    ("single-user-by-admin", Overlap::None),
    ("alternating-users", Overlap::Full),
];

/// A file of users, and the one that the secret names.
struct File {
    folder: tempfile::TempDir,
    strategy: &'static str,
    user: String,
}

impl File {
    fn new(strategy: &'static str, user: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = json!({
            "boss": {"password": "of the boss", "admin": true},
            user: {"password": password, "rights": ["read", "write"]},
        });
        std::fs::write(folder.path().join("users.json"), users.to_string()).unwrap();
        Self { folder, strategy, user: user.to_owned() }
    }

    fn users(&self) -> Value {
        let text = std::fs::read(self.folder.path().join("users.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn document(&self, user: &str) -> Value {
        json!({
            "engine": "password-file", "host": "localhost", "username": user,
            "password": self.users()[user]["password"], "masterarn": "admin",
            "dbname": self.folder.path().join("users.json"),
        })
    }
}

#[async_trait]
impl Remote for File {
    fn rotator(&self) -> Box<dyn Rotator> {
        let environment = Environment::from([("ROTATION_STRATEGY", self.strategy)]);
        Box::new(backend::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        self.document(&self.user).to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![("admin", self.document("boss").to_string())]
    }

    fn credential(&self) -> &'static [&'static str] {
        match self.strategy {
            "alternating-users" => &["username", "password"],
            _ => &["password"],
        }
    }

    fn replaces(&self) -> bool {
        self.strategy == "alternating-users"
    }

    /// Read from the file itself, which shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let user = &self.users()[document.required("username").unwrap()];
        user["password"] == document.required("password").unwrap() && user["locked"] != true
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.document(&self.user);
        document["dbname"] = json!("/nowhere/users.json");
        Some(document.to_string())
    }
}

struct Files(&'static str, Overlap);

#[async_trait]
impl Testbed for Files {
    fn overlap(&self) -> Overlap {
        self.1
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        Box::new(File::new(self.0, "app", "first-password"))
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(Box::new(File::new(self.0, user, password)))
    }
}

#[tokio::test]
async fn a_backend_by_the_recipe_conforms_with_every_strategy() {
    for (strategy, overlap) in STRATEGIES {
        let report = conformance(&Files(strategy, overlap)).await;
        eprintln!("{strategy}: {report}");
        report.assert_safe();
    }
}

/// Asks the function, as an operator does, about a pair that it has not made yet.
#[tokio::test]
async fn a_backend_by_the_recipe_answers_preflight_plan_and_inspect() {
    let file = File::new("alternating-users", "app", "first-password");
    let (secret, admin) = (secret_file(&file.secret()), file.document("boss").to_string());
    let admin = secret_file(&admin);
    let function = binary("examples/password_file");
    let before = file.users();
    for (question, word) in
        [("preflight", "would succeed"), ("plan", "app_clone"), ("inspect", "AWSCURRENT")]
    {
        let arguments = [
            question,
            "--env",
            "ROTATION_STRATEGY=alternating-users",
            "--admin",
            admin.path.to_str().unwrap(),
            "--rotator",
            function.to_str().unwrap(),
            "--secret",
            secret.path.to_str().unwrap(),
        ];
        let output = fourstep(&arguments).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(word), "{question}: {output:?}");
    }
    assert_eq!(file.users(), before, "questions change nothing");
}

/// Asks about a secret of the file, whose user's password is changed to `password` first.
async fn preflight(file: &File, password: &str, admin: Option<&str>) -> String {
    let mut document = file.document("app");
    document["password"] = json!(password);
    let (secret, function) = (secret_file(&document.to_string()), binary("examples/password_file"));
    let strategy = format!("ROTATION_STRATEGY={}", file.strategy);
    let (rotator, secret) = (function.to_str().unwrap(), secret.path.to_str().unwrap());
    let mut arguments = vec!["preflight", "--env", &strategy, "--rotator", rotator];
    arguments.extend(["--secret", secret]);
    arguments.extend(admin.into_iter().flat_map(|admin| ["--admin", admin]));
    String::from_utf8(fourstep(&arguments).await.stdout).unwrap()
}

/// The first question is no less helpful than the error of the rotation.
#[tokio::test]
async fn preflight_names_the_way_out_of_a_lost_password() {
    let file = File::new("single-user-by-admin", "app", "first-password");
    let admin = secret_file(&file.document("boss").to_string());
    let said = preflight(&file, "lost", admin.path.to_str()).await;
    for words in [
        "fails  Rejected:",
        "user \"app\"",
        "in REPAIR_USERS",
        "What to do: docs/errors.md#rejected",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn what_is_missing_on_this_machine_only_is_said_in_its_words() {
    let file = File::new("alternating-users", "app", "first-password");
    let said = preflight(&file, "first-password", None).await;
    assert!(
        said.contains("On this machine: here the admin's secret is what --admin FILE"),
        "{said}"
    );

    // A pair that was marked for a file of another path.
    let admin = secret_file(&file.document("boss").to_string());
    let (secret, function) = (secret_file(&file.secret()), binary("examples/password_file"));
    let output = fourstep(&[
        "replay",
        "--env",
        "ROTATION_STRATEGY=alternating-users",
        "--rotator",
        function.to_str().unwrap(),
        "--admin",
        admin.path.to_str().unwrap(),
        "--secret",
        secret.path.to_str().unwrap(),
    ])
    .await;
    assert!(output.status.success(), "{output:?}");
    let said = preflight(&file, "first-password", admin.path.to_str()).await;
    assert!(said.contains("made of the path of another --secret file"), "{said}");
}
