//! The states of one user with two passwords, at a real MySQL.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};

use super::killed::{Point, begun, killed};
use super::states::{CURRENT, End, NONE, PENDING, PREVIOUS, State, document, once};
use crate::support::door::Moment;
use crate::support::host::{Host, days};
use crate::support::mysql::{Server, User};

const MYSQL: &str = "fourstep-mysql";

/// A user whose secret is rotated by dual-password.
async fn secret(host: &Host, server: &Server, name: &str) -> User {
    let user = server.dual_user("fleet").await;
    host.secret(name, &server.document(&user), Some((MYSQL, days(30))));
    user
}

/// Every state, of secrets of a function that this makes.
pub async fn two_passwords(host: &Host, server: &Server) -> Vec<State> {
    let trust = server.variables();
    let trust: Vec<_> = trust.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let strategy = [("ROTATION_STRATEGY", "dual-password")];
    host.ours(MYSQL, "rotate-mysql", &[&trust[..], &strategy].concat());
    let put = Point::Call("PutSecretValue", Moment::After);
    let [fresh, set, discarded] = ["dual/recorded", "dual/set", "dual/discarded"];
    let [restored, by_hand] = ["dual/restored", "dual/by-hand"];
    secret(host, server, fresh).await;
    killed(host, fresh, Step::Create, put).await;
    secret(host, server, set).await;
    killed(host, set, Step::Test, Point::Call("DescribeSecret", Moment::Before)).await;
    // Somebody takes the old password away too early.
    let user = secret(host, server, discarded).await;
    begun(host, discarded, Step::Test).await;
    server.alter(&user, "DISCARD OLD PASSWORD").await;
    // The server comes back with what it had before the last rotation.
    let user = secret(host, server, restored).await;
    host.rotate(restored).await;
    let previous = document(host.store(), restored, Select::Label(AWSPREVIOUS)).unwrap();
    only(server, &user, previous["password"].as_str().unwrap()).await;
    killed(host, restored, Step::Create, put).await;
    let user = secret(host, server, by_hand).await;
    only(server, &user, "Of-a-person-1").await;
    killed(host, by_hand, Step::Create, put).await;
    vec![
        once(fresh, CURRENT, "discard", End::Mended),
        once(set, CURRENT, "discard", End::Mended),
        once(discarded, PENDING, "retry", End::Mended),
        once(restored, PREVIOUS, "retry", End::Mended),
        once(by_hand, NONE, "discard", End::ByHand),
    ]
}

/// The user has this password and no other.
async fn only(server: &Server, user: &User, password: &str) {
    server.alter(user, &format!("IDENTIFIED BY '{password}'")).await;
    server.alter(user, "DISCARD OLD PASSWORD").await;
}

/// docs/operate.md: an administrator sets the password that AWSCURRENT holds.
pub async fn set_current(host: &Host, server: &Server, name: &str) {
    let current = document(host.store(), name, Select::Label(AWSCURRENT)).unwrap();
    let [name, password] =
        ["username", "password"].map(|field| current[field].as_str().unwrap().to_owned());
    let user = User { name, password };
    only(server, &user, &user.password).await;
}
