//! What is left to a person, where nothing that is proven mends a stuck rotation.

use fourstep::store::AWSCURRENT;

use super::fix::{aws, discard, retry};
use super::look::{Look, Stuck, Trouble};
use super::table::{Kind, Row};
use super::{Doctor, inspection};
use crate::account::aws::Account;
use crate::account::text::named;

/// Lines for people, commands among them indented. Empty where `--fix` mends it, or nothing is stuck.
pub(super) fn left(account: &Account, doctor: &Doctor, look: &Look) -> Vec<String> {
    let no_function = |one: &Trouble| matches!(one, Trouble::NoFunction(_) | Trouble::NotOurs(_));
    let again = format!("  {}", doctor.command(account, look, true));
    match &look.stuck {
        _ if !look.is_stuck() => Vec::new(),
        Some(stuck) if stuck.advice.is_some() => Vec::new(),
        Some(stuck) => by_row(account, doctor, look, stuck),
        None if look.found.function.is_none() || look.troubles.iter().any(no_function) => {
            by_hand(account, look)
        }
        None => vec![
            "left to a person: correct what kept it from looking, which stands above; then"
                .to_owned(),
            again,
        ],
    }
}

fn by_row(account: &Account, doctor: &Doctor, look: &Look, stuck: &Stuck) -> Vec<String> {
    let current = look.inspection.as_ref().and_then(|all| inspection::of(all, AWSCURRENT));
    let user = current.and_then(named).unwrap_or_else(|| "its user".to_owned());
    let by_password = !matches!(stuck.kind, Kind::Unknown | Kind::Keys)
        && !stuck.refused
        && stuck.row != Row::Unknown;
    let what = match (stuck.row, stuck.kind) {
        _ if stuck.refused => {
            "the function refuses every retry: correct AWSCURRENT, or discard as the last failure says"
                .to_owned()
        }
        (Row::Unknown, _) => {
            "nothing is concluded from logins that could not be tried: correct the cause".to_owned()
        }
        (_, Kind::Unknown) => {
            "it cannot be told how the secret is rotated: see docs/operate.md, \"A stuck rotation\"".to_owned()
        }
        (_, Kind::Keys) => {
            "make a key at the vendor, and store it with put-secret-value, beside the other fields as they are"
                .to_owned()
        }
        _ => format!(
            "let an administrator set the password that AWSCURRENT holds for {user}, as docs/operate.md says \
             in \"By hand\""
        ),
    };
    let off = match stuck.rotation || stuck.row == Row::Unknown {
        true => "",
        false => "rotation is off, so that nothing tries again; ",
    };
    let mut lines = vec![format!("left to a person ({}): {off}{what}; then", stuck.row.text())];
    // What AWSCURRENT holds is read for both.
    if by_password || stuck.kind == Kind::Keys {
        lines.insert(1, value(account, look));
    }
    // Of a rotation that has just failed nothing is discarded, and to try it again is never wrong.
    if by_password && stuck.rotation {
        lines.extend(retry(account, &look.found.arn).map(|line| format!("  {line}")));
    }
    let fix = !(by_password && stuck.rotation);
    lines.push(format!("  {}", doctor.command(account, look, fix)));
    lines
}

/// What shows the value of AWSCURRENT.
fn value(account: &Account, look: &Look) -> String {
    format!(
        "  {}",
        aws(account, "get-secret-value", &look.found.arn) + " --query SecretString --output text"
    )
}

/// Where no function can say which password works.
fn by_hand(account: &Account, look: &Look) -> Vec<String> {
    let mut lines = vec![
        "left to a person: log in with what AWSCURRENT holds; if that is refused, let an administrator set that \
         password, as docs/operate.md says in \"By hand\"; then"
            .to_owned(),
        value(account, look),
    ];
    if let Some(pending) = &look.found.pending {
        lines.push(format!("  {}", discard(account, &look.found.arn, pending)));
    }
    if look.troubles.iter().any(|one| matches!(one, Trouble::NoFunction(_))) {
        lines.push("and deploy the function again, or turn rotation off:".to_owned());
        lines.push(format!("  {}", aws(account, "cancel-rotate-secret", &look.found.arn)));
    } else if look.found.function.is_some() {
        lines
            .push("and move the secret to a function of ours, as docs/migrate.md says:".to_owned());
        lines.push(format!("  fourstep migrate {}", account.of(&look.found.name)));
    }
    lines
}
