//! Blue/green deployments of RDS and Aurora that are kept in step by logical replication, which carries rows
//! and no roles: a password that is changed on blue is the old one again after the switch-over.
//!
//! Sources: Amazon RDS User Guide, "PostgreSQL replication methods for blue/green deployments": a major
//! version's upgrade is logical, anything else physical, which carries roles too. Amazon Aurora User Guide:
//! always logical. PostgreSQL 18 documentation, section 29.8: what is not replicated. AWS Advanced JDBC
//! Wrapper, "Blue/Green Deployment Plugin": Aurora's function, its roles and statuses.

use std::time::Duration;

use fourstep::net::within;
use fourstep::rds::{AwsRds, Side, unfinished};
use fourstep::users::{Login, SameHosts};
use fourstep::{Environment, Error, ErrorKind, Finding, Invocation, Result};

use crate::accounts;
use crate::session::At;
use crate::sql;

const ALLOWED: &str = "ALLOW_BLUE_GREEN";

/// How it is called in errors.
const LOOK: &str = "a look for a blue/green deployment";

/// How long the RDS API may take. A function in a VPC may have no way to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The users that RDS has for itself, and what it names after itself begins with. Which slots and
/// subscriptions a deployment has is not documented: these are what no application's are called.
const OWN_USERS: &str =
    "OPERATOR(pg_catalog.=) ANY (ARRAY['rdsadmin', 'rdsrepladmin']::pg_catalog.name[])";
const OWN_NAME: &str = "3) OPERATOR(pg_catalog.=) 'rds'";

/// Aurora's own account of a deployment, open to everybody.
const METADATA: &str = "pg_catalog.get_blue_green_fast_switchover_metadata";

/// One row, readable by every role: whether this database is replicated logically, whether that is RDS's
/// doing, whether RDS replicates into it, whether Aurora tells more; and by which role the user logs in with
/// something else than its password. A deployment has a slot in each
/// database from before its copy is made.
fn signs() -> String {
    let slots = "FROM pg_catalog.pg_replication_slots AS slot \
         LEFT JOIN pg_catalog.pg_stat_activity AS reader ON reader.pid OPERATOR(pg_catalog.=) slot.active_pid \
         WHERE slot.slot_type OPERATOR(pg_catalog.=) 'logical' \
         AND slot.database OPERATOR(pg_catalog.=) pg_catalog.current_database()";
    format!(
        "SELECT EXISTS (SELECT {slots}), EXISTS (SELECT {slots} \
         AND slot.plugin OPERATOR(pg_catalog.=) 'pgoutput' AND (reader.usename {OWN_USERS} \
         OR pg_catalog.left(slot.slot_name::pg_catalog.text, {OWN_NAME})), \
         EXISTS (SELECT FROM pg_catalog.pg_subscription AS one \
         JOIN pg_catalog.pg_database AS here ON here.oid OPERATOR(pg_catalog.=) one.subdbid \
         LEFT JOIN pg_catalog.pg_roles AS own ON own.oid OPERATOR(pg_catalog.=) one.subowner \
         WHERE here.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() \
         AND (own.rolname {OWN_USERS} OR pg_catalog.left(one.subname::pg_catalog.text, {OWN_NAME})), \
         pg_catalog.to_regprocedure('{METADATA}(pg_catalog.text)') IS NOT NULL, {}",
        accounts::own_role()
    )
}

/// The columns of [`signs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signs {
    logical: bool,
    blue: bool,
    green: bool,
    metadata: bool,
}

impl Signs {
    /// Which side this would be.
    fn side(self) -> Side {
        if self.green { Side::Green } else { Side::Blue }
    }
}

/// What is done about deployments, by the function's settings.
#[derive(Debug)]
pub(crate) struct BlueGreen {
    rds: AwsRds,
    hosts: SameHosts,
    allowed: bool,
}

