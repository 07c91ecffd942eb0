//! What our function must be set to so that it makes the passwords, and takes the users, that AWS's
//! function did. docs/migrate.md has the table of variables, held to this one by a test.

use std::collections::BTreeMap;

use super::templates::{Program, Template};
use crate::account::aws::{Found, Function};
use crate::account::text::word;

/// What a variable of AWS's functions is, and what it is where it is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Characters, in any order.
    Characters,
    /// A number of characters.
    Length,
    /// True or false.
    Flag(bool),
    /// A name, of ElastiCache's template only: there it must be the same, and stands in no other.
    Name,
    /// The address of Secrets Manager, which needs to be carried over where it is not the Region's own.
    Endpoint,
}

/// A variable of AWS's functions.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name, there and here.
    pub name: &'static str,
    /// The parameter of our stack.
    pub parameter: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// The tag of a secret that says it instead, here.
    pub tag: Option<&'static str>,
}

const fn variable(name: &'static str, parameter: &'static str, meaning: Meaning) -> Variable {
    Variable { name, parameter, meaning, tag: None }
}

/// AWS's variables. `USERNAME_CHARACTER_LIMIT` is not among them: it holds a bound that AWS's template
/// has and the server has not.
pub const VARIABLES: [Variable; 10] = [
    variable("EXCLUDE_CHARACTERS", "ExcludeCharacters", Meaning::Characters),
    Variable {
        tag: Some("fourstep:password-length"),
        ..variable("PASSWORD_LENGTH", "PasswordLength", Meaning::Length)
    },
    Variable {
        tag: Some("fourstep:exclude-numbers"),
        ..variable("EXCLUDE_NUMBERS", "ExcludeNumbers", Meaning::Flag(false))
    },
    Variable {
        tag: Some("fourstep:exclude-punctuation"),
        ..variable("EXCLUDE_PUNCTUATION", "ExcludePunctuation", Meaning::Flag(false))
    },
    Variable {
        tag: Some("fourstep:exclude-uppercase"),
        ..variable("EXCLUDE_UPPERCASE", "ExcludeUppercase", Meaning::Flag(false))
    },
    Variable {
        tag: Some("fourstep:exclude-lowercase"),
        ..variable("EXCLUDE_LOWERCASE", "ExcludeLowercase", Meaning::Flag(false))
    },
    Variable {
        tag: Some("fourstep:require-each-included-type"),
        ..variable("REQUIRE_EACH_INCLUDED_TYPE", "RequireEachIncludedType", Meaning::Flag(true))
    },
    variable("SECRET_ARN", "SECRET_ARN", Meaning::Name),
    variable("USER_NAME", "USER_NAME", Meaning::Name),
    variable("SECRETS_MANAGER_ENDPOINT", "SecretsManagerEndpoint", Meaning::Endpoint),
];

impl Variable {
    /// What a function goes by: where both are the same, passwords are made alike.
    fn effective(&self, set: Option<&str>, template: &Template) -> String {
        // A space may be one of the characters.
        let whole = set.filter(|text| !text.is_empty());
        let set = whole.map(str::trim).filter(|text| !text.is_empty());
        match self.meaning {
            Meaning::Characters => {
                // The same defaults there and here (docs/settings.md).
                let postgres = template.program == Some(Program::Postgres);
                let default = if postgres { ":/@\"'\\" } else { "/@\"'\\" };
                let mut characters: Vec<char> = whole.unwrap_or(default).chars().collect();
                characters.sort_unstable();
                characters.dedup();
                characters.into_iter().collect()
            }
            Meaning::Length => set.unwrap_or("32").to_owned(),
            // AWS's functions read anything else as false.
            Meaning::Flag(default) => match set.map(str::to_ascii_lowercase).as_deref() {
                None => default.to_string(),
                Some("true" | "1" | "y" | "yes") => "true".to_owned(),
                Some(_) => "false".to_owned(),
            },
            Meaning::Name => set.unwrap_or_default().to_owned(),
            Meaning::Endpoint => match set {
                Some(url) if !url.contains("://secretsmanager") => url.to_owned(),
                _ => String::new(),
            },
        }
    }

