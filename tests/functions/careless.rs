//! A function whose rotator mishandles the secret: in the verb that `CARELESS_VERB` names it does
//! what `CARELESS_DEFECT` says with the whole value. `leaks/careless.rs` looks at what comes out.

use std::process::ExitCode;

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, Fence, Finding, InspectContext, Invocation,
    RetireContext, Rotator, Secret, SetContext, Verdict,
};

struct Careless {
    verb: String,
    defect: String,
}

impl Careless {
    async fn handle(&self, verb: &str, secret: &Secret) -> Result<(), Error> {
        let value = secret.expose().unwrap_or_default();
        if self.verb != verb {
            return Ok(());
        }
        if self.defect == "panics in a task" {
            let ended = tokio::spawn(async move { panic!("cannot use {value}") }).await;
            return ended.map_err(|_| Error::new(ErrorKind::Internal, "the task panicked"));
        }
        self.mishandle(value)
    }

    /// The defects that need no waiting.
    fn mishandle(&self, value: String) -> Result<(), Error> {
        match self.defect.as_str() {
            "panics" => panic!("cannot use {value}"),
            "panics with the value" => std::panic::panic_any(value),
            "unwraps an error" => drop(value.parse::<u64>().map_err(|_| &value).unwrap()),
            "expects a number" => drop(value.parse::<u64>().expect(&value)),
            "cuts a character in two" => println!("{}", &value[value.find('☃').unwrap() + 1..]),
            // From here on it is the author who lets the value out, and a search has to find it.
            "says it in an error" => {
                return Err(Error::new(ErrorKind::Unreachable, "the vendor says no")
                    .caused_by(format!("{:?}", value.as_bytes())));
            }
            "logs it" => tracing::info!(value, "about to use it"),
            "logs it as a driver" => {
                tracing::error!(target: "sqlx::query", value, "slow statement")
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Rotator for Careless {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        let current = versions.current();
        if self.verb == "check" { self.mishandle(current.secret().expose()?) } else { Ok(()) }
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        self.handle("propose", known.current.secret()).await?;
        Ok(known.current.secret().document()?.with("password", "next-one").into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        self.handle("apply", versions.current().secret()).await?;
        fence.pass().await?;
        Ok(Applied::Changed("changed nothing".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        self.handle("verify", secret).await?;
        Ok(Verdict::Accepted)
    }

    async fn retire(&self, keep: &RetireContext<'_>, _: &Invocation) -> Result<(), Error> {
        for kept in keep.labelled().await? {
            self.handle("retire", kept.secret()).await?;
        }
        Ok(())
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        let current = subject.current;
        self.handle("preflight", current.secret()).await?;
        Ok(Vec::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("careless", |environment| {
        let read = |name: &str| -> Result<String, Error> {
            Ok(environment.text(name)?.unwrap_or_default().to_owned())
        };
        Ok(Careless { verb: read("CARELESS_VERB")?, defect: read("CARELESS_DEFECT")? })
    })
    .await
}
