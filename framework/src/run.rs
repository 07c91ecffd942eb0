//! The Lambda glue: one event in, one answer and one log line out.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures_util::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

use crate::announce::Announce;
use crate::config::Environment;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Question, Request};
use crate::invocation::{Deadline, Invocation};
use crate::log;
use crate::outcome::{Effect, Outcome};
use crate::rotator::Rotator;
use crate::shell::word;
use crate::store::SecretStore;
use crate::store::aws::{AwsStore, EventBus};

/// Runs a rotation function on Lambda, until the runtime stops it. A binary's `main` is this call.
///
/// `name` stands in every log line; `build` reads the environment and makes the rotator. An error
/// of `build` is logged at once and then answers every event, so that the failed rotation itself
/// names the variable to correct, and nothing is changed meanwhile.
///
/// ```no_run
/// use std::sync::Arc;
/// use fourstep::{Environment, PasswordPolicy, Result, users::{Database, Driver, SingleUser}};
///
/// async fn main_of<S: Database>(
///     connect: impl FnOnce(&Environment) -> Result<S>,
/// ) -> std::process::ExitCode {
///     fourstep::run("rotate-example", |environment| {
///         let policy = PasswordPolicy::read(environment, "/@\"'\\")?;
///         let driver = Driver::read(environment, connect(environment)?)?;
///         Ok(SingleUser::new(Arc::new(driver), policy))
///     })
///     .await
/// }
/// ```
pub async fn run<R: Rotator>(
    name: &'static str,
    build: impl FnOnce(&Environment) -> Result<R>,
) -> ExitCode {
    let environment = Environment::of_process();
    log::start(name, &environment);
    if !on_lambda(&environment) {
        return not_on_lambda(name);
    }
    let replicas = environment.flag("WAIT_FOR_REPLICAS");
    let bus = EventBus::read(&environment);
    let read = replicas.clone().and(bus.clone().map(drop));
    let built = match build(&environment).and_then(|rotator| read.map(|()| rotator)) {
        Ok(rotator) => AwsStore::connect(&environment).await.map(|store| (rotator, store)),
        Err(error) => Err(error),
    };
    if let Err(error) = &built {
        log::refuse_start(name, error);
    }
    let parts = built.as_ref();
    let function = Function {
        name,
        built: parts.map(|(rotator, store)| (rotator as &dyn Rotator, store as &dyn SecretStore)),
        replicas: replicas.unwrap_or_default(),
        bus: bus.ok().flatten(),
        slips: environment.slips(),
    };
    match lambda_runtime::run(service_fn(|event| function.answer(event))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The variables the Lambda runtime cannot do without; it panics where one is missing.
fn on_lambda(environment: &Environment) -> bool {
    [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
    ]
    .iter()
    .all(|name| matches!(environment.text(name), Ok(Some(_))))
}

fn not_on_lambda(name: &str) -> ExitCode {
    use std::io::Write;
    let program = std::env::args_os().next().unwrap_or_default();
    let program = word(&std::path::Path::new(&program).display().to_string());
    let text = format!(
        "{name} is an AWS Lambda function and found no Lambda runtime here.\n\
         To run it on this machine: fourstep replay --rotator {program} --secret FILE\n"
    );
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(2)
}

/// What answers events: a rotator over a store, or the reason why there is none.
struct Function<'a> {
    name: &'static str,
    built: Result<(&'a dyn Rotator, &'a dyn SecretStore), &'a Error>,
    /// Whether finishSecret waits for replicas.
    replicas: bool,
    /// Where a rotation is told of.
    bus: Option<EventBus>,
    /// What is said of the environment's names with every event.
    slips: Vec<String>,
}

impl Function<'_> {
    async fn answer(&self, event: LambdaEvent<Value>) -> Result<Value> {
        let started = Instant::now();
        let LambdaEvent { payload, context } = event;
        let cx = Invocation::new(Deadline::at(context.deadline()));
        self.slips.iter().for_each(|slip| cx.warn(slip));
        let request = Request::decode(&payload);
        // The raw event holds the RotationToken: it is not needed any more.
        drop(payload);
        let result = match &request {
            Ok(request) => self.respond(request, &cx).await,
            Err(error) => Err(error.clone()),
        };
        log::Line {
            rotator: self.name,
            function: &context.env_config.function_name,
            request_id: &context.request_id,
            request: request.as_ref(),
            result: match &result {
                Ok((outcome, _)) => Ok(outcome.clone()),
                Err(error) => Err(error),
            },
            duration: started.elapsed(),
            stats: cx.stats(),
        }
        .write();
        result.map(|(_, answer)| answer)
    }

    /// Does what is asked; an error names the step.
    async fn respond(&self, request: &Request, cx: &Invocation) -> Result<(Outcome, Value)> {
        match self.built {
            Ok((rotator, store)) => {
                let bus = self.bus.as_ref().map(|bus| bus as &dyn Announce);
                let engine = Engine::new(store, rotator).waiting_for_replicas(self.replicas);
                let engine = engine.announcing(bus);
                within_deadline(cx, work(engine, request, cx)).await
            }
            Err(error) => Err(error.clone()),
        }
        .map_err(|error| match request {
            Request::Rotate(event) => error.at(event.step),
            Request::Ask(..) => error,
        })
    }
}