impl BlueGreen {
    /// Reads `ALLOW_BLUE_GREEN`, `SAME_DATABASE_HOSTS` and `AWS_ENDPOINT_URL_RDS`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(environment: &Environment) -> Result<Self> {
        Ok(Self {
            rds: AwsRds::read(environment)?,
            hosts: SameHosts::read(environment)?,
            allowed: environment.flag(ALLOWED)?,
        })
    }

    /// Whether it is a server of RDS's, by its host or the names that are listed beside that.
    pub(crate) fn knows(&self, login: &Login) -> bool {
        self.hosts.name_at_rds(login).is_some()
    }

    /// Whether the session's server is part of a deployment that is not over. Notes in the session by which
    /// role its user logs in otherwise.
    ///
    /// # Errors
    /// Those of a lost connection.
    pub(crate) async fn look(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        // The user's own statement_timeout may be too short for what follows.
        let begin = sql::begin_probe(at.cx.deadline().remaining());
        at.session.run(LOOK, begin, at.cx).await.map_err(|failure| failure.of(LOOK))?;
        let found = self.look_within(at).await;
        // Where this fails, the end of the connection does the same.
        let _ = at.session.run("ROLLBACK", "ROLLBACK", at.cx).await;
        found
    }

    async fn look_within(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        let asked = at.session.rows_if_allowed(LOOK, signs(), at.cx).await?;
        let Some((logical, blue, green, metadata, role)) = asked.into_iter().flatten().next()
        else {
            return Ok(Vec::new());
        };
        at.session.other_login = role;
        let signs = Signs { logical, blue, green, metadata };
        // Without a slot nothing is replicated logically, and what is replicated physically has roles.
        if !signs.logical && !signs.green {
            return Ok(Vec::new());
        }
        let found = match self.told(at, signs).await? {
            Told::Deployment(side, why) => self.judge(side, &why, at.cx),
            Told::None => None,
            Told::Nothing(unasked) => self.by_names(signs, unasked, at.cx),
        };
        Ok(found.into_iter().collect())
    }

    /// What Aurora itself says, or the RDS API.
    async fn told(&self, at: &mut At<'_>, signs: Signs) -> Result<Told> {
        let name = self.hosts.name_at_rds(&at.login);
        if signs.metadata {
            let query = format!(
                "SELECT role::pg_catalog.text, status::pg_catalog.text, endpoint::pg_catalog.text \
                 FROM {METADATA}('fourstep')"
            );
            let what = "Aurora's account of a blue/green deployment";
            let rows =
                at.session.rows_if_allowed::<Row>(what, query, at.cx).await?.unwrap_or_default();
            if !rows.is_empty() {
                let told = of_rows(&rows, name.unwrap_or(&at.login.host));
                return Ok(told.map_or(Told::None, |(side, why)| Told::Deployment(side, why)));
            }
        }
        let Some(name) = name else { return Ok(Told::Nothing(None)) };
        let side = signs.side();
        let asked =
            within(at.cx, "the RDS API", PATIENCE, unfinished(&self.rds, name, side, at.cx)).await;
        Ok(match asked.flatten() {
            Ok(Some(one)) => {
                let (id, status) = (one.id.escape_debug(), one.status.escape_debug());
                Told::Deployment(side, format!("{id} is {status}, as the RDS API says"))
            }
            Ok(None) => Told::None,
            Err(error) => Told::Nothing(Some(error)),
        })
    }

    /// What is left where nobody tells: RDS's own names.
    fn by_names(&self, signs: Signs, unasked: Option<Error>, cx: &Invocation) -> Option<Finding> {
        let unasked = unasked.map(|error| format!("; the RDS API does not tell: {error}"));
        let unasked = unasked.unwrap_or_default();
        if signs.blue || signs.green {
            let why = format!("as what RDS has named in it tells{unasked}");
            return self.judge(signs.side(), &why, cx);
        }
        Some(Finding::Warns(format!(
            "the database has a logical replication slot, which is none of RDS's own by its name: whoever \
             reads it does not notice a rotation; but if it is a blue/green deployment's, rotate once that \
             is switched over or deleted{unasked}"
        )))
    }

    /// A deployment that is not over.
    fn judge(&self, side: Side, why: &str, cx: &Invocation) -> Option<Finding> {
        let what = described(side, why);
        if self.allowed {
            cx.warn(format!("{what}; {ALLOWED} is set; {AFTERWARDS}"));
            return None;
        }
        let way = match side {
            Side::Blue => format!(
                "nothing was changed; no rotation until the deployment is switched over or deleted; if one \
                 cannot wait, set {ALLOWED}, and {AFTERWARDS}"
            ),
            Side::Green => {
                "nothing was changed; let the secret's \"host\" name the blue side, whose \
                            names green takes over"
                    .to_owned()
            }
        };
        Some(Finding::Fails(Error::new(ErrorKind::Unsupported, what).caused_by(way)))
    }
}

