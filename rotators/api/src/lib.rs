//! Third-party APIs for Fourstep: any vendor's key, rotated as a specification file says.
//!
//! A specification is data: which requests to make, what their answers mean, where the new key
//! stands. What may be revoked when, and what counts as proof, is the framework's
//! ([`fourstep::vendor`]); no specification can change it.

mod address;
mod admin;
mod answer;
mod client;
mod exchange;
mod hosts;
mod issuer;
mod items;
mod pages;
mod roller;
pub mod spec;
mod updater;
mod verify;

use fourstep::net::TlsSettings;
use fourstep::vendor::{IssuedKeys, PairedKey, RolledKey, UpdatedKey};
use fourstep::{Environment, Error, ErrorKind, PasswordPolicy, Result, Rotator};

use admin::Admin;
use client::Client;
use issuer::ApiIssuer;
use roller::ApiRoller;
use updater::ApiUpdater;

pub use spec::{Complaint, Specification};

const SPEC: &str = "ROTATION_SPEC";

/// How a shipped URL ends that is everyone's own: nobody can have a name below it (RFC 6761,
/// section 6.4).
const PLACEHOLDER: &str = ".invalid";

/// The specifications that are part of the function, by name.
pub const SHIPPED: [(&str, &str); 29] = [
    ("azure-ai-search", include_str!("../specs/azure-ai-search.toml")),
    ("azure-openai", include_str!("../specs/azure-openai.toml")),
    ("cloudflare", include_str!("../specs/cloudflare.toml")),
    ("cloudflare-account", include_str!("../specs/cloudflare-account.toml")),
    ("datadog-api-key", include_str!("../specs/datadog-api-key.toml")),
    ("elasticsearch-api-key", include_str!("../specs/elasticsearch-api-key.toml")),
    ("elasticsearch-password", include_str!("../specs/elasticsearch-password.toml")),
    ("entra-client-secret", include_str!("../specs/entra-client-secret.toml")),
    ("fastly-user-token", include_str!("../specs/fastly-user-token.toml")),
    ("gitlab-group-token", include_str!("../specs/gitlab-group-token.toml")),
    ("gitlab-personal-token", include_str!("../specs/gitlab-personal-token.toml")),
    ("gitlab-project-token", include_str!("../specs/gitlab-project-token.toml")),
    ("grafana-password", include_str!("../specs/grafana-password.toml")),
    ("hcp-terraform-team-token", include_str!("../specs/hcp-terraform-team-token.toml")),
    ("influxdb", include_str!("../specs/influxdb.toml")),
    ("jupyterhub", include_str!("../specs/jupyterhub.toml")),
    ("launchdarkly", include_str!("../specs/launchdarkly.toml")),
    ("launchdarkly-sdk-key", include_str!("../specs/launchdarkly-sdk-key.toml")),
    ("mailgun-sending-key", include_str!("../specs/mailgun-sending-key.toml")),
    ("neon", include_str!("../specs/neon.toml")),
    ("ngrok", include_str!("../specs/ngrok.toml")),
    ("okta-client-secret", include_str!("../specs/okta-client-secret.toml")),
    ("openai-service-account", include_str!("../specs/openai-service-account.toml")),
    ("pocketbase-password", include_str!("../specs/pocketbase-password.toml")),
    ("rabbitmq", include_str!("../specs/rabbitmq.toml")),
    ("sendgrid", include_str!("../specs/sendgrid.toml")),
    ("twilio", include_str!("../specs/twilio.toml")),
    ("vault-userpass", include_str!("../specs/vault-userpass.toml")),
    ("vercel", include_str!("../specs/vercel.toml")),
];

fn is_placeholder(base_url: &str) -> bool {
    base_url.trim_end_matches('/').ends_with(PLACEHOLDER)
}

fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The rotator that the function's variables ask for: `ROTATION_SPEC`, the name of a shipped
/// specification or the path of another;
/// `ADMIN_SECRET`, the secret of its admin, or several of which the rotated secret names one as
/// `masterarn`; `TLS_CA_BUNDLE`; and, for a value that is made here,
/// the variables of [`PasswordPolicy`], and `USER_PAIRS` where two users take turns.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable, and the line of the specification.
pub fn rotator(environment: &Environment) -> Result<Box<dyn Rotator>> {
    let named = environment.text(SPEC)?.ok_or_else(|| refused(SPEC, "is not set"))?;
    let text = match shipped(named) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(named).map_err(|cause| {
            let names = SHIPPED.map(|(name, _)| name).join(", ");
            refused(SPEC, "names neither a shipped specification nor a file that can be read")
                .caused_by(format!("{cause}; shipped are {names}"))
        })?,
    };
    let specification = Specification::read(&text).map_err(|complaints| {
        let all: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        refused(SPEC, "names a specification that is wrong").caused_by(all.join("; "))
    })?;
    let document = specification.document;
    if is_placeholder(&document.base_url) {
        return Err(refused(SPEC, "names a specification whose base_url is a placeholder")
            .caused_by("copy the file, put your own URL there, and name the copy's path"));
    }
    let admin = Admin::read(&document, environment)?;
    let tls = TlsSettings::read(environment)?;
    let shape = document.secret.clone();
    let fields = |names: Vec<String>| if shape.plain_text { Vec::new() } else { names };
    if let (Some(issue), Some(list)) = (document.issue.clone(), document.list.clone()) {
        let mut names = vec![shape.id.clone()];
        names.extend(issue.answer.fields.keys().cloned());
        names.push(shape.key.clone());
        let terms = issuer::terms(&document.terms);
        let fields = fields(names);
        let client = Client::new(document, tls);
        let issuer = ApiIssuer { client, issue, list, terms, fields, admin };
        return Ok(Box::new(IssuedKeys::new(issuer)));
    }
    if let (Some(roll), Some(describe)) = (document.roll.clone(), document.describe.clone()) {
        let slots: Vec<String> = roll.slots.keys().cloned().collect();
        let mut names = vec![shape.key.clone()];
        if !slots.is_empty() {
            names.insert(0, shape.id.clone());
        }
        let fields = fields(names);
        let client = Client::new(document, tls);
        let roller = ApiRoller { client, roll, describe, slots, fields, admin };
        return Ok(Box::new(RolledKey::new(roller)));
    }
    let update = document.update.clone().ok_or_else(|| refused(SPEC, "makes no rotation"))?;
    let policy = PasswordPolicy::read(environment, &shape.exclude_characters)?;
    let (compares, paired) = (spec::compares(&document, &update), document.pair.is_some());
    let user = paired.then(|| shape.id.clone());
    let fields = fields(user.into_iter().chain([shape.key.clone()]).collect());
    let client = Client::new(document, tls);
    let updater = ApiUpdater { client, update, compares, fields, policy, admin };
    Ok(match paired {
        true => Box::new(PairedKey::read(environment, updater)?),
        false => Box::new(UpdatedKey::new(updater)),
    })
}

fn refused(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the environment variable {name} {what}"))
}
