//! Some states at a real MongoDB and a real Redis: one password, and a user's two.

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};
use serde_json::{Value, json};

use super::killed::{Point, begun, killed};
use super::states::{CURRENT, End, PENDING, PREVIOUS, State, document, once};
use crate::support::door::Moment;
use crate::support::host::{Host, days};
use crate::support::{mongodb, redis};

const MONGODB: &str = "fourstep-mongodb";
const REDIS: &str = "fourstep-redis";
const REDIS_ADMIN: &str = "redis/admin";

/// The servers.
pub struct Others {
    mongodb: mongodb::Server,
    redis: redis::Server,
}

impl Others {
    /// None after skipping aloud.
    pub async fn start() -> Option<Self> {
        let (mongodb, redis) = (mongodb::mongodb()?, redis::redis()?);
        Some(Self { mongodb, redis: redis.start(redis::Keeping::AclFile, &[]).await })
    }

    /// Whether these let the login of a document in; none if it is not about one of them.
    pub async fn let_in(&self, document: &Value) -> Option<bool> {
        let field = |name: &str| document[name].as_str().unwrap();
        let (user, password) = (field("username"), field("password"));
        match field("engine") {
            "mongo" => Some(self.mongodb.logs_in(user, password).await),
            "redis" => Some(self.redis.logs_in(user, password).await),
            _ => None,
        }
    }

    /// Every state, of secrets of two functions that this makes.
    pub async fn states(&self, host: &Host) -> Vec<State> {
        for (function, binary, trust) in [
            (MONGODB, "rotate-mongodb", self.mongodb.variables()),
            (REDIS, "rotate-redis", self.redis.variables()),
        ] {
            let trust: Vec<_> =
                trust.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            host.ours(function, binary, &trust);
        }
        host.secret(REDIS_ADMIN, &self.redis.admin_document(), None);
        [self.of_mongodb(host).await, self.of_redis(host).await].concat()
    }

    async fn of_mongodb(&self, host: &Host) -> Vec<State> {
        let [recorded, set, restored] = ["mongo/recorded", "mongo/set", "mongo/restored"];
        for name in [recorded, set, restored] {
            let user = self.mongodb.user("fleet").await;
            host.secret(name, &self.mongodb.document(&user), Some((MONGODB, days(30))));
        }
        host.rotate(restored).await;
        let [user, password] = login(host, restored, AWSPREVIOUS);
        self.mongodb.arrange(json!({"updateUser": user, "pwd": password})).await;
        left(host, [recorded, restored], set).await;
        vec![
            once(recorded, CURRENT, "discard", End::Mended),
            once(set, PENDING, "retry", End::Mended),
            once(restored, PREVIOUS, "retry", End::Mended),
        ]
    }

    async fn of_redis(&self, host: &Host) -> Vec<State> {
        let [recorded, set] = ["redis/recorded", "redis/set"];
        let [discarded, restored] = ["redis/discarded", "redis/restored"];
        for name in [recorded, set, discarded, restored] {
            let user = self.redis.user("fleet").await;
            let mut document = self.redis.document(&user);
            document["masterarn"] = REDIS_ADMIN.into();
            host.secret(name, &document, Some((REDIS, days(30))));
        }
        // Somebody takes the old password away too early.
        begun(host, discarded, Step::Test).await;
        let [user, password] = login(host, discarded, AWSCURRENT);
        self.redis.set(&user, &[&format!("<{password}")]).await;
        // The server comes back with what it had before the last rotation.
        host.rotate(restored).await;
        let [user, password] = login(host, restored, AWSPREVIOUS);
        self.redis.set(&user, &["resetpass", &format!(">{password}")]).await;
        left(host, [recorded, restored], set).await;
        vec![
            once(recorded, CURRENT, "discard", End::Mended),
            once(set, CURRENT, "discard", End::Mended),
            once(discarded, PENDING, "retry", End::Mended),
            once(restored, PREVIOUS, "retry", End::Mended),
        ]
    }
}

/// Kills rotations once they have stored a password, and one once it has set it.
async fn left(host: &Host, recorded: [&str; 2], set: &str) {
    for name in recorded {
        killed(host, name, Step::Create, Point::Call("PutSecretValue", Moment::After)).await;
    }
    killed(host, set, Step::Test, Point::Call("DescribeSecret", Moment::Before)).await;
}

fn login(host: &Host, name: &str, label: &str) -> [String; 2] {
    let document = document(host.store(), name, Select::Label(label)).unwrap();
    ["username", "password"].map(|field| document[field].as_str().unwrap().to_owned())
}
