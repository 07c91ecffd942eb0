//! A rotation function with a defect of one's choice, for the tests of `fourstep replay --crash`
//! and `--fault`: a check that cannot fail proves nothing. A rotation that nothing disturbs
//! succeeds with each of the defects.
//!
//! `DEFECT` names the defect. The target is the server of `tests/it/support/toy.rs`, at the
//! secret's `host` and `port` or, if it names none, at `TARGET`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Environment, Error, ErrorKind, ExposeSecret, Fence, Finding,
    InspectContext, Invocation, PasswordPolicy, Rotator, Secret, SetContext, Verdict,
};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// Nothing: as a rotator should be.
    None,
    /// It looks for the current password only, so it never gets over its own change.
    Forgets,
    /// It sets a password that is stored nowhere, and then the pending one.
    ByWayOfAnother,
    /// It takes a broken connection for a refused password.
    BlamesThePassword,
    /// It waits for an answer and for nothing else.
    Waits,
    /// It ends the process where it does not know what to do.
    GivesUp,
    /// Its error says which password it was about to set.
    Tells,
    /// Its log says so each time.
    TellsAll,
    /// It makes one more call as long as this file is not there.
    Uneven,
}

impl Defect {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "forgets" => Self::Forgets,
            "by-way-of-another" => Self::ByWayOfAnother,
            "blames-the-password" => Self::BlamesThePassword,
            "waits" => Self::Waits,
            "gives-up" => Self::GivesUp,
            "tells" => Self::Tells,
            "tells-all" => Self::TellsAll,
            "uneven" => Self::Uneven,
            _ => return None,
        })
    }
}

struct Careless {
    defect: Defect,
    target: Option<String>,
    marker: Option<String>,
    policy: PasswordPolicy,
}

impl Careless {
    fn read(environment: &Environment) -> Result<Self, Error> {
        let text = |name| Ok::<_, Error>(environment.text(name)?.map(str::to_owned));
        let defect = text("DEFECT")?.and_then(|name| Defect::named(&name));
        Ok(Self {
            defect: defect.ok_or_else(|| Error::new(ErrorKind::Malformed, "no such DEFECT"))?,
            target: text("TARGET")?,
            marker: text("MARKER")?,
            policy: PasswordPolicy::read(environment, "")?,
        })
    }

    /// A connection to the server that the secret names, behind its greeting.
    fn connect(&self, secret: &Secret) -> Result<Line, Error> {
        let document = secret.document()?;
        let address = match (document.optional("host")?, document.field("port"), &self.target) {
            (Some(host), Some(port), _) => format!("{host}:{port}"),
            (_, _, Some(target)) => target.clone(),
            _ => return Err(Error::new(ErrorKind::Malformed, "no target is named")),
        };
        let stream = TcpStream::connect(address).map_err(|cause| self.broken(&cause))?;
        let patience = (self.defect != Defect::Waits).then_some(Duration::from_secs(1));
        stream.set_read_timeout(patience).map_err(|cause| self.broken(&cause))?;
        let mut line = Line(BufReader::new(stream));
        line.hear().map_err(|cause| self.broken(&cause))?;
        Ok(line)
    }

    fn ask(&self, line: &mut Line, what: &str) -> Result<bool, Error> {
        line.ask(what).map_err(|cause| self.broken(&cause))
    }

    fn broken(&self, cause: &std::io::Error) -> Error {
        if self.defect == Defect::GivesUp {
            std::process::exit(1);
        }
        let kind = match self.defect {
            Defect::BlamesThePassword => ErrorKind::Rejected,
            _ => ErrorKind::Unreachable,
        };
        Error::new(kind, "no answer from the server").caused_by(cause)
    }

    fn logs_in(&self, secret: &Secret) -> Result<Option<Line>, Error> {
        let password = secret.document()?.required("password")?;
        let mut line = self.connect(secret)?;
        Ok(self.ask(&mut line, &format!("LOGIN {password}"))?.then_some(line))
    }
}

/// Questions and answers, one line each.
struct Line(BufReader<TcpStream>);

impl Line {
    fn hear(&mut self) -> std::io::Result<String> {
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        if answer.ends_with('\n') { Ok(answer) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    }

    fn ask(&mut self, what: &str) -> std::io::Result<bool> {
        self.0.get_mut().write_all(format!("{what}\n").as_bytes())?;
        Ok(self.hear()? == "OK\n")
    }
}

#[async_trait]
impl Rotator for Careless {
    fn check(&self, _: &SetContext<'_>) -> Result<(), Error> {
        Ok(())
    }

    async fn propose(&self, known: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        let password = self.policy.generate()?;
        let current = known.current.secret().document()?;
        Ok(current.with("password", password.expose_secret()).into())
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        let pending = versions.pending().secret();
        let Some(mut line) = self.logs_in(versions.current().secret())? else {
            if self.defect != Defect::Forgets && self.logs_in(pending)?.is_some() {
                return Ok(Applied::Already("the pending password logs in".to_owned()));
            }
            return Err(Error::new(ErrorKind::Rejected, "no password logs in"));
        };
        fence.pass().await?;
        if self.defect == Defect::ByWayOfAnother {
            self.ask(&mut line, "SET for-a-moment")?;
        }
        let password = pending.document()?.required("password")?;
        if self.defect == Defect::TellsAll {
            println!("sets {password:?}");
        }
        self.ask(&mut line, &format!("SET {password}")).map_err(|error| match self.defect {
            Defect::Tells => error.while_doing(format!("setting {password}")),
            _ => error,
        })?;
        if let (Defect::Uneven, Some(marker)) = (self.defect, &self.marker)
            && std::fs::File::create_new(marker).is_ok()
        {
            self.ask(&mut line, &format!("LOGIN {password}"))?;
        }
        Ok(Applied::Changed("set the password".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        Ok(match self.logs_in(secret)? {
            Some(_) => Verdict::Accepted,
            None => Verdict::Rejected("the server refused the password".to_owned()),
        })
    }

    async fn preflight(
        &self,
        _: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("careless", Careless::read).await
}
