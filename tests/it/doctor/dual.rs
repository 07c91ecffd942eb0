//! The states of one user with two passwords, and some of two users, at a real MySQL.

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
    let strategy = [("ROTATION_STRATEGY", "dual-password,alternating-users")];
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

/// Two states of two users, of secrets of the same function.
pub async fn two_users(host: &Host, server: &Server) -> Vec<State> {
    let names = ["pair/tested", "pair/changed"];
    for name in names {
        let [user, admin] = [server.user("fleet").await, server.user("admin").await];
        let account = format!("'{}'@'127.%'", admin.name);
        // docs/mysql-alternating.md
        let grants = format!(
            "GRANT CREATE USER, ROLE_ADMIN ON *.* TO {account}; GRANT SELECT ON mysql.* TO {account};"
        );
        server.arrange(&grants).await;
        let mut document = server.document(&user);
        document["masterarn"] = format!("{name}/admin").into();
        host.secret(&format!("{name}/admin"), &server.document(&admin), None);
        host.secret(name, &document, Some((MYSQL, days(30))));
        host.tag(name, "fourstep:strategy", "alternating-users");
    }
    let [tested, changed] = names;
    let point = Point::Call("UpdateSecretVersionStage", Moment::Before);
    killed(host, tested, Step::Finish, point).await;
    // Somebody changed the password of the user in use.
    begun(host, changed, Step::Test).await;
    let current = document(host.store(), changed, Select::Label(AWSCURRENT)).unwrap();
    let user = current["username"].as_str().unwrap();
    server.arrange(&format!("ALTER USER '{user}'@'127.%' IDENTIFIED BY 'Of-a-person-1'")).await;
    vec![
        once(tested, CURRENT, "discard", End::Mended),
        once(changed, PENDING, "retry", End::Mended),
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
