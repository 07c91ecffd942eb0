//! What is left to a person, where nothing that is proven mends a stuck rotation.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};

use super::fix::{aws, discard, retry};
use super::look::{Look, Stuck};
use super::table::{Kind, Row};
use super::trouble::Trouble;
use super::{Doctor, inspection};
use crate::account::aws::Account;
use crate::account::text::named;

/// Lines for people, commands among them indented. Empty where `--fix` mends it, or nothing is stuck.
pub(super) fn left(account: &Account, doctor: &Doctor, look: &Look) -> Vec<String> {
    let no_function = |one: &Trouble| matches!(one, Trouble::NoFunction(_) | Trouble::NotOurs(_));
    match &look.stuck {
        _ if look.is_locked_out() => locked_out(account, doctor, look),
        _ if !look.is_stuck() => Vec::new(),
        Some(stuck) if stuck.advice.is_some() => Vec::new(),
        Some(stuck) => by_row(account, doctor, look, stuck),
        None if let Some(owner) = &look.found.owner => {
            vec![format!("left to a person: {owner} rotates this secret, so look there")]
        }
        None if look.found.function.is_none() || look.troubles.iter().any(no_function) => {
            by_hand(account, doctor, look)
        }
        None => vec![
            "left to a person: correct what kept it from looking, which stands above; then"
                .to_owned(),
            format!("  {}", doctor.command(account, look, true)),
        ],
    }
}

/// No rotation is stuck, and AWSCURRENT does not log in. A rotation tries what older versions hold.
fn locked_out(account: &Account, doctor: &Doctor, look: &Look) -> Vec<String> {
    let shown = value(account, look, AWSCURRENT);
    let (what, command) = match look.inspection.as_ref().and_then(Kind::told) {
        None | Some(Kind::Unknown | Kind::Keys) => (
            "store a value that works with put-secret-value, beside the other fields as they are; then",
            shown,
        ),
        Some(_) if look.found.rotation == Some(true) => (
            "a rotation mends it where an older version or the other user still logs in; if it ends as \
             Rejected, let an administrator set the password that AWSCURRENT holds, as docs/operate.md says \
             in \"By hand\", and rotate again",
            format!("  {}", aws(account, "rotate-secret", &look.found.arn)),
        ),
        Some(_) => (
            "let an administrator set the password that AWSCURRENT holds, as docs/operate.md says in \"By \
             hand\"; then",
            shown,
        ),
    };
    let again = format!("  {}", doctor.command(account, look, false));
    vec![format!("left to a person: {what}"), command, again]
}

fn by_row(account: &Account, doctor: &Doctor, look: &Look, stuck: &Stuck) -> Vec<String> {
    let (what, labels) = what(look, stuck);
    let off = match stuck.rotation || stuck.row == Row::Unknown {
        true => "",
        false => "rotation is off, so that nothing tries again; ",
    };
    let mut lines = vec![format!("left to a person ({}): {off}{what}; then", stuck.row.text())];
    lines.extend(labels.iter().map(|label| value(account, look, label)));
    if stuck.refused {
        let store = aws(account, "put-secret-value", &look.found.arn);
        lines.push(format!(
            "  {store} --version-stages AWSCURRENT --secret-string file://value.json"
        ));
    }
    let by_password = !matches!(stuck.kind, Kind::Unknown | Kind::Keys) && !labels.is_empty();
    // Of a rotation that has just failed nothing is discarded, and to try it again is never wrong.
    if by_password && stuck.rotation {
        lines.extend(retry(account, &look.found.arn).map(|line| format!("  {line}")));
        lines.push(format!("  {}", doctor.command(account, look, false)));
    } else {
        lines.push(format!("  {}", doctor.command(account, look, true)));
    }
    lines
}

/// What is to be done first, and the labels whose values it takes.
fn what(look: &Look, stuck: &Stuck) -> (String, &'static [&'static str]) {
    let current = look.inspection.as_ref().and_then(|all| inspection::of(all, AWSCURRENT));
    let user = current.and_then(named).unwrap_or_else(|| "its user".to_owned());
    let (what, labels): (&str, &[_]) = match (stuck.row, stuck.kind) {
        _ if stuck.refused => (
            "the function refuses every retry, because the two versions differ in more than the password, and \
             only AWSPENDING's password works: do not discard; store AWSCURRENT anew with AWSPENDING's fields \
             but AWSCURRENT's password, and edit it after the rotation",
            &[AWSCURRENT, AWSPENDING],
        ),
        (Row::Unknown, _) => {
            ("nothing is concluded from logins that could not be tried: correct the cause", &[])
        }
        (_, Kind::Unknown) => (
            "it cannot be told how the secret is rotated: see docs/operate.md, \"A stuck rotation\"",
            &[],
        ),
        (Row::None, Kind::Keys) => (
            "make a key at the vendor, and store it with put-secret-value, beside the other fields as they are",
            &[AWSCURRENT],
        ),
        (Row::Pending, Kind::Keys) => (
            "the key of AWSPENDING works: store that value with put-secret-value, which makes it AWSCURRENT",
            &[AWSPENDING],
        ),
        (_, Kind::Keys) => (
            "the key of AWSPREVIOUS works: store that value with put-secret-value, which makes it AWSCURRENT",
            &[AWSPREVIOUS],
        ),
        _ => {
            let what = format!(
                "let an administrator set the password that AWSCURRENT holds for {user}, and unlock the user if it \
                 is blocked, as docs/operate.md says in \"By hand\""
            );
            return (what, &[AWSCURRENT]);
        }
    };
    (what.to_owned(), labels)
}

/// What shows the value that has a label.
fn value(account: &Account, look: &Look, label: &str) -> String {
    let value = aws(account, "get-secret-value", &look.found.arn);
    format!("  {value} --version-stage {label} --query SecretString --output text")
}

/// Where no function can say which version logs in.
fn by_hand(account: &Account, doctor: &Doctor, look: &Look) -> Vec<String> {
    let mut lines = vec![
        "left to a person: try yourself what AWSCURRENT and AWSPENDING hold. If AWSCURRENT does not log in, correct \
         that first: a password as docs/operate.md says in \"By hand\", a vendor's key by storing one that works; then"
            .to_owned(),
        value(account, look, AWSCURRENT),
        value(account, look, AWSPENDING),
    ];
    if let Some(pending) = &look.found.pending {
        lines.push(format!("  {}", discard(account, &look.found.arn, pending)));
    }
    let template =
        |one: &Trouble| matches!(one, Trouble::NotOurs(kind) if kind.contains("runtime python"));
    if look.troubles.iter().any(|one| matches!(one, Trouble::NoFunction(_))) {
        lines.push("and deploy the function again, or turn rotation off:".to_owned());
        lines.push(format!("  {}", aws(account, "cancel-rotate-secret", &look.found.arn)));
    } else if look.troubles.iter().any(template) {
        lines
            .push("and move the secret to a function of ours, as docs/migrate.md says:".to_owned());
        lines.push(format!("  fourstep migrate {}", account.of(doctor.named(look))));
    }
    lines
}