async fn work(engine: Engine<'_>, request: &Request, cx: &Invocation) -> Result<(Outcome, Value)> {
    match request {
        Request::Rotate(event) => {
            let outcome = engine.step(event, cx).await?;
            let answer = json!({"outcome": outcome.effect.name(), "why": outcome.why});
            Ok((outcome, answer))
        }
        Request::Ask(question, secret) => {
            let answer = engine.answer(*question, secret, cx).await?;
            let why = match question {
                Question::Inspect => "looked at every labelled version",
                Question::Preflight => "looked for what would fail a rotation",
                Question::Plan => "looked at what a rotation would do",
            };
            Ok((Outcome { effect: Effect::Done, why: why.to_owned() }, answer))
        }
    }
}

/// Ends the work at the deadline, and turns a panic into an error.
async fn within_deadline<T>(cx: &Invocation, work: impl Future<Output = Result<T>>) -> Result<T> {
    let deadline = cx.deadline();
    let bounded = deadline.bound_step(work);
    match AssertUnwindSafe(bounded).catch_unwind().await {
        Ok(result) => result.flatten(),
        Err(_) => Err(Error::new(ErrorKind::Internal, "the rotator panicked")
            .caused_by(format!("at {}; please report this", log::panic_place()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RotationEvent;
    use crate::ids::{SecretId, VersionId};
    use crate::rotator::{
        Applied, CreateContext, Fence, Finding, InspectContext, SetContext, Verdict,
    };
    use crate::secret::Secret;
    use crate::step::Step;
    use crate::store::fixed::FixedSecret;
    use crate::store::{AWSCURRENT, AWSPENDING};
    use async_trait::async_trait;
    use std::time::Duration;

    /// A rotator with a defect in every verb: it panics with a value, or never ends.
    struct Defective;

    #[async_trait]
    impl Rotator for Defective {
        fn check(&self, _: &SetContext<'_>) -> Result<()> {
            Ok(())
        }

        async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret> {
            panic!("cannot use {}", known.current.secret().expose()?)
        }

        async fn apply(
            &self,
            _: &SetContext<'_>,
            _: &dyn Fence,
            _: &Invocation,
        ) -> Result<Applied> {
            std::future::pending().await
        }

        async fn verify(&self, _: &Secret, cx: &Invocation) -> Result<Verdict> {
            let silence = std::future::pending::<Verdict>();
            cx.deadline().bound("the vendor", Duration::MAX, silence).await
        }

        async fn preflight(&self, _: &InspectContext<'_>, _: &Invocation) -> Result<Vec<Finding>> {
            Ok(Vec::new())
        }
    }

    async fn respond(step: Step, seconds: f64) -> Error {
        let pending = (step == Step::Test).then_some("canary");
        let token = VersionId::from_store("t".repeat(32));
        let store = FixedSecret::new(&[
            ("v", AWSCURRENT, Some("canary")),
            (&"t".repeat(32), AWSPENDING, pending),
        ]);
        let secret = SecretId::parse("s").unwrap();
        let function = Function {
            name: "defective",
            built: Ok((&Defective, &store)),
            replicas: false,
            bus: None,
            slips: Vec::new(),
        };
        let cx = Invocation::new(Deadline::after(Duration::from_secs_f64(seconds)));
        let event = RotationEvent { step, secret, token, rotation_token: None };
        function.respond(&Request::Rotate(event), &cx).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_panic_is_an_error_that_names_the_place_and_not_the_message() {
        log::start("defective", &Environment::default());
        let error = respond(Step::Create, 30.0).await;
        // What other tests panic with is shown again.
        drop(std::panic::take_hook());
        assert_eq!((error.kind(), error.step()), (ErrorKind::Internal, Some(Step::Create)));
        let text = error.to_string();
        assert!(text.contains("framework/src/run.rs:") && !text.contains("canary"), "{text}");
    }

    /// By the runtime's own clock, which moves only while all wait: a machine that is busy adds nothing.
    #[tokio::test(start_paused = true)]
    async fn a_verb_that_never_ends_is_reported_before_the_deadline() {
        let started = tokio::time::Instant::now();
        let error = respond(Step::Test, 30.0).await;
        assert_eq!((error.kind(), error.step()), (ErrorKind::OutOfTime, Some(Step::Test)));
        // What the verb says of it, not that the step was cut off.
        assert!(error.to_string().contains("no answer to the vendor"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