/// What is told of a deployment.
enum Told {
    /// One that is not over, in which the server is this side, and who says so.
    Deployment(Side, String),
    /// There is none, or it is over.
    None,
    /// Nobody tells; why not, where somebody was asked.
    Nothing(Option<Error>),
}

/// What must be done for a password that was changed all the same.
const AFTERWARDS: &str = "right after the switch-over rotate once more, which repairs the user as long as a password that the \
     secret had before logs in there";

fn described(side: Side, why: &str) -> String {
    match side {
        Side::Blue => format!(
            "the server is the blue side of a blue/green deployment ({why}), which copies no passwords: \
             after the switch-over a password that is changed now would be the old one"
        ),
        Side::Green => format!(
            "the server is the green side of a blue/green deployment ({why}), which nobody uses before the \
             switch-over"
        ),
    }
}

/// A side's role, the deployment's status, and the side's host.
type Row = (Option<String>, Option<String>, Option<String>);

/// Which side this host is, and the status, unless the switch-over is over. Only words that are known are
/// repeated.
fn of_rows(rows: &[Row], host: &str) -> Option<(Side, String)> {
    const KNOWN: [&str; 4] = [
        "AVAILABLE",
        "SWITCHOVER_INITIATED",
        "SWITCHOVER_IN_PROGRESS",
        "SWITCHOVER_IN_POST_PROCESSING",
    ];
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let over = |row: &Row| row.1.as_deref() == Some("SWITCHOVER_COMPLETED");
    let open = rows.iter().find(|row| !over(row))?;
    let said = open.1.as_deref().and_then(|said| KNOWN.into_iter().find(|one| *one == said));
    let green = rows.iter().any(|(role, _, endpoint)| {
        role.as_deref() == Some("BLUE_GREEN_DEPLOYMENT_TARGET")
            && endpoint.as_deref().is_some_and(|endpoint| bare(endpoint) == bare(host))
    });
    let side = if green { Side::Green } else { Side::Blue };
    Some((side, format!("{}, by Aurora itself", said.unwrap_or("in a state that is not known"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aurora_tells_the_side_and_whether_it_is_over() {
        let row = |side: &str, status: &str| {
            let role = format!("BLUE_GREEN_DEPLOYMENT_{side}");
            let host = format!("{}.cluster-abc", side.to_lowercase());
            (Some(role), Some(status.to_owned()), Some(host))
        };
        let rows = |status| [row("SOURCE", status), row("TARGET", status)];
        for status in ["AVAILABLE", "SWITCHOVER_IN_PROGRESS", "canary"] {
            let (side, said) = of_rows(&rows(status), "source.cluster-abc").unwrap();
            assert_eq!(side, Side::Blue);
            assert_eq!(said.contains(status), status != "canary", "{said}");
            assert_eq!(of_rows(&rows(status), "TARGET.cluster-abc.").unwrap().0, Side::Green);
        }
        assert_eq!(of_rows(&rows("SWITCHOVER_COMPLETED"), "source.cluster-abc"), None);
        assert_eq!(of_rows(&[(None, None, None)], "source").unwrap().0, Side::Blue);
    }
}
