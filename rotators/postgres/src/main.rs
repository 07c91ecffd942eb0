//! The rotate-postgres function.

use std::process::ExitCode;

use fourstep::users::SingleUser;
use fourstep::{PasswordPolicy, Strategy};
use rotate_postgres::{EXCLUDED_CHARACTERS, Postgres};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    fourstep::run("rotate-postgres", |environment| {
        let policy = PasswordPolicy::read(environment, EXCLUDED_CHARACTERS)?;
        let database = Postgres::read(environment)?;
        match Strategy::read(environment)? {
            Strategy::SingleUser => Ok(SingleUser::new(database, policy)),
        }
    })
    .await
}
