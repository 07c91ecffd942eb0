//! The pages' commands, run as somebody would who types them.

use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::Arc;

use fourstep::SecretId;
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::blocks::typed;
use super::{files, root};
use crate::support::postgres::{Server, server};
use crate::support::program::{binary, shell};
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token};

fn mine(path: &str) -> Vec<String> {
    typed(file!(), path)
}

#[tokio::test]
async fn the_readme_s_first_look_at_a_secret_works_and_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("readme").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("target")).unwrap();
    let built = binary("fourstep");
    symlink(built.parent().unwrap(), folder.path().join("target/debug")).unwrap();
    let secret = folder.path().join("secret.json");
    let before = server.document(&user).to_string();
    std::fs::write(&secret, &before).unwrap();
    let [block] = &mine("README.md")[..] else { panic!("other blocks") };
    let said = shell(block, folder.path(), &[]).await;
    assert!(said.contains("A rotation would succeed. Nothing was changed."), "{said}");
    assert!(said.contains("the current secret logs in and a rotation would succeed"), "{said}");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), before);
    assert!(server.logs_in(&user.name, &user.password).await);
}

/// The way out of a stuck rotation, and the way back: at the local Secrets Manager, by the AWS CLI.
#[tokio::test]
async fn the_commands_that_move_labels_work_as_they_stand() {
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else { return skip("FOURSTEP_TEST_AWS") };
    let [discard, promote, go_back] = &mine("docs/operate.md")[..] else { panic!("other blocks") };

    let store = Arc::new(MemoryStore::new());
    let new = NewSecret { value: Some("zero".into()), ..NewSecret::default() };
    let zero = store.create("app/db", new).unwrap().version.unwrap();
    let secret = SecretId::parse("app/db").unwrap();
    let first = new_token();
    store.rotate(&secret, &NewRotation::now(&first, FUNCTION)).unwrap();
    let server = serve::start(([127, 0, 0, 1], 0).into(), store.clone(), None).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    symlink(&aws, folder.path().join("aws")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let url = server.url();
    let variables = [
        ("PATH", path.as_str()),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_PAGER", ""),
    ];
    let labelled = |label: &str| {
        let versions = store.describe(&secret).unwrap().labels;
        versions
            .into_iter()
            .find(|(_, labels)| labels.iter().any(|one| one == label))
            .map(|(id, _)| id)
    };

    // The pending version is gone, and another rotation has begun.
    shell(&discard.replace("PENDING_VERSION", first.as_str()), folder.path(), &variables).await;
    let second = labelled("AWSPENDING").unwrap();
    assert_ne!(second, first);
    assert_eq!(labelled("AWSCURRENT"), Some(zero.clone()));

    store.put(&secret, NewValue::labelled(&second, "one", &["AWSPENDING"])).unwrap();
    let promote = promote.replace("PENDING_VERSION", second.as_str());
    let promote = promote.replace("CURRENT_VERSION", zero.as_str());
    shell(&promote, folder.path(), &variables).await;
    assert_eq!(labelled("AWSCURRENT"), Some(second.clone()));
    assert_eq!(labelled("AWSPREVIOUS"), Some(zero.clone()));

    let go_back = go_back.replace("PREVIOUS_VERSION", zero.as_str());
    let go_back = go_back.replace("CURRENT_VERSION", second.as_str());
    shell(&go_back, folder.path(), &variables).await;
    assert_eq!(labelled("AWSCURRENT"), Some(zero));
    assert_eq!(store.describe(&secret).unwrap().rotation_enabled, Some(false));
}

/// Whoever asks a script what it does does not start it.
#[tokio::test]
async fn each_script_explains_itself() {
    for script in files().iter().filter(|file| file.starts_with("scripts/")) {
        if script.starts_with("scripts/lib/") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(script)).unwrap();
        let first = text.lines().nth(1).unwrap().trim_start_matches("# ").to_owned();
        let said = shell(&format!("{script} --help"), root(), &[]).await;
        assert!(said.starts_with(&first) && said.lines().count() < 20, "{script}: {said}");
    }
}

/// A folder in which somebody follows a page: with `fourstep` and the functions in target/debug, and
/// users and a database of its own in place of the page's.
pub(super) struct Reader {
    pub(super) folder: tempfile::TempDir,
    pub(super) server: Server,
    arranger: String,
    password: String,
    path: String,
}

/// A folder with the built programs where a page has them, and a `PATH` on which what lies in it comes
/// first.
pub(super) fn reading_folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("target")).unwrap();
    symlink(binary("fourstep").parent().unwrap(), folder.path().join("target/debug")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    (folder, path)
}

