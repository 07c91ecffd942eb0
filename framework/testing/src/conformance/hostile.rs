//! Names, passwords and fields that break whoever pastes strings together.

use fourstep::Secret;
use fourstep::store::AWSCURRENT;
use fourstep_local::NewValue;

use super::verbs::{finds, initial};
use super::{leaks, rotations};
use crate::Wire;
use crate::remote::Testbed;
use crate::report::Section;
use crate::simulation::{Checked, Simulation, version};

/// Names that are legal in most databases and hostile in all.
pub(super) const NAMES: [&str; 10] = [
    "plain",
    "with space",
    "quo\"ted",
    "apo'strophe; --",
    "back\\slash",
    "back`tick",
    "per%cent %s {0}",
    "dollar$1 $$",
    "日本語",
    "line\nbreak",
];

/// Passwords that people and generators make.
pub(super) const PASSWORDS: [&str; 8] = [
    "plain-password",
    "quo\"ted-password",
    "apo'strophe'; DROP ROLE x; --",
    "back\\slash\\\\password",
    "per%cent%00 %s {0} password",
    "dollar$1 $$password",
    "pässwörd-日本語",
    " leading and trailing ",
];

/// Fields that are nobody's business: they must come out as they went in.
const EXTRA: &str =
    r#""zz":1e400,"nested":{"password":"x\u0000y","list":[1,2.50,null]},"":"","ключ":"\"\\""#;

/// Unknown fields survive two rotations, in their order and to the letter.
pub(super) async fn values(simulation: &mut Simulation) -> Checked {
    let secret = initial(simulation);
    if secret.document().is_err() {
        simulation.wire.line().skip("the secret has no fields");
        return Ok(());
    }
    let Ok(text) = secret.expose() else { return Ok(()) };
    let Some(open) = text.strip_suffix('}') else { return Ok(()) };
    let before = Secret::decode(&format!("{open},{EXTRA}}}").into());
    let put = NewValue::current(&version(900), before.encode());
    let put = simulation.memory().put(&simulation.secret, put);
    simulation.kit(put.map(drop))?;
    rotations::in_a_row(simulation, 2, 1).await?;
    let Some(current) = simulation.holder(AWSCURRENT)? else {
        return finds(simulation, "AWSCURRENT is gone");
    };
    let Some(after) = simulation.value(&current)? else {
        return finds(simulation, "AWSCURRENT is empty");
    };
    match (before.document(), after.document()) {
        (Ok(before), Ok(after)) => {
            if let Some(field) = before.difference(after, simulation.remote.credential()) {
                return finds(simulation, &format!("the rotation changes the field {field:?}"));
            }
            // The same fields in the same order and the same spelling.
            let mut expected = before.clone();
            for field in simulation.remote.credential() {
                let value = after.optional(field).ok().flatten().unwrap_or_default();
                expected = expected.with(field, value);
            }
            if !Secret::from(expected).encode().same_as(&Secret::from(after.clone()).encode()) {
                return finds(simulation, "the rotation changes the order of fields");
            }
            Ok(())
        }
        _ => finds(simulation, "the rotation makes something else of a document"),
    }
}

/// Rotations of accounts with hostile names and passwords.
pub(super) async fn names(testbed: &dyn Testbed, section: &mut Section) {
    let names = NAMES.iter().map(|name| (*name, "plain-password"));
    let passwords = PASSWORDS.iter().map(|password| ("plain", *password));
    for (name, password) in names.chain(passwords) {
        let wire = Wire::default();
        // A testbed that cannot make such an account is not asked again.
        let Some(remote) = testbed.named(&wire, name, password).await else { continue };
        let made = match Simulation::listening(remote, testbed.overlap(), &wire).await {
            Ok(mut simulation) => match rotations::in_a_row(&mut simulation, 2, 1).await {
                Ok(()) => leaks::search(&mut simulation),
                broken => broken,
            },
            Err(violation) => Err(violation),
        };
        section.count(&wire, made);
    }
    if section.runs == 0 {
        section.not_proven.insert("the testbed makes no account with a given name or password");
    }
}
