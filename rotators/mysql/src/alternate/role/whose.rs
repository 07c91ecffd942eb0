//! Whose users are on MySQL.
//!
//! The second user of a pair has the first one's account as its role, and says among its attributes
//! of which secret it is. Both are made by the statement that makes it, and both are asked for: the
//! attribute may have been written by the user itself (`ALTER USER CURRENT_USER() IDENTIFIED BY ...
//! ATTRIBUTE ...` takes no right), and the role may have been given by whoever has it WITH ADMIN
//! OPTION. A user without rights can neither give itself to another nor take another. Tried on 8.0.28
//! and 9.7.4.
//!
//! One of the two alone is a claim, which a recorded password confirms.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::users::{Account, Accounts, Mark};
use fourstep::{Invocation, Result};

use crate::alternate::quoting::quote_literals;
use crate::alternate::read::{look, not_understood, table};
use crate::alternate::role::power;
use crate::session::Session;

/// The key of a claim among a user's attributes.
pub(crate) const ATTRIBUTE: &str = "fourstep";

/// A user's accounts, by their hosts: whether it is locked, and what is claimed on it.
type Hosts = BTreeMap<String, (bool, Option<Mark>)>;

/// Which user's account has which user's as its role: first and second, and the host that both are
/// for.
type Edges = BTreeSet<[String; 3]>;

/// These users.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    admin: &str,
    cx: &Invocation,
) -> Result<Accounts> {
    let users = users(session, usernames, cx).await?;
    let query = format!(
        "SELECT FROM_USER, TO_USER, TO_HOST FROM mysql.role_edges \
         WHERE TO_USER IN ({}) AND FROM_HOST = TO_HOST",
        quote_literals(usernames)
    );
    let edges: Edges = table(session, &query, cx).await?.into_iter().collect();
    let of_users = format!("User IN ({})", quote_literals(usernames));
    let powers = power::of(session, &of_users, cx).await?;
    let account = |(user, hosts): (String, Hosts)| {
        let protected = match user == admin {
            true => Some("it is the admin itself".to_owned()),
            false => powers.get(&user).cloned(),
        };
        let account = Account { protected, ..known(&user, &hosts, &edges, (usernames, secret)) };
        (user, account)
    };
    Ok(users.into_iter().map(account).collect())
}

/// What edges and claims say of a user. An edge from one that was not asked about is no mark: whoever
/// was given it may have it for another reason than to be a pair.
fn known(user: &str, hosts: &Hosts, edges: &Edges, (asked, secret): (&[&str], &str)) -> Account {
    let roles = edges.iter().filter(|[_, second, _]| second == user);
    let acts_as: BTreeSet<String> = roles.map(|[first, ..]| first.clone()).collect();
    let claims: Vec<_> = hosts.values().filter_map(|(_, claim)| claim.as_ref()).collect();
    let anothers = claims.iter().find(|claim| claim.secret != secret);
    // Of each host's account there is proof: one that was added by hand may be anybody's.
    let whole = |first: &&String| {
        hosts.keys().all(|host| {
            let edge = [first.as_str(), user, host.as_str()].map(str::to_owned);
            edges.contains(&edge)
        })
    };
    let mut firsts = acts_as.iter().filter(|first| asked.contains(&first.as_str()));
    let edge = firsts.find(whole).map(|first| Mark {
        partner: first.clone(),
        secret: anothers.map_or(secret, |claim| &claim.secret).to_owned(),
    });
    let said = |mark: &Mark| anothers.is_some() || claims.contains(&mark);
    let mark = edge.clone().filter(said);
    let claim = anothers.or(claims.first()).map(|claim| (*claim).clone()).or(edge);
    let usable = hosts.values().any(|(locked, _)| !locked);
    Account { mark, claim, acts_as, usable, ..Account::default() }
}

async fn users(
    session: &mut Session,
    usernames: &[&str],
    cx: &Invocation,
) -> Result<BTreeMap<String, Hosts>> {
    let query = format!(
        "SELECT User, Host, account_locked = 'Y', \
         JSON_EXTRACT(User_attributes, '$.metadata.{ATTRIBUTE}') \
         FROM mysql.user WHERE User IN ({})",
        quote_literals(usernames)
    );
    let mut users: BTreeMap<String, Hosts> = BTreeMap::new();
    for row in look(session, &query, cx).await? {
        let row: [Option<String>; 4] = row.try_into().map_err(|_| not_understood())?;
        let [Some(user), Some(host), locked, claim] = row else { return Err(not_understood()) };
        // Who may write one may write anything there.
        let claim = claim.and_then(|json| serde_json::from_str(&json).ok());
        let claim = claim.as_ref().and_then(Mark::from_json);
        let locked = locked.as_deref() == Some("1");
        users.entry(user).or_default().insert(host, (locked, claim));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(secret: &str) -> Mark {
        Mark { partner: "app".to_owned(), secret: secret.to_owned() }
    }

    fn account(hosts: &[(&str, Option<Mark>)], edges: &[[&str; 3]]) -> Account {
        let hosts = hosts.iter().cloned();
        let hosts = hosts.map(|(host, claim)| (host.to_owned(), (false, claim))).collect();
        let edges = edges.iter().map(|edge| edge.map(str::to_owned)).collect();
        known("second", &hosts, &edges, (&["app", "second"], "mine"))
    }

    #[test]
    fn rule_18_only_an_edge_of_every_account_and_a_claim_are_a_mark() {
        let edges = [["app", "second", "%"], ["app", "second", "10.%"], ["second", "x", "%"]];
        let found = account(&[("%", None), ("10.%", Some(mark("mine")))], &edges);
        assert_eq!(found.mark, Some(mark("mine")));
        // Whoever has the first WITH ADMIN OPTION can make the edges.
        let found = account(&[("%", None), ("10.%", None)], &edges);
        assert_eq!((found.mark, found.claim), (None, Some(mark("mine"))));
        let found = account(&[("%", Some(mark("mine"))), ("172.%", None)], &edges);
        assert_eq!((found.mark, found.claim), (None, Some(mark("mine"))));
        assert!(found.acts_as.contains("app"));
        let found = account(&[("%", None)], &[["ledger", "second", "%"]]);
        assert_eq!(found.mark, None, "nobody asked about it");
        let found = account(&[("%", Some(mark("mine")))], &[]);
        assert_eq!((found.mark, found.claim), (None, Some(mark("mine"))));
    }

    #[test]
    fn what_another_secret_claims_keeps_this_one_away() {
        let edges = [["app", "second", "%"], ["app", "second", "10.%"]];
        let hosts = [("%", Some(mark("mine"))), ("10.%", Some(mark("theirs")))];
        let found = account(&hosts, &edges);
        assert_eq!((found.mark, found.claim), (Some(mark("theirs")), Some(mark("theirs"))));
    }
}
