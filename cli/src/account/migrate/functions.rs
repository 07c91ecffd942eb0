//! The functions of an account, each asked about once: ours, by what they run, and AWS's.

use std::collections::BTreeMap;
use std::io;

use tokio::sync::Mutex;

use super::templates::{Origin, Program, Template, Told};
use crate::account::aws::{Account, CallError, Function};
use crate::account::text::clean;

/// A function of ours that takes secrets over.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it runs.
    pub program: Program,
    /// What Lambda says of it.
    pub function: Function,
}

/// The functions that are known: ours by program, AWS's as they are met.
#[derive(Debug)]
pub struct Functions {
    targets: Vec<Target>,
    said: Vec<(String, &'static Template)>,
    /// Whether passwords may be made in another way than before.
    pub(super) any_passwords: bool,
    /// Whether our function may read the secrets that do not name it, as the first of them showed: Lambda
    /// counts each refusal as an error, of which an alarm tells.
    pub(super) readable: Mutex<BTreeMap<&'static str, bool>>,
    known: Mutex<BTreeMap<String, (Option<Function>, Origin)>>,
}

impl Functions {
    /// Looks up the functions of `--function [PROGRAM=]NAME` and reads `--template OLD=TEMPLATE`.
    ///
    /// # Errors
    /// If a function does not exist, is not ours, cannot be told which, or stands in for a program that
    /// has one already; if there is no such template.
    pub async fn of(
        account: &Account,
        ours: &[String],
        templates: &[String],
        any_passwords: bool,
    ) -> io::Result<Self> {
        let refused = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let mut targets: Vec<Target> = Vec::new();
        for given in ours {
            let (word, name) = given
                .split_once('=')
                .map_or((None, given.as_str()), |(word, name)| (Some(word), name));
            let shown = clean(name);
            let function = account.function(name).await?.ok_or_else(|| {
                refused(format!("--function: there is no {shown} in {}", account.region()))
            })?;
            if !function.ours {
                let kind = &function.kind;
                return Err(refused(format!("--function: {shown} is not Fourstep's ({kind})")));
            }
            let program = match word {
                Some(word) => Program::ALL.into_iter().find(|one| one.word() == word),
                None => Program::of(&function),
            };
            let program = program.ok_or_else(|| {
                let words = Program::ALL.map(Program::word).join(", ");
                refused(format!("--function: say what {shown} runs, of {words}: postgres={shown}"))
            })?;
            if targets.iter().any(|one| one.program == program) {
                return Err(refused(format!("--function: {program} is given twice")));
            }
            targets.push(Target { program, function });
        }
        let mut said = Vec::new();
        for given in templates {
            let named = given.split_once('=');
            let template = named.and_then(|(_, name)| Template::called(name));
            match (named, template) {
                (Some((old, _)), Some(template)) => said.push((old.to_owned(), template)),
                _ => {
                    let given = clean(given);
                    return Err(refused(format!(
                        "--template: {given} is not FUNCTION=TEMPLATE, such as \
                         old-function=SecretsManagerRDSPostgreSQLRotationSingleUser"
                    )));
                }
            }
        }
        let (readable, known) = Default::default();
        Ok(Self { targets, said, any_passwords, readable, known })
    }

    /// What a secret's function is. Each is asked about once.
    pub(super) async fn origin(
        &self,
        account: &Account,
        arn: &str,
    ) -> Result<(Option<Function>, Origin), CallError> {
        if let Some(known) = self.known.lock().await.get(arn) {
            return Ok(known.clone());
        }
        let function = account.function(arn).await?;
        let is = |name: &str| name == arn || arn.split(':').nth(6) == Some(name);
        let said = self.said.iter().find(|(name, _)| is(name));
        let origin = match (&function, said) {
            (Some(function), _) if function.ours => Origin::Another,
            (_, Some((_, template))) => Origin::Of(template, Told::Person),
            // Nothing but its name is left of it.
            (None, None) => Template::within(arn.split(':').nth(6).unwrap_or_default())
                .map_or(Origin::Another, |template| Origin::Of(template, Told::Name)),
            (Some(function), None) if function.templated => {
                // Only a whole function has tags, no version or alias of it.
                let whole: Vec<_> = arn.split(':').take(7).collect();
                let application = account.application(&whole.join(":")).await?;
                Origin::of(function, application.as_deref())
            }
            (Some(_), None) => Origin::Another,
        };
        let known = (function, origin);
        self.known.lock().await.insert(arn.to_owned(), known.clone());
        Ok(known)
    }

    /// Whether this is one of ours that were named.
    pub(super) fn is_target(&self, arn: &str) -> bool {
        self.targets.iter().any(|one| one.function.arn == arn)
    }

    pub(super) fn target(&self, program: Program) -> Option<&Target> {
        self.targets.iter().find(|one| one.program == program)
    }
}