impl Reader {
    pub(super) fn new(server: Server) -> Self {
        let (folder, path) = reading_folder();
        if let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") {
            symlink(aws, folder.path().join("aws")).unwrap();
        }
        let arranger = std::env::var("FOURSTEP_TEST_POSTGRES_ARRANGER").unwrap();
        Self { arranger, password: server.arrangers_password(), folder, server, path }
    }

    /// A block with this reader's names in it. `tag` keeps two pages' users apart.
    pub(super) fn own(&self, block: &str, tag: &str) -> String {
        let id = std::process::id();
        block
            .replace("sudo -u postgres psql", "psql --quiet postgres")
            .replace("app", &format!("{tag}_app_{id}"))
            .replace("boss", &format!("{tag}_boss_{id}"))
            .replace("shop", &format!("{tag}_shop_{id}"))
            .replace("5432", &self.server.port.to_string())
    }

    /// A block as this reader types it.
    pub(super) async fn types(&self, block: &str, tag: &str) -> String {
        let block = self.own(block, tag);
        let port = self.server.port.to_string();
        let variables = [
            ("PATH", self.path.as_str()),
            ("PGHOST", "localhost"),
            ("PGPORT", port.as_str()),
            ("PGUSER", self.arranger.as_str()),
            ("PGPASSWORD", self.password.as_str()),
            ("AWS_PAGER", ""),
        ];
        shell(&block, self.folder.path(), &variables).await
    }

    pub(super) fn secret(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("secret.json")).unwrap()
    }
}

#[tokio::test]
async fn two_users_take_turns_on_ones_own_machine_as_the_page_says() {
    let Some(server) = server() else { return };
    let [arrange, rotate, member, unmark] = &mine("docs/postgres-admin.md")[..] else {
        panic!("other blocks")
    };
    let reader = Reader::new(server);
    reader.types(arrange, "pair").await;
    let said = reader.types(rotate, "pair").await;
    assert!(said.contains("CREATE ROLE") && said.contains("A rotation would succeed."), "{said}");
    assert!(said.contains("_clone"), "{said}");
    let user = format!("\"pair_app_{}\"", std::process::id());
    assert!(reader.secret().contains(&user), "the second turn is the first user's");
    assert!(!reader.secret().contains("first-password"));

    // What a rotation makes of the second user, made once more by the admin.
    let by_the_admin = |sql: &str| format!("{BOSS} psql --quiet postgres <<'SQL'\n{sql}SQL\n");
    let before = "REVOKE app FROM app_clone;\nALTER ROLE app_clone RESET role;\n";
    reader.types(&by_the_admin(&format!("{before}{member}")), "pair").await;
    let acts = "psql --quiet -At postgres -c \"SELECT rolconfig::text, pg_has_role(oid, 'app', \
                'MEMBER') FROM pg_roles WHERE rolname = 'app_clone'\"";
    let acts = reader.types(acts, "pair").await;
    assert!(acts.contains("role=") && acts.trim().ends_with("|t"), "{acts}");

    // The secret is made anew.
    let (pair, _) = rotate.split_once("target/debug/fourstep plan").unwrap();
    let other = "--arn arn:aws:secretsmanager:us-east-1:111122223333:secret:new-AbCdEf";
    let ask = format!("{pair}target/debug/fourstep preflight \"${{pair[@]}}\" {other} || true");
    let said = reader.types(&ask, "pair").await;
    assert!(!said.contains("would succeed") && said.contains("the mark"), "{said}");
    reader.types(&by_the_admin(unmark), "pair").await;
    let adopt = "--env ADOPT_USERS=app_clone";
    let again = format!("{pair}target/debug/fourstep replay \"${{pair[@]}}\" {other} {adopt}");
    let said = reader.types(&again, "pair").await;
    assert!(said.contains("1 rotation played"), "{said}");
}

/// The admin of docs/postgres-admin.md, as psql reads it.
const BOSS: &str = "PGUSER=boss PGPASSWORD=password-of-the-admin";

#[tokio::test]
async fn a_password_is_rotated_on_ones_own_machine_as_the_page_says() {
    let Some(server) = server() else { return };
    let [arrange, rotate, ask] = &mine("docs/replay.md")[..] else { panic!("other blocks") };
    let reader = Reader::new(server);
    reader.types(arrange, "own").await;
    let said = reader.types(rotate, "own").await;
    assert!(said.contains("1 rotation played; the secret file holds what is current"), "{said}");
    let said = reader.types(ask, "own").await;
    assert!(said.contains("A rotation would succeed."), "{said}");
}

/// At a server that speaks TLS, and then nothing that a rotator knows.
#[tokio::test]
async fn a_test_server_s_certificate_is_trusted_as_the_page_makes_it() {
    let [certificates] = &mine("docs/settings.md")[..] else { panic!("other blocks") };
    let folder = tempfile::tempdir().unwrap();
    shell(certificates, folder.path(), &[]).await;
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "localhost:0", "-cert", "server.pem", "-key", "server.key"])
        .arg("-rev")
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with("ACCEPT") {
            break line.rsplit(':').next().unwrap().to_owned();
        }
    };
    let secret = format!(
        r#"{{"engine": "redis", "host": "localhost", "port": {port}, "username": "app",
            "password": "a-password", "ssl": true, "masterarn": "admin"}}"#
    );
    std::fs::write(folder.path().join("secret.json"), secret).unwrap();
    for (bundle, what) in [("ca.pem", "does not speak Redis's protocol"), ("", "fails  Tls: ")] {
        let output = Command::new(binary("fourstep"))
            .args(["preflight", "--secret", "secret.json", "--rotator"])
            .arg(binary("rotate-redis"))
            .args(["--env", &format!("TLS_CA_BUNDLE={bundle}")])
            .current_dir(folder.path())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(what), "{bundle}: {said}");
    }
}
