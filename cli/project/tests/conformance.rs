//! Fourstep's kit asks whether this rotator can lock anybody out, or says a password.

#[path = "../examples/server.rs"]
mod server;

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use server::StandIn;

/// One user at a server of its own.
struct Account {
    server: StandIn,
    user: String,
    password: String,
}

impl Account {
    fn new(user: &str, password: &str) -> Box<dyn Remote> {
        let server = StandIn::start(0).unwrap();
        server.add(user, password);
        Box::new(Self { server, user: user.to_owned(), password: password.to_owned() })
    }

    fn secret_at(&self, port: u16) -> String {
        let (user, password) = (&self.user, &self.password);
        serde_json::json!({
            "engine": "example", "host": "127.0.0.1", "port": port, "ssl": false,
            "username": user, "password": password,
        })
        .to_string()
    }
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(rotate_example::strategies(&Environment::default()).unwrap())
    }

    fn secret(&self) -> String {
        self.secret_at(self.server.port)
    }

    /// Asked by other means than the rotator's own.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.accepts(document.required("username").unwrap(), password)
    }

    /// Nobody listens on port 1.
    fn out_of_reach(&self) -> Option<String> {
        Some(self.secret_at(1))
    }
}

struct Servers;

#[async_trait]
impl Testbed for Servers {
    /// One password for each user: the old one dies when the new one begins to work.
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        Account::new("app", "first-password")
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(Account::new(user, password))
    }
}

#[tokio::test]
async fn it_locks_nobody_out() {
    let report = conformance(&Servers).await;
    println!("{report}");
    report.assert_safe();
}