    /// What has to be set here so that it is as it was, if anything.
    fn need(
        &self,
        template: &Template,
        old: &Function,
        new: &Function,
        tags: &BTreeMap<String, String>,
    ) -> Option<String> {
        if self.meaning == Meaning::Name && template.program != Some(Program::Redis) {
            return None;
        }
        let mut there = old.variables.get(self.name).map(String::as_str);
        if self.meaning == Meaning::Length && template.program == Some(Program::Redis) {
            // AWS's template for ElastiCache has another default than its others.
            there = there.or(Some("20"));
        }
        let tag = self.tag.and_then(|tag| tags.get(tag));
        let here = tag.or_else(|| new.variables.get(self.name)).map(String::as_str);
        let there = self.effective(there, template);
        let same = there == self.effective(here, template);
        (!same && !there.is_empty()).then(|| format!("{}={}", self.parameter, word(&there)))
    }
}

/// What our function lacks, as parameters of its stack and tags of the secret; and what it will lack
/// unless the pair is marked already.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Without these a rotation would fail, or be another one than before.
    pub strategy: Vec<String>,
    /// Without these passwords would be made in another way.
    pub passwords: Vec<String>,
    /// Only a function that can be asked says whether it needs these.
    pub unless_marked: Vec<String>,
    /// Whether the function as it is would rotate the secret by another strategy, and answers for that one.
    pub by_another: bool,
}

impl Needs {
    /// By the settings of both functions and the tags of the secret.
    pub fn of(
        template: &Template,
        program: Program,
        old: &Function,
        new: &Function,
        secret: &Found,
    ) -> Self {
        let mut needs = Self::default();
        let (listed, tag) = (offered(program, new), secret.strategy.as_deref());
        let chosen = chosen(template, &listed, tag);
        if !listed.contains(&chosen) {
            // What comes first is what secrets without a tag have: it stays.
            let parameter = program.strategy_parameter();
            needs.strategy.push(format!("{parameter}={},{chosen}", listed.join(",")));
        }
        let now = tag.or(listed.first().copied());
        needs.by_another = now != Some(chosen) || !listed.contains(&chosen);
        // A pair says itself what it is, so that no later list of the function makes it something else.
        let untagged = tag.is_none() && !template.pair && listed.first() == Some(&chosen);
        if tag != Some(chosen) && !untagged {
            needs.strategy.push(format!("the secret's tag fourstep:strategy={chosen}"));
        }
        if template.pair && !new.variables.contains_key("ADOPT_USERS") {
            needs.unless_marked.push("AdoptUsers with the second user of this pair".to_owned());
        }
        if !old.vpc.is_empty() && old.vpc != new.vpc {
            let what =
                format!("SubnetIds and SecurityGroupIds of {}, as the old function", old.vpc);
            needs.strategy.push(what);
        }
        for variable in &VARIABLES {
            let Some(need) = variable.need(template, old, new, &secret.tags) else { continue };
            match variable.meaning {
                Meaning::Name | Meaning::Endpoint => needs.strategy.push(need),
                _ => needs.passwords.push(need),
            }
        }
        needs
    }

    /// The strategy by which the secret will be rotated, by our function if there is one already.
    pub fn chosen(
        template: &Template,
        program: Program,
        new: Option<&Function>,
        secret: &Found,
    ) -> String {
        let listed = new.map(|new| offered(program, new)).unwrap_or_default();
        chosen(template, &listed, secret.strategy.as_deref()).to_owned()
    }
}

/// The strategies that a function of ours offers; the first is that of secrets without a tag.
fn offered(program: Program, new: &Function) -> Vec<&str> {
    let listed = new.variables.get("ROTATION_STRATEGY").map(String::as_str);
    let listed = listed.unwrap_or(program.default_strategy()).split(',').map(str::trim);
    listed.filter(|one| !one.is_empty()).collect()
}

/// The tag's strategy or the function's first, if the template may have it; else the template's own.
fn chosen<'a>(template: &Template, listed: &[&'a str], tag: Option<&'a str>) -> &'a str {
    let said = tag.or(listed.first().copied()).filter(|one| template.may_have(one));
    said.or(template.strategy()).unwrap_or_default()
}
