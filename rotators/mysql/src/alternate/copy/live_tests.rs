//! Two accounts that were given anything at random, at a real MariaDB: the statements that make them
//! alike do, and what the server keeps is what it says.

use std::time::{Duration, SystemTime};

use fourstep::{Deadline, Invocation};

use crate::alternate::copy::plan::difference;
use crate::alternate::copy::read::{self, Account};
use crate::alternate::quoting::AccountName;
use crate::live_tests::Fixture;
use crate::session::{Failure, Session};

/// What an administrator may do to an account, which is `$`.
const POOL: &str = "
GRANT SELECT, INSERT ON *.* TO $
GRANT RELOAD, FILE ON *.* TO $ WITH GRANT OPTION
REVOKE GRANT OPTION ON *.* FROM $
REVOKE SELECT ON *.* FROM $
GRANT ALL ON `alike`.* TO $
GRANT SELECT, INSERT ON `al\\_%`.* TO $ WITH GRANT OPTION
REVOKE SELECT ON `al\\_%`.* FROM $
REVOKE DROP, ALTER ON alike.* FROM $
REVOKE ALL PRIVILEGES ON alike.* FROM $
GRANT USAGE ON alike.* TO $ WITH GRANT OPTION
GRANT SELECT ON alike.t TO $
GRANT SELECT (a), UPDATE (a, b) ON alike.t TO $
GRANT SELECT (b), UPDATE ON alike.t TO $ WITH GRANT OPTION
REVOKE SELECT ON alike.t FROM $
REVOKE SELECT (a) ON alike.t FROM $
REVOKE UPDATE (b) ON alike.t FROM $
GRANT ALL ON alike.t TO $
REVOKE ALL PRIVILEGES ON alike.t FROM $
REVOKE GRANT OPTION ON alike.t FROM $
GRANT EXECUTE ON PROCEDURE alike.p TO $
GRANT ALTER ROUTINE ON PROCEDURE alike.p TO $ WITH GRANT OPTION
REVOKE EXECUTE ON PROCEDURE alike.p FROM $
GRANT alike_r TO $
GRANT alike_r TO $ WITH ADMIN OPTION
GRANT alike_s TO $
REVOKE alike_r FROM $
GRANT PROXY ON alike_p TO $
GRANT PROXY ON alike_p TO $ WITH GRANT OPTION
REVOKE PROXY ON alike_p FROM $
ALTER USER $ REQUIRE X509
ALTER USER $ REQUIRE SUBJECT 'it''s \\ \"x\"' AND CIPHER 'y'
ALTER USER $ REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0
ALTER USER $ WITH MAX_QUERIES_PER_HOUR 5 MAX_USER_CONNECTIONS 3
ALTER USER $ PASSWORD EXPIRE NEVER
ALTER USER $ PASSWORD EXPIRE INTERVAL 3 DAY
REVOKE ALL PRIVILEGES, GRANT OPTION FROM $
GRANT DELETE HISTORY ON alike.t TO $
GRANT READ_ONLY ADMIN, SELECT ON *.* TO $ WITH GRANT OPTION
REVOKE READ_ONLY ADMIN ON *.* FROM $
SET DEFAULT ROLE alike_r FOR $
SET DEFAULT ROLE NONE FOR $
REVOKE ADMIN OPTION FOR alike_r FROM $
ALTER USER $ WITH MAX_STATEMENT_TIME 1.25
ALTER USER $ PASSWORD EXPIRE DEFAULT";

const ROUNDS: usize = 60;

/// The session of an administrator, and what it finds.
struct Table<'a> {
    session: Session,
    cx: &'a Invocation,
}

impl Table<'_> {
    async fn run(&mut self, statement: &str) {
        let ran = self.session.run("it", statement, self.cx).await;
        ran.unwrap_or_else(|failure| panic!("{statement}: {failure:?}"));
    }

    async fn account(&mut self, user: &str) -> Account {
        let mut accounts = read::read(&mut self.session, user, self.cx).await.unwrap();
        accounts.remove("127.%").unwrap()
    }
}

#[tokio::test]
async fn whatever_two_accounts_were_given_they_are_made_alike() {
    let Some(place) = Fixture::with_user("MARIADB", "alike_a", "first").await else { return };
    let Some(_) = Fixture::with_user("MARIADB", "alike_b", "first").await else { return };
    let cx = Invocation::new(Deadline::after(Duration::from_secs(300)));
    let mut table = Table { session: place.admins().await, cx: &cx };
    table.session.listen_longer();
    for statement in [
        "DROP DATABASE IF EXISTS alike",
        "DROP ROLE IF EXISTS alike_r",
        "DROP ROLE IF EXISTS alike_s",
        "CREATE DATABASE alike",
        "CREATE TABLE alike.t (a int, b int)",
        "CREATE PROCEDURE alike.p() SELECT 1",
        "CREATE ROLE alike_r",
        "CREATE ROLE alike_s",
        "CREATE USER IF NOT EXISTS alike_p",
    ] {
        table.run(statement).await;
    }
    let pool: Vec<_> = POOL.trim().lines().collect();
    play(&mut table, &pool).await;
}

async fn play(table: &mut Table<'_>, pool: &[&str]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let given = std::env::var("FOURSTEP_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or(now as u64);
    eprintln!("drawn from {seed}: FOURSTEP_TEST_SEED draws the same again");
    let mut state = seed;
    let mut draw = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let name = AccountName::new("alike_b", "127.%");
    for round in 0..ROUNDS {
        for _ in 0..10 {
            let user = ["alike_a", "alike_b"][draw(2)];
            let statement = pool[draw(pool.len())].replace('$', &format!("{user}@'127.%'"));
            // Some make no sense where they come.
            match table.session.run("it", &statement, table.cx).await {
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => panic!("{statement}: {failure:?}"),
            }
        }
        let source = table.account("alike_a").await;
        let mut steps = Vec::new();
        let target = table.account("alike_b").await;
        let taken = difference(&source, &target, &name);
        for step in taken.give.into_iter().chain(taken.take) {
            let made = table.session.run("it", &step.text, table.cx).await;
            assert!(made.is_ok(), "{made:?} for {} in round {round}", step.text);
            steps.push(step.text);
        }
        // As a restart does: the server reads its tables again.
        table.run("FLUSH PRIVILEGES").await;
        let source = table.account("alike_a").await;
        let made = table.account("alike_b").await;
        let differing: Vec<_> = made.rights.symmetric_difference(&source.rights).collect();
        assert!(differing.is_empty(), "round {round}: {differing:#?}\n{steps:#?}");
        let left = difference(&source, &made, &name);
        assert!(left.give.is_empty() && left.take.is_empty(), "round {round}: {left:#?}");
        assert_eq!(source.settings.clauses_over(&made.settings), "", "round {round}: {steps:#?}");
    }
}
