//! A database that lets everybody in and writes down where an admin went: for names behind which no server is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{
    Administered, Attempt, ByAdmin, Change, Database, Dialect, Driver, LoggedIn, Login,
};
use fourstep::{
    Deadline, Engine, Environment, Error, Fence, Finding, Invocation, PasswordPolicy,
    RotationEvent, SecretId, SecretString, Step,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret};
use serde_json::{Value, json};

use super::stage::{FUNCTION, new_token};

const DIALECT: Dialect = Dialect {
    engines: &["postgres", "aurora-postgresql", "redshift"],
    default_port: 5432,
    default_dbname: None,
    longest_name: 63,
    most_older_logins: 0,
    besides: &[],
};

/// A database that lets everybody in and writes down to which server an admin went.
#[derive(Default)]
struct Witness(Mutex<Vec<String>>);

#[async_trait]
impl Database for Witness {
    /// Where it was opened.
    type Session = String;
    type Prepared = ();

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, _: &Invocation) -> Result<Attempt<String>, Error> {
        Ok(Attempt::Accepted(login.server()))
    }

    async fn prepare_own(
        &self,
        _: &mut LoggedIn<'_, String>,
        _: &SecretString,
    ) -> Result<(), Error> {
        panic!("the admin changes it")
    }

    fn locks(&self, (): &()) -> Vec<String> {
        Vec::new()
    }

    async fn begin(&self, _: &mut LoggedIn<'_, String>, _: &[String]) -> Result<(), Error> {
        Ok(())
    }

    async fn set(
        &self,
        at: &mut LoggedIn<'_, String>,
        (): &(),
        _: &dyn Fence,
    ) -> Result<Change, Error> {
        self.0.lock().unwrap().push(at.session.clone());
        Ok(Change::Made)
    }

    async fn preflight(&self, _: &mut LoggedIn<'_, String>) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Administered for Witness {
    async fn prepare_admin(&self, _: &mut LoggedIn<'_, String>) -> Result<(), Error> {
        Ok(())
    }

    async fn prepare_reset(&self, _: &mut LoggedIn<'_, String>, _: &Login) -> Result<(), Error> {
        Ok(())
    }

    async fn objections(&self, _: &mut LoggedIn<'_, String>, _: &str) -> Result<Vec<Error>, Error> {
        Ok(Vec::new())
    }
}

pub fn invocation() -> Invocation {
    Invocation::new(Deadline::after(Duration::from_secs(30)))
}

/// createSecret and setSecret of this user, by an admin whose secret is this, with these variables: the server that
/// the admin went to.
pub async fn set(
    variables: &[(&str, &str)],
    mut user: Value,
    admin: NewSecret,
) -> Result<String, Error> {
    let store = MemoryStore::new();
    user["masterarn"] = json!(store.create("admin", admin).unwrap().arn);
    let value = Some(user.to_string().as_str().into());
    store.create("user", NewSecret { value, ..NewSecret::default() }).unwrap();
    let (secret, token) = (SecretId::parse("user").unwrap(), new_token());
    store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    let environment: Environment = variables.iter().copied().collect();
    let database = Arc::new(Driver::new(Witness::default()));
    let policy = PasswordPolicy::default();
    let rotator = ByAdmin::read(&environment, database.clone(), policy).unwrap();
    for step in [Step::Create, Step::Set] {
        let (secret, token) = (secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        Engine::new(&store, &rotator).step(&event, &invocation()).await?;
    }
    let went = database.server().0.lock().unwrap().pop();
    Ok(went.expect("the admin went somewhere"))
}
