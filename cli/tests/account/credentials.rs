//! Whose credentials sign: those of a profile, by SSO, of a program or of another profile; and what to do where there
//! are none.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::front::{CANARY, Scene, served};
use super::run::ended;

/// The file that `aws sso login` writes is named by the SHA-1 of the session's name, here `work`.
const TOKEN: &str = "e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json";

const CONFIG: &str = "\
[sso-session work]
sso_start_url = https://work.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
[profile production]
sso_session = work
sso_account_id = 111122223333
sso_role_name = Operators
region = us-east-1
[profile assumed]
role_arn = arn:aws:iam::444455556666:role/operators
source_profile = production
region = us-east-1
[profile program]
credential_process = /bin/cat program.json
region = us-east-1
[profile nobody]
sso_session = work
sso_account_id = 111122223333
sso_role_name = Nobody
region = us-east-1
";

/// SSO's two services, at one address.
#[derive(Default)]
struct Portal {
    asked: Mutex<Vec<String>>,
}

async fn portal(State(portal): State<Arc<Portal>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let uri = head.uri.to_string();
    portal.asked.lock().unwrap().push(uri.clone());
    let refused = |kind: &'static str, why: &str| {
        let said = json!({"message": why}).to_string();
        (StatusCode::UNAUTHORIZED, [("x-amzn-errortype", kind)], said).into_response()
    };
    if uri == "/token" {
        let body = to_bytes(body, 1 << 20).await.unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(asked["grantType"], "refresh_token");
        let renews = asked["refreshToken"] == format!("{CANARY}-refresh");
        return match renews {
            true => {
                let token = format!("{CANARY}-renewed");
                json!({"accessToken": token, "expiresIn": 3600, "tokenType": "Bearer"})
                    .to_string()
                    .into_response()
            }
            false => refused("InvalidGrantException", "no"),
        };
    }
    let token = head.headers["x-amz-sso_bearer_token"].to_str().unwrap();
    if ![format!("{CANARY}-token"), format!("{CANARY}-renewed")].iter().any(|one| one == token) {
        return refused("UnauthorizedException", "Session token not found or invalid");
    }
    assert!(uri.starts_with("/federation/credentials?"), "{uri}");
    assert!(uri.contains("account_id=111122223333"), "{uri}");
    if uri.contains("role_name=Nobody") {
        let kind = [("x-amzn-errortype", "ForbiddenException")];
        return (StatusCode::FORBIDDEN, kind, "{\"message\": \"No access\"}").into_response();
    }
    let ends = fourstep_cli::account::text::now() + 3_600;
    json!({"roleCredentials": {"accessKeyId": "AKID", "secretAccessKey": format!("{CANARY}-key"),
        "sessionToken": format!("{CANARY}-session"), "expiration": ends * 1_000}})
    .to_string()
    .into_response()
}

/// A person's home, and the account in which they are.
struct Person {
    home: tempfile::TempDir,
    url: String,
    portal: Arc<Portal>,
    sso: String,
}

