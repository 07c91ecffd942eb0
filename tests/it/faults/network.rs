//! The way to the server: names, ports, and servers that are none.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::door::Way;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = play!(ground; a_closed_port, a_name_that_does_not_resolve,
        an_address_that_never_answers);
    all.extend(ODD.iter().map(|odd| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { odd.play(&ground).await })
    }));
    all
}

async fn a_closed_port(ground: Arc<Ground>) -> Row {
    let mut case =
        Case::new(&ground, "a closed port", &[], |document| document["port"] = json!(1)).await;
    case.ends(Step::Set, ErrorKind::Unreachable, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_name_that_does_not_resolve(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a name that does not resolve", &[], |document| {
        document["host"] = json!("no-such-host.invalid");
    })
    .await;
    case.ends(Step::Set, ErrorKind::Unreachable, Share::Before, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

/// As behind a security group: the kernel answers no connection while the queue of those that
/// nobody has accepted is full.
async fn an_address_that_never_answers(ground: Arc<Ground>) -> Row {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let soon = std::time::Duration::from_millis(300);
    while let Ok(queued) = tokio::time::timeout(soon, TcpStream::connect(address)).await {
        queue.push(queued.unwrap());
    }
    let mut case = Case::new(&ground, "an address that never answers", &[], |document| {
        document["port"] = json!(address.port());
    })
    .await;
    case.seconds = 9;
    case.ends(Step::Set, ErrorKind::Unreachable, Share::Before, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

/// Something takes connections and is no PostgreSQL server, or not the one that it should be.
struct Odd {
    name: &'static str,
    ssl: bool,
    way: Way,
    kind: ErrorKind,
    seconds: u64,
    share: Share,
}

/// The last word of an HTTP server about any of our messages.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// NoticeResponse, of a length that no server needs.
const ENDLESS: &[u8] = b"N\x7f\xff\xff\xff";

/// AuthenticationSASL, for a mechanism that only GSSAPI would know.
const UNKNOWN_MECHANISM: &[u8] = b"R\0\0\0\x14\0\0\0\x0aSCRAM-SHA-1\0";

const ODD: [Odd; 10] = [
    Odd {
        name: "a server that never answers",
        ssl: false,
        way: Way::Silent,
        kind: ErrorKind::Unreachable,
        seconds: 16,
        share: Share::Before,
    },
    Odd {
        name: "a server that never answers, with TLS",
        ssl: true,
        way: Way::Silent,
        kind: ErrorKind::Unreachable,
        seconds: 9,
        share: Share::Before,
    },
    Odd {
        name: "a server that never answers while little time is left",
        ssl: false,
        way: Way::Silent,
        kind: ErrorKind::OutOfTime,
        seconds: 6,
        share: Share::AtDeadline,
    },
    Odd {
        name: "a server that closes every connection",
        ssl: false,
        way: Way::Closed,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that closes every connection, with TLS",
        ssl: true,
        way: Way::Closed,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server of another kind",
        ssl: false,
        way: Way::Says(BAD_REQUEST),
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that sends without end",
        ssl: false,
        way: Way::Says(ENDLESS),
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that wants another SASL mechanism",
        ssl: false,
        way: Way::Says(UNKNOWN_MECHANISM),
        kind: ErrorKind::Unsupported,
        seconds: 24,
        share: Share::AtOnce,
    },
    Odd {
        name: "a server that falls silent in the TLS handshake",
        ssl: true,
        way: Way::Says(b"S"),
        kind: ErrorKind::Unreachable,
        seconds: 9,
        share: Share::Before,
    },
    Odd {
        name: "a server that offers TLS and speaks something else",
        ssl: true,
        way: Way::Says(b"SHTTP/1.1 400 Bad Request\r\n\r\n"),
        kind: ErrorKind::Tls,
        seconds: 24,
        share: Share::AtOnce,
    },
];

impl Odd {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let (mut case, door) = Case::behind(ground, self.name, self.seconds).await;
        if self.ssl {
            case = case.with_tls();
        }
        case.reach(Step::Set).await;
        door.set(self.way);
        case.ends(Step::Set, self.kind, self.share, Left::Unchanged).await;
        door.set(Way::To(ground.server.port));
        case.converges().await
    }
}
