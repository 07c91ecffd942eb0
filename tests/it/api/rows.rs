//! Every shipped specification with its vendor's double, and the secret that it rotates.

use serde_json::{Value, json};

use super::support::ADMIN;
use super::vendors::Vendor;
use super::{doubles, doubles_fifth, doubles_fourth, doubles_more, doubles_rolled, doubles_third};

/// What most vendors are.
const USUAL: Vendor = Vendor {
    file: "",
    manner: |_, _| panic!("every vendor has a manner of its own"),
    secret: |_| Value::Null,
    key: "",
    fields: &[],
    admin: || Value::Null,
    cap: None,
    rights: "",
    proves_ids: true,
    slots: &[],
};

/// To add a vendor: its specification (named in `SHIPPED`), how its double answers, and a row here.
pub const VENDORS: [Vendor; 29] = [
    Vendor {
        file: "sendgrid.toml",
        manner: doubles::sendgrid,
        secret: |key| {
            let value = format!("SG.{}.{}", key.id, key.value);
            json!({"masterarn": "admin", "api_key_id": key.id, "api_key": value})
        },
        key: "api_key",
        fields: &["api_key_id", "api_key"],
        admin: || json!({"api_key": ADMIN}),
        cap: Some(100),
        rights: r#"["mail.send"]"#,
        ..USUAL
    },
    Vendor {
        file: "mailgun-sending-key.toml",
        manner: doubles_fourth::mailgun,
        secret: |key| {
            let value = format!("{}-{}", key.value, key.id);
            json!({"masterarn": "admin", "api_key_id": key.id, "api_key": value,
                "domain": "mg.example.com"})
        },
        key: "api_key",
        fields: &["api_key_id", "api_key"],
        admin: || json!({"api_key": ADMIN, "domain": "mg.example.com"}),
        ..USUAL
    },
    Vendor {
        file: "fastly-user-token.toml",
        manner: doubles_fourth::fastly,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN, "username": "me@example.com", "password": "p&w +1"}),
        rights: r#"{"scope":"purge_select","services":["a","b c"]}"#,
        ..USUAL
    },
    Vendor {
        file: "cloudflare.toml",
        manner: doubles::cloudflare,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"condition":{"request_ip":{"in":["192.0.2.0/24"]}},"expires_on":"2030-01-01T00:00:00Z","policies":[{"effect":"allow"}]}"#,
        ..USUAL
    },
    Vendor {
        file: "okta-client-secret.toml",
        manner: doubles::okta,
        secret: |key| json!({"masterarn": "admin", "client_id": "0oaclient", "secret_id": key.id}),
        key: "client_secret",
        fields: &["secret_id", "client_secret"],
        admin: || json!({"api_token": ADMIN}),
        cap: Some(2),
        ..USUAL
    },
    Vendor {
        file: "entra-client-secret.toml",
        manner: doubles::entra,
        secret: |key| {
            let [tenant, object] = ["tenant", "object"];
            json!({"tenant_id": tenant, "object_id": object, "client_id": "app", "key_id": key.id})
        },
        key: "client_secret",
        fields: &["key_id", "client_secret"],
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "grafana-password.toml",
        manner: doubles::grafana,
        secret: |_| json!({"username": "rotated"}),
        key: "password",
        fields: &["password"],
        ..USUAL
    },
    Vendor {
        file: "influxdb.toml",
        manner: doubles::influxdb,
        secret: |key| json!({"masterarn": "admin", "authorization_id": key.id, "org_id": "org"}),
        key: "token",
        fields: &["authorization_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"[{"action":"read"}]"#,
        ..USUAL
    },
    Vendor {
        file: "twilio.toml",
        manner: doubles::twilio,
        secret: |key| json!({"masterarn": "admin", "account_sid": "AC1", "sid": key.id}),
        key: "secret",
        fields: &["sid", "secret"],
        admin: || json!({"sid": "SKmain", "secret": ADMIN}),
        ..USUAL
    },
    Vendor {
        file: "cloudflare-account.toml",
        manner: doubles::cloudflare,
        secret: |key| json!({"masterarn": "admin", "account_id": "acc", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"condition":{"request_ip":{"in":["192.0.2.0/24"]}},"policies":[{"effect":"allow"}]}"#,
        ..USUAL
    },
    Vendor {
        file: "elasticsearch-api-key.toml",
        manner: doubles_more::elasticsearch,
        secret: |key| json!({"masterarn": "admin", "id": key.id}),
        key: "encoded",
        fields: &["id", "encoded"],
        admin: || json!({"username": "rotator", "password": ADMIN}),
        rights: r#"{"r":{"cluster":["monitor"]}}"#,
        ..USUAL
    },
    Vendor {
        file: "gitlab-group-token.toml",
        manner: doubles_more::gitlab,
        secret: |key| json!({"masterarn": "admin", "group_id": "7", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"access_level":20,"scopes":["read_api"]}"#,
        ..USUAL
    },
    Vendor {
        file: "gitlab-project-token.toml",
        manner: doubles_more::gitlab,
        secret: |key| json!({"masterarn": "admin", "project_id": "7", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"access_level":20,"scopes":["read_api"]}"#,
        ..USUAL
    },
    Vendor {
        file: "launchdarkly.toml",
        manner: doubles_more::launchdarkly,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"inlineRole":[{"effect":"allow"}],"serviceToken":true}"#,
        ..USUAL
    },
    Vendor {
        file: "neon.toml",
        manner: doubles_more::neon,
        secret: |key| json!({"key_id": key.id}),
        key: "key",
        fields: &["key_id", "key"],
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "vercel.toml",
        manner: doubles_third::vercel,
        secret: |key| json!({"token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        ..USUAL
    },
    Vendor {
        file: "hcp-terraform-team-token.toml",
        manner: doubles_third::hcp_terraform,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN, "team_id": "team-1"}),
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "ngrok.toml",
        manner: doubles_third::ngrok,
        secret: |key| json!({"key_id": key.id}),
        key: "key",
        fields: &["key_id", "key"],
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "openai-service-account.toml",
        manner: doubles_third::openai,
        secret: |key| json!({"masterarn": "admin", "service_account_id": key.id}),
        key: "api_key",
        fields: &["service_account_id", "api_key"],
        admin: || json!({"admin_key": ADMIN, "project_id": "proj_1"}),
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "datadog-api-key.toml",
        manner: doubles_third::datadog,
        secret: |key| json!({"masterarn": "admin", "api_key_id": key.id}),
        key: "api_key",
        fields: &["api_key_id", "api_key"],
        admin: || json!({"api_key": ADMIN, "application_key": "an-application-key"}),
        ..USUAL
    },
    Vendor {
        file: "gitlab-personal-token.toml",
        manner: doubles_third::gitlab_personal,
        secret: |key| json!({"masterarn": "admin", "user_id": "42", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"scopes":["read_api"]}"#,
        ..USUAL
    },
    Vendor {
        file: "azure-openai.toml",
        manner: doubles_rolled::azure_openai,
        secret: |_| {
            json!({"masterarn": "admin", "key_name": "Key1", "subscription_id": "sub",
                "resource_group": "group", "account": "resource"})
        },
        key: "api_key",
        fields: &["key_name", "api_key"],
        admin: || json!({"tenant_id": "tenant", "client_id": "app", "client_secret": ADMIN}),
        cap: Some(2),
        slots: &["Key1", "Key2"],
        ..USUAL
    },
    Vendor {
        file: "azure-ai-search.toml",
        manner: doubles_rolled::azure_ai_search,
        secret: |_| {
            json!({"masterarn": "admin", "key_kind": "primary", "subscription_id": "sub",
                "resource_group": "group", "service": "resource"})
        },
        key: "api_key",
        fields: &["key_kind", "api_key"],
        admin: || json!({"tenant_id": "tenant", "client_id": "app", "client_secret": ADMIN}),
        cap: Some(2),
        slots: &["primary", "secondary"],
        ..USUAL
    },
    Vendor {
        file: "launchdarkly-sdk-key.toml",
        manner: doubles_rolled::launchdarkly_sdk,
        secret: |_| json!({"masterarn": "admin"}),
        key: "sdk_key",
        fields: &["sdk_key"],
        admin: || json!({"token": ADMIN, "project_key": "project", "environment_key": "test"}),
        ..USUAL
    },
    Vendor {
        file: "rabbitmq.toml",
        manner: doubles_fourth::rabbitmq,
        secret: |_| json!({"masterarn": "admin", "username": "app"}),
        key: "password",
        fields: &["username", "password"],
        admin: || json!({"username": "admin", "password": ADMIN}),
        cap: Some(2),
        slots: &["app", "app_b"],
        ..USUAL
    },
    Vendor {
        file: "elasticsearch-password.toml",
        manner: doubles_rolled::elasticsearch_password,
        secret: |_| json!({"username": "rotated"}),
        key: "password",
        fields: &["password"],
        ..USUAL
    },
    Vendor {
        file: "vault-userpass.toml",
        manner: doubles_rolled::vault_userpass,
        secret: |_| json!({"masterarn": "admin", "username": "rotated"}),
        key: "password",
        fields: &["password"],
        admin: || json!({"token": ADMIN}),
        ..USUAL
    },
    Vendor {
        file: "jupyterhub.toml",
        manner: doubles_fifth::jupyterhub,
        secret: |key| json!({"masterarn": "admin", "username": "alice", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"["read:servers!user=alice","read:users:name!user=alice"]"#,
        ..USUAL
    },
    Vendor {
        file: "pocketbase-password.toml",
        manner: doubles_fifth::pocketbase,
        secret: |_| json!({"masterarn": "admin", "email": "app@example.com"}),
        key: "password",
        fields: &["email", "password"],
        admin: || json!({"token": ADMIN}),
        cap: Some(2),
        slots: &["app@example.com", "app_b@example.com"],
        ..USUAL
    },
];
