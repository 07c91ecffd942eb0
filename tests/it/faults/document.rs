//! A secret document that is no good.

use std::sync::Arc;

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, SecretValue, Step};
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::stage::new_token;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all: Vec<Playing> = UNREADABLE
        .iter()
        .map(|unreadable| -> Playing {
            let ground = Arc::clone(ground);
            Box::pin(async move { unreadable.play(&ground).await })
        })
        .collect();
    all.extend(FIELDS.iter().map(|(name, field, value)| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { of_field(&ground, name, field, value).await })
    }));
    all.extend(play!(ground; a_secret_in_binary, a_document_that_grows_too_long,
        a_user_name_too_long_for_the_server, a_pending_value_of_another_user,
        an_edit_after_create_secret, a_pending_value_that_is_no_document));
    all
}

/// A whole value that is no document. DOCUMENT is the document's fields.
struct Unreadable {
    name: &'static str,
    text: fn(&str) -> String,
}

const UNREADABLE: [Unreadable; 9] = [
    Unreadable { name: "a list", text: |document| format!("[{document}]") },
    Unreadable { name: "null", text: |_| "null".to_owned() },
    Unreadable { name: "a bare password", text: |_| "\"canary-bare-password\"".to_owned() },
    Unreadable {
        name: "a document in quotation marks",
        text: |document| Value::String(document.to_owned()).to_string(),
    },
    Unreadable { name: "a byte order mark", text: |document| format!("\u{feff}{document}") },
    Unreadable { name: "a number", text: |_| "20260101".to_owned() },
    Unreadable { name: "a value that is not JSON", text: |document| document.replace(':', "=") },
    Unreadable {
        name: "lists a thousand deep",
        text: |document| {
            let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
            format!("{{\"deep\":{deep},{}", &document[1..])
        },
    },
    Unreadable {
        name: "a key that stands twice",
        text: |document| format!("{{\"password\":\"canary-twice-there\",{}", &document[1..]),
    },
];

/// Stores something else, which createSecret cannot read, and then the right thing.
async fn of_value(ground: &Arc<Ground>, name: &'static str, value: SecretValue) -> Row {
    let mut case = Case::new(ground, name, &[], |_| ()).await;
    let (store, secret) = (&case.stage.store, &case.stage.secret);
    store.put(secret, NewValue::labelled(&new_token(), value, &[AWSCURRENT])).unwrap();
    case.ends(Step::Create, ErrorKind::Malformed, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

impl Unreadable {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let user = ground.server.user("unread").await;
        let text = (self.text)(&ground.server.document(&user).to_string());
        ground.planted.lock().await.add("a secret that cannot be read", &user.password);
        of_value(ground, self.name, text.as_str().into()).await
    }
}

/// A field, and the JSON that is there instead.
const FIELDS: [(&str, &str, &str); 11] = [
    ("no engine", "engine", "null"),
    ("an engine of another function", "engine", "\"mysql\""),
    ("no host", "host", "\"\""),
    ("a host that is a list", "host", "[\"db.example\"]"),
    ("a host that holds a port", "host", "\"localhost:5432\""),
    ("a host that is a URL", "host", "\"postgres://app:canary-in-a-url@localhost\""),
    ("no password", "password", "null"),
    ("a password that is a number", "password", "12345678"),
    ("a user name with a NUL", "username", "\"a\\u0000b\""),
    ("a port that is no number", "port", "\"five\""),
    ("a port that is an object", "port", "{}"),
];

async fn of_field(
    ground: &Arc<Ground>,
    name: &'static str,
    field: &'static str,
    value: &'static str,
) -> Row {
    let value: Value = serde_json::from_str(value).unwrap();
    let mut case = Case::new(ground, name, &[], |document| document[field] = value).await;
    case.ends(Step::Create, ErrorKind::Malformed, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_secret_in_binary(ground: Arc<Ground>) -> Row {
    let value = SecretValue::Binary(b"{}".to_vec().into());
    of_value(&ground, "SecretBinary", value).await
}

/// The longest value there can be, which the next password makes longer.
async fn a_document_that_grows_too_long(ground: Arc<Ground>) -> Row {
    let name = "a document of 64 KiB that the new password makes longer";
    let variables = [("PASSWORD_LENGTH", "64")];
    let mut case = Case::new(&ground, name, &variables, |document| {
        document["note"] = json!("");
        let room = 65_536 - document.to_string().len();
        document["note"] = json!("x".repeat(room));
    })
    .await;
    case.ends(Step::Create, ErrorKind::Malformed, Share::AtOnce, Left::Unchanged).await;
    // As long as it was, it fits.
    case.configure(&[]);
    case.converges().await
}

async fn a_user_name_too_long_for_the_server(ground: Arc<Ground>) -> Row {
    let name = "a user name too long for the server";
    let mut case =
        Case::new(&ground, name, &[], |document| document["username"] = json!("u".repeat(64)))
            .await;
    case.ends(Step::Create, ErrorKind::Malformed, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

/// Somebody stored a pending value by hand.
async fn by_hand(ground: &Arc<Ground>, name: &'static str, kind: ErrorKind, value: Value) -> Row {
    let mut case = Case::new(ground, name, &[], |_| ()).await;
    let pending = match value {
        Value::Object(fields) => {
            let mut document = case.stage.document(AWSCURRENT);
            document.as_object_mut().unwrap().extend(fields);
            document
        }
        other => other,
    };
    case.stage.put_pending(&case.token, &pending);
    case.ends(Step::Set, kind, Share::AtOnce, Left::Unchanged).await;
    case.discard();
    case.begin();
    case.converges().await
}

async fn a_pending_value_of_another_user(ground: Arc<Ground>) -> Row {
    let value = json!({"username": "somebody-else", "password": "canary-of-somebody"});
    by_hand(&ground, "a pending value of another user", ErrorKind::Mismatch, value).await
}

async fn a_pending_value_that_is_no_document(ground: Arc<Ground>) -> Row {
    let value = json!(["canary-in-a-list"]);
    by_hand(&ground, "a pending value that is a list", ErrorKind::Malformed, value).await
}

/// The operator corrects the database's name while a rotation is under way.
async fn an_edit_after_create_secret(ground: Arc<Ground>) -> Row {
    let name = "an edit of AWSCURRENT after createSecret";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Set).await;
    let mut edited = case.stage.document(AWSCURRENT);
    edited["dbname"] = json!("other");
    let value = NewValue::labelled(&new_token(), edited.to_string().as_str(), &[AWSCURRENT]);
    case.stage.store.put(&case.stage.secret, value).unwrap();
    case.ends(Step::Set, ErrorKind::Mismatch, Share::AtOnce, Left::Unchanged).await;
    case.discard();
    case.begin();
    case.converges().await
}
