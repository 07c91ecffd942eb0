//! A specification at a double: files for the function, and the function itself.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fourstep::{
    Deadline, Engine as Steps, Environment, Error, Invocation, Outcome, RotationEvent, SecretId,
    Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret};
use fourstep_testing::{Asked, Double};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::program::{binary, fourstep};
use crate::support::stage::FUNCTION;

/// What an admin shows to a double.
pub const ADMIN: &str = "admin-credential-0001";

/// The users that take turns, where a specification has such.
pub const PAIR: &str = "app=app_b,app@example.com=app_b@example.com";

/// Name and password of Basic authentication, or nothing.
pub fn basic(asked: &Asked) -> (String, String) {
    let pair = asked.header("authorization").strip_prefix("Basic ").unwrap_or_default();
    let pair = String::from_utf8(STANDARD.decode(pair).unwrap_or_default()).unwrap_or_default();
    let (name, word) = pair.split_once(':').unwrap_or_default();
    (name.to_owned(), word.to_owned())
}

/// Where shipped specifications are.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rotators/api/specs")
}

/// A shipped specification's text.
pub fn specification(file: &str) -> String {
    std::fs::read_to_string(shipped().join(file)).unwrap()
}

/// The same text, sent to a double: every URL keeps its path.
pub fn redirected(text: &str, double: &Double) -> String {
    let line = |line: &str| {
        let Some(url) = line.strip_prefix("base_url = \"https://") else { return line.to_owned() };
        let path = url.trim_end_matches('"').split_once('/').map_or("", |(_, path)| path);
        format!("base_url = \"{}/{path}\"", double.url())
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Files for a function.
pub struct Files {
    folder: TempDir,
}

impl Files {
    pub fn new(spec: &str, secret: &str, admin: Option<&Value>) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(files.path("spec.toml"), spec).unwrap();
        std::fs::write(files.path("secret.json"), secret).unwrap();
        let admin = admin.map_or(String::new(), ToString::to_string);
        std::fs::write(files.path("admin.json"), admin).unwrap();
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn secret(&self) -> String {
        std::fs::read_to_string(self.path("secret.json")).unwrap()
    }

    /// `fourstep preflight` and the like with the real function and an admin.
    pub async fn ask(&self, question: &str) -> Output {
        self.run(question, true, &["--json"]).await
    }

    /// The same without an admin, as a person reads it.
    pub async fn show(&self, question: &str) -> Output {
        self.run(question, false, &[]).await
    }

    /// `fourstep replay` with the real function.
    pub async fn replay(&self, admin: bool, more: &[&str]) -> Output {
        self.run("replay", admin, more).await
    }

    async fn run(&self, command: &str, admin: bool, more: &[&str]) -> Output {
        let [rotator, secret, admins] =
            [binary("rotate-api"), self.path("secret.json"), self.path("admin.json")]
                .map(|path| path.display().to_string());
        let spec = format!("ROTATION_SPEC={}", self.path("spec.toml").display());
        let pair = format!("USER_PAIRS={PAIR}");
        let mut all = vec![command, "--rotator", &rotator, "--secret", &secret];
        all.extend(["--env", &spec]);
        if !more.iter().any(|one| one.starts_with("USER_PAIRS=")) {
            all.extend(["--env", &pair]);
        }
        if admin {
            all.extend(["--admin", &admins, "--env", "ADMIN_SECRET=admin"]);
        }
        all.extend(more);
        fourstep(&all).await
    }
}

/// A secret in memory, rotated in this process.
pub struct Place {
    pub files: Files,
    pub store: MemoryStore,
    pub secret: SecretId,
}

impl Place {
    pub fn new(spec: &str, secret: &str) -> Self {
        let files = Files::new(spec, secret, None);
        let store = MemoryStore::new();
        let new = NewSecret { value: Some(secret.into()), ..NewSecret::default() };
        store.create("rotated", new).unwrap();
        let admin =
            json!({"token": ADMIN, "api_token": ADMIN, "username": "admin", "password": ADMIN});
        let admin = admin.to_string();
        let new = NewSecret { value: Some(admin.as_str().into()), ..NewSecret::default() };
        store.create("admin", new).unwrap();
        Self { files, store, secret: SecretId::parse("rotated").unwrap() }
    }

    /// Begins a rotation; its token.
    pub fn begin(&self, number: u32) -> VersionId {
        let token = VersionId::from_store(format!("{number:032}"));
        self.store.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        token
    }

    pub async fn step(&self, step: Step, token: &VersionId) -> Result<Outcome, Error> {
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        self.step_in(step, token, &cx).await
    }

    pub async fn step_in(
        &self,
        step: Step,
        token: &VersionId,
        cx: &Invocation,
    ) -> Result<Outcome, Error> {
        let spec = self.files.path("spec.toml");
        let environment = Environment::from([
            ("ROTATION_SPEC", spec.to_str().unwrap()),
            ("ADMIN_SECRET", "admin"),
            ("USER_PAIRS", PAIR),
        ]);
        let rotator = rotate_api::rotator(&environment)?;
        let (secret, token) = (self.secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        Steps::new(&self.store, &rotator).step(&event, cx).await
    }

    /// A whole rotation, up to the step that fails.
    pub async fn rotate(&self, number: u32) -> Result<(), Error> {
        let token = self.begin(number);
        for step in Step::ALL {
            self.step(step, &token).await?;
        }
        Ok(())
    }
}