impl Person {
    async fn new() -> Self {
        let scene = Arc::new(Scene::default());
        scene.stuck("app/db", "accepted", "rejected", "rejected");
        let url = served(&scene, &[]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let of = Arc::<Portal>::default();
        let router = Router::new().fallback(portal).with_state(Arc::clone(&of));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sso = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
        fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
        Self { home, url, portal: of, sso }
    }

    fn cached(&self) -> PathBuf {
        self.home.path().join(".aws/sso/cache").join(TOKEN)
    }

    /// As `aws sso login` writes it.
    fn logged_in(&self, token: &str, expires: &str, refresh: Option<&str>) {
        let mut file = json!({"startUrl": "https://work.awsapps.com/start", "region": "eu-west-1",
            "accessToken": format!("{CANARY}-{token}"), "expiresAt": expires});
        if let Some(refresh) = refresh {
            file["refreshToken"] = format!("{CANARY}-{refresh}").into();
            file["clientId"] = "client".into();
            file["clientSecret"] = format!("{CANARY}-client").into();
            file["registrationExpiresAt"] = "2999-01-01T00:00:00Z".into();
        }
        fs::write(self.cached(), file.to_string()).unwrap();
    }

    async fn doctor(&self, more: &[&str], variables: &[(&str, &str)]) -> (String, Option<i32>) {
        let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_fourstep"))
            .args(["doctor", "app/db", "--stuck-after", "0"])
            .args(more)
            .env_clear()
            .envs([("AWS_ENDPOINT_URL", &self.url), ("AWS_ENDPOINT_URL_SSO", &self.sso)])
            .env("AWS_ENDPOINT_URL_SSO_OIDC", &self.sso)
            .env("HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().copied())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, output) = ended(command, String::new()).await;
        (said, output.status.code())
    }
}

const PRODUCTION: [&str; 2] = ["--profile", "production"];
const EVER: &str = "2999-01-01T00:00:00Z";
const OVER: &str = "2020-01-01T00:00:00Z";
const DISCARD: &str = "advice (AWSCURRENT accepted): discard";

#[tokio::test]
async fn a_profile_that_is_logged_in_to_by_sso_signs() {
    let person = Person::new().await;
    person.logged_in("token", EVER, None);
    // Of another account, perhaps: a profile that is named goes before them.
    let variables = [("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "key")];
    let (said, code) = person.doctor(&PRODUCTION, &variables).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(DISCARD), "{said}");
    let asked = person.portal.asked.lock().unwrap().len();
    assert_eq!(asked, 1, "the credentials are held from one call to the next");
    let (said, _) = person.doctor(&[], &[("AWS_PROFILE", "production")]).await;
    assert!(said.contains(DISCARD), "{said}");
}

#[tokio::test]
async fn a_token_that_ended_is_renewed_where_it_can_be() {
    let person = Person::new().await;
    person.logged_in("old", OVER, Some("refresh"));
    let (said, _) = person.doctor(&PRODUCTION, &[]).await;
    assert!(said.contains(DISCARD), "{said}");
    let renewed = fs::read_to_string(person.cached()).unwrap();
    assert!(renewed.contains(&format!("{CANARY}-renewed")), "the AWS CLI has it, too: {renewed}");
}

#[tokio::test]
async fn who_is_not_logged_in_is_told_how_to_log_in() {
    let person = Person::new().await;
    let login = "aws sso login --profile production\n";
    let refused = async |profile: &str, words: &str, next: &str| {
        let (said, code) = person.doctor(&["--profile", profile], &[]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("no credentials: ") && said.contains(words), "{said}");
        assert!(said.ends_with(next), "{said}");
    };
    refused("production", "the cached SSO token", login).await;
    person.logged_in("token", OVER, None);
    refused("production", "the SSO token has expired", login).await;
    // The profile with the role has no login of its own.
    refused("assumed", "the SSO token has expired", login).await;
    person.logged_in("old", OVER, Some("of-long-ago"));
    refused("production", "Session token not found or invalid", login).await;
    person.logged_in("revoked", EVER, None);
    refused("production", "Session token not found or invalid", login).await;
    person.logged_in("token", EVER, None);
    refused("nobody", "No access", "}\n").await;
}

#[tokio::test]
async fn the_program_of_a_profile_is_asked_and_no_profile_stands_in_for_another() {
    let person = Person::new().await;
    let handed = json!({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": CANARY});
    fs::write(person.home.path().join("program.json"), handed.to_string()).unwrap();
    let (said, _) = person.doctor(&["--profile", "program"], &[]).await;
    assert!(said.contains(DISCARD), "{said}");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_REGION", "us-east-1"),
    ];
    let (said, code) = person.doctor(&["--profile", "prodution"], &variables).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no credentials: ") && said.contains("prodution"), "{said}");
    let (said, code) = person.doctor(&[], &[("AWS_REGION", "us-east-1")]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("name a profile, or set AWS_ACCESS_KEY_ID"), "{said}");
}
