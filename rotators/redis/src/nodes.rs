//! The servers that have the same users, each by itself: a primary and its replicas, the nodes of a
//! cluster, and the primary that a Sentinel names.
//!
//! Source: Redis documentation, "INFO", "CLUSTER NODES", "SENTINEL GET-MASTER-ADDR-BY-NAME"; the sources'
//! `replication.c` (the lines of replicas) and `cluster.c` (`clusterGenNodeDescription`).

use std::collections::BTreeSet;

use fourstep::net::{connect_time, within};
use fourstep::users::{Login, Peer, Peers};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::Redis;
use crate::errors;
use crate::resp::Reply;
use crate::server::{field, lacking};
use crate::session::Session;

impl Session {
    /// What this server says of the others, of which `info` is its answer to INFO.
    pub(crate) async fn ask_peers(&mut self, info: &str, cx: &Invocation) -> Result<Peers> {
        if field(info, "cluster_enabled") != Some("1") {
            return of_replication(info);
        }
        let what = "CLUSTER NODES";
        let nodes = self.run(what, &["CLUSTER", "NODES"], cx).await;
        let nodes = nodes.map_err(|failure| lacking(failure, what, "+cluster|nodes"))?;
        of_cluster(nodes.text().unwrap_or_default())
    }
}

/// Who replicates whom. A primary knows its replicas, and each replica those of its own.
fn of_replication(info: &str) -> Result<Peers> {
    let mut others = Vec::new();
    match field(info, "role") {
        Some("master") => {}
        Some("slave") => {
            let (host, port) = (field(info, "master_host"), field(info, "master_port"));
            others.push(peer(host.unwrap_or_default(), port.unwrap_or_default(), true));
        }
        _ => return Err(unreadable("INFO does not say whether the server is a replica")),
    }
    let count = field(info, "connected_slaves").and_then(|count| count.parse::<usize>().ok());
    let count = count.ok_or_else(|| unreadable("INFO does not say how many replicas there are"))?;
    let before = others.len();
    let mut online = BTreeSet::new();
    for line in info.lines().filter_map(|line| line.strip_prefix("slave")) {
        // Other lines begin so too: slave_repl_offset.
        let Some((number, values)) = line.split_once(':') else { continue };
        if number.parse::<u32>().is_err() {
            continue;
        }
        let value = |name| {
            let mut values = values.split(',').filter_map(|one| one.trim().split_once('='));
            values.find(|(one, _)| *one == name).map_or("", |(_, value)| value)
        };
        let place = (value("ip"), value("port"));
        if value("state") == "online" && !online.insert(place) {
            let what = format!(
                "the server has two replicas at {}:{}, of which one can be met",
                place.0, place.1
            );
            return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
                "let each announce an address of its own; if it is one that came back a moment ago, retry",
            ));
        }
        others.push(peer(place.0, place.1, false));
    }
    if others.len() - before < count {
        return Err(Error::new(
            ErrorKind::Conflict,
            "the server has a replica that is only just joining it; retry once it has",
        ));
    }
    Ok(Peers { id: field(info, "run_id").unwrap_or_default().to_owned(), others })
}

/// The nodes of a cluster, as one of them knows them. Its own address it may not know.
fn of_cluster(nodes: &str) -> Result<Peers> {
    let mut peers = Peers::default();
    for line in nodes.lines().filter(|line| !line.is_empty()) {
        let unknown = || unreadable("CLUSTER NODES has a line that is none of a node");
        let mut words = line.split(' ');
        let (Some(id), Some(place), Some(flags)) = (words.next(), words.next(), words.next())
        else {
            return Err(unknown());
        };
        let is_id = id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is = |flag| flags.split(',').any(|one| one == flag);
        if !is_id {
            return Err(unknown());
        }
        if is("myself") {
            id.clone_into(&mut peers.id);
            continue;
        }
        // It was invited and has not come.
        if is("handshake") {
            continue;
        }
        if is("noaddr") {
            let what = format!("the cluster has a node {id} whose address nobody knows");
            return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
                "bring it back, or have CLUSTER FORGET run for it at every other node, then retry",
            ));
        }
        let (address, rest) = place.split_once('@').unwrap_or((place, ""));
        let (host, port) = address.rsplit_once(':').ok_or_else(unknown)?;
        let name = rest.split(',').nth(1).filter(|name| !name.is_empty() && !name.contains('='));
        peers.others.push(Peer { id: id.to_owned(), ..peer(name.unwrap_or(host), port, false) });
    }
    if peers.id.is_empty() {
        return Err(unreadable("CLUSTER NODES does not say which node answers"));
    }
    Ok(peers)
}

