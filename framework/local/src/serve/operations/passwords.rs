//! GetRandomPassword.
//!
//! Source: Secrets Manager API Reference, "GetRandomPassword".

use std::num::NonZero;

use rand::TryRng;
use serde_json::{Value, json};

use crate::serve::refusal::Refusal;
use crate::serve::wire::Input;

const LONGEST: u32 = 4096;
const USUAL: u32 = 32;

/// The types of characters, each with the switch that leaves it out.
const TYPES: [(&str, &str); 4] = [
    ("ExcludeLowercase", "abcdefghijklmnopqrstuvwxyz"),
    ("ExcludeUppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("ExcludeNumbers", "0123456789"),
    ("ExcludePunctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
];

pub(super) fn password(input: &Input) -> Result<Value, Refusal> {
    let length = input.number("PasswordLength")?.unwrap_or(USUAL);
    let bound = |constraint: &str| Refusal::validation("passwordLength", constraint);
    if length == 0 {
        return Err(bound("Member must have value greater than or equal to 1"));
    }
    if length > LONGEST {
        return Err(bound("Member must have value less than or equal to 4096"));
    }
    let without = input.text("ExcludeCharacters")?.unwrap_or_default();
    if without.chars().count() > LONGEST as usize {
        let constraint = "Member must have length less than or equal to 4096";
        return Err(Refusal::validation("excludeCharacters", constraint));
    }
    let left = |all: &str| all.chars().filter(|one| !without.contains(*one)).collect::<Vec<_>>();
    let mut types = Vec::new();
    for (switch, all) in TYPES {
        if input.flag(switch)? != Some(true) {
            types.push(left(all));
        }
    }
    types.retain(|some| !some.is_empty());
    let mut all: Vec<char> = types.concat();
    if input.flag("IncludeSpace")? == Some(true) {
        all.extend(left(" "));
    }
    let each = input.flag("RequireEachIncludedType")?.unwrap_or(true);
    let required = if each { types } else { Vec::new() };
    let length = length as usize;
    if all.is_empty() {
        // AWS's words are not known.
        return Err(Refusal::parameter("No characters are left to make a password of."));
    }
    if required.len() > length {
        return Err(Refusal::parameter(
            "Password length is too short based on the required types.",
        ));
    }
    drawn(&all, &required, length).map(|password| json!({"RandomPassword": password}))
}

/// A password that has one of each required type at least: those are drawn first, then the rest, and
/// then all change places.
fn drawn(all: &[char], required: &[Vec<char>], length: usize) -> Result<String, Refusal> {
    let mut password = Vec::with_capacity(length);
    for some in required {
        password.push(one_of(some)?);
    }
    while password.len() < length {
        password.push(one_of(all)?);
    }
    for last in (1..password.len()).rev() {
        password.swap(last, below(last + 1)?);
    }
    Ok(password.into_iter().collect())
}

fn one_of(some: &[char]) -> Result<char, Refusal> {
    some.get(below(some.len())?).copied().ok_or_else(Refusal::no_random_numbers)
}

/// A number below `bound`, each as likely: what does not divide evenly is drawn again.
fn below(bound: usize) -> Result<usize, Refusal> {
    let bound = NonZero::new(bound as u64).ok_or_else(Refusal::no_random_numbers)?;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = rand::rngs::SysRng.try_next_u64().map_err(|_| Refusal::no_random_numbers())?;
        if drawn < fair {
            return usize::try_from(drawn % bound).map_err(|_| Refusal::no_random_numbers());
        }
    }
}
