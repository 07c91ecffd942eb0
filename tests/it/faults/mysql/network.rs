//! The way to the server: ports, silence, servers that are none, certificates.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::{Case, Ground};
use crate::faults::case::{Left, Row, Share};
use crate::faults::{Playing, play};
use crate::support::door::Way;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = play!(ground; a_closed_port, an_unknown_authority, another_name);
    all.extend(ODD.iter().map(|odd| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { odd.play(&ground).await })
    }));
    all
}

async fn a_closed_port(ground: Arc<Ground>) -> Row {
    let change = |document: &mut serde_json::Value| document["port"] = json!(1);
    let mut case = Case::new(&ground, "a closed port", &[], change).await;
    case.ends(Step::Set, ErrorKind::Unreachable, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn an_unknown_authority(ground: Arc<Ground>) -> Row {
    let other = ground.server.file("tls/other-ca.pem");
    let name = "a certificate of an unknown authority";
    let mut case = Case::new(&ground, name, &[("TLS_CA_BUNDLE", &other)], |_| ()).await;
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    case.configure(&[]);
    case.converges().await
}

async fn another_name(ground: Arc<Ground>) -> Row {
    let name = "a certificate for another name";
    let mut case = Case::new(&ground, name, &[("TLS_SERVER_NAME", "db.example")], |_| ()).await;
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    case.configure(&[]);
    case.converges().await
}

/// Something takes connections and is no such server, or not in a state to serve.
struct Odd {
    name: &'static str,
    cause: &'static str,
    way: Way,
    kind: ErrorKind,
    seconds: u64,
    share: Share,
}

/// What an SSH server says first of all.
const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";

/// A packet of a length that no greeting has.
const ENDLESS: &[u8] = b"\xfe\xff\xff\x00";

/// Error 1040, in place of a greeting.
const TOO_MANY: &[u8] = b"\x17\0\0\0\xff\x10\x04Too many connections";

/// Error 1129.
const BLOCKED: &[u8] = b"\x12\0\0\0\xff\x69\x04Host is blocked";

/// A greeting of a server without TLS: CLIENT_SSL, 0x0800, is not among its capabilities.
const WITHOUT_TLS: &[u8] = b"\x4a\0\0\0\x0a5.7.44\0\x07\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\x81\
    \x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";

/// The same with it; then nothing more.
const WITH_TLS: &[u8] = b"\x4a\0\0\0\x0a5.7.44\0\x07\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\x81\
    \x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";

const OTHER_KIND: &str = "a server of another kind";

const ODD: [Odd; 9] = [
    Odd {
        name: "a server that never answers",
        cause: "",
        way: Way::Silent,
        kind: ErrorKind::Unreachable,
        seconds: 9,
        share: Share::Before,
    },
    Odd {
        name: "a server that never answers while little time is left",
        cause: "",
        way: Way::Silent,
        kind: ErrorKind::OutOfTime,
        seconds: 5,
        share: Share::AtDeadline,
    },
    Odd {
        name: "a server that closes every connection",
        cause: "",
        way: Way::Closed,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server of another kind",
        cause: OTHER_KIND,
        way: Way::Greets(SSH),
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that sends without end",
        cause: "",
        way: Way::Greets(ENDLESS),
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server with too many connections",
        cause: "",
        way: Way::Greets(TOO_MANY),
        kind: ErrorKind::Throttled,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that blocks this address",
        cause: "",
        way: Way::Greets(BLOCKED),
        kind: ErrorKind::Forbidden,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server without TLS",
        cause: "",
        way: Way::Greets(WITHOUT_TLS),
        kind: ErrorKind::Tls,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that falls silent in the TLS handshake",
        cause: "",
        way: Way::Greets(WITH_TLS),
        kind: ErrorKind::Unreachable,
        seconds: 9,
        share: Share::Before,
    },
];

impl Odd {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let (case, door) = Case::behind(ground, self.name, self.seconds).await;
        let mut case = if self.cause.is_empty() { case } else { case.cause(self.cause) };
        case.reach(Step::Set).await;
        door.set(self.way);
        case.ends(Step::Set, self.kind, self.share, Left::Unchanged).await;
        door.set(Way::To(ground.server.port));
        case.converges().await
    }
}