/// A port that is none is refused by whoever would go there.
fn peer(host: &str, port: &str, leads: bool) -> Peer {
    let (host, port) = (host.to_owned(), port.parse().unwrap_or_default());
    Peer { id: String::new(), host, port, leads }
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

impl Redis {
    /// Where to log in: at the primary that a Sentinel names, where the secret names a Sentinel. That is
    /// asked without a login, as clients ask it.
    pub(crate) async fn place(&self, login: &Login, cx: &Invocation) -> Result<Login> {
        let Some(name) = &login.sentinel else { return Ok(login.clone()) };
        let connect = |transport| self.connect(login, transport, cx);
        let mut channel = login.ssl.connect(self.transport, cx, connect).await?;
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
        let what = format!("the Sentinel on {}", login.server());
        let answer = within(cx, "the question", connect_time(cx), channel.ask(&words)).await;
        let answer = answer.flatten().map_err(|error| error.while_doing(&what))?;
        let refused = |kind, why: String| Err(Error::new(kind, format!("{what} {why}")));
        let place = match &answer {
            Reply::List(place) => match place.as_slice() {
                [Reply::Text(host), Reply::Text(port)] => login.at(host, port.parse().unwrap_or(0)),
                _ => return refused(ErrorKind::Unsupported, "gives no address".to_owned()),
            },
            Reply::Nothing => {
                let why = format!("knows no primary {name:?}; correct the secret's \"sentinel\"");
                return refused(ErrorKind::NotFound, why);
            }
            Reply::Refused(refusal) if matches!(refusal.code.as_str(), "NOAUTH" | "NOPERM") => {
                let why = "asks for a login, which is not supported; it must answer SENTINEL \
                           GET-MASTER-ADDR-BY-NAME without one, as its user default, whose other rights must \
                           stay: other Sentinels and clients use them";
                return refused(ErrorKind::Unsupported, why.to_owned());
            }
            Reply::Refused(refusal) if errors::is_of_greeting(refusal) => {
                return Err(errors::of_greeting(refusal).while_doing(what));
            }
            _ => {
                let what = format!("what answers on {} is no Sentinel", login.server());
                return Err(Error::new(ErrorKind::Unsupported, what).caused_by(
                    "take \"sentinel\" out of the secret, or correct \"host\" and \"port\"",
                ));
            }
        };
        self.hosts.may_go(login, &place)?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "07c37dfeb235213a872192d90877d0cd55635b91";

    fn places(peers: &Peers) -> Vec<(&str, u16)> {
        peers.others.iter().map(|one| (one.host.as_str(), one.port)).collect()
    }

    #[test]
    fn a_primary_knows_its_replicas_and_a_replica_its_primary() {
        let info = "run_id:abc\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=10.0.0.7,port=6380,state=online,offset=1,lag=0\r\n\
            slave1:ip=fd00::8,port=6379,state=wait_bgsave,offset=0,lag=0\r\nslave_repl_offset:1\r\n";
        let peers = of_replication(info).unwrap();
        assert_eq!(peers.id, "abc");
        assert_eq!(places(&peers), [("10.0.0.7", 6380), ("fd00::8", 6379)]);
        let joining = of_replication(&info.replace("slaves:2", "slaves:3")).unwrap_err();
        assert_eq!(joining.kind(), ErrorKind::Conflict);
        let shared =
            info.replace("fd00::8,port=6379,state=wait_bgsave", "10.0.0.7,port=6380,state=online");
        let shared = of_replication(&shared).unwrap_err();
        assert_eq!(shared.kind(), ErrorKind::Unsupported);
        assert!(shared.to_string().contains("an address of its own"), "{shared}");
        let replica = "role:slave\r\nmaster_host:db\r\nmaster_port:x\r\nconnected_slaves:0\r\n";
        let peers = of_replication(replica).unwrap();
        assert!(peers.others[0].leads && places(&peers) == [("db", 0)]);
        for info in ["", "role:master", "role:sentinel\nconnected_slaves:0"] {
            assert_eq!(of_replication(info).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn the_nodes_of_a_cluster_are_read_in_the_forms_of_all_versions() {
        let other = ID.replace('0', "1");
        let nodes = format!(
            "{ID} :7000@17000 myself,master - 0 0 1 connected 0-5460\n\
             {other} 10.0.0.7:7001@17001 slave,fail? {ID} 0 0 1 connected\n\
             {other} fd00::8:7001@17001,node-2.example.org master,fail - 0 0 1 connected\n\
             {other} 10.0.0.9:7001@17001,,tls-port=0 master - 0 0 1 connected\n\
             {other} 10.0.0.6:7001@17001 handshake - 0 0 1 connected\n"
        );
        let peers = of_cluster(&nodes).unwrap();
        assert_eq!(peers.id, ID);
        let expected = [("10.0.0.7", 7001), ("node-2.example.org", 7001), ("10.0.0.9", 7001)];
        assert_eq!(places(&peers), expected);
        assert_eq!(peers.others[0].id, other);
        let lost = format!("{nodes}{other} :0@0 master,noaddr,fail - 0 0 1 connected\n");
        assert!(of_cluster(&lost).unwrap_err().to_string().contains("CLUSTER FORGET"));
        for nodes in ["", "x", "a b c", &nodes.replace("myself,", ""), &format!("{ID} x y")] {
            assert_eq!(of_cluster(nodes).unwrap_err().kind(), ErrorKind::Unsupported, "{nodes}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_or_refused(text in "[ -~\\n\\r]{0,200}") {
            let _ = (of_cluster(&text), of_replication(&text));
        }
    }
}
