//! Real servers that have the same users, each by itself: a cluster of three with a replica each, a primary
//! with a replica, and a Sentinel.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::redis::{Flavour, Keeping, Server, User};

/// A cluster: three primaries, and then a replica of each. A node's certificate is for `localhost`, so
/// that is the name that it announces.
pub struct Cluster {
    pub nodes: Vec<Server>,
}

const SETTINGS: [&str; 6] = [
    "cluster-enabled yes",
    "tls-cluster yes",
    "tls-replication yes",
    "cluster-node-timeout 3000",
    "cluster-announce-hostname localhost",
    "repl-diskless-sync-delay 0",
];

const SLOTS: [[&str; 2]; 3] = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];

impl Cluster {
    pub async fn start(flavour: &Flavour) -> Self {
        let first = flavour.start(Keeping::AclFile, &SETTINGS).await;
        let mut nodes = vec![first];
        for _ in 1..6 {
            nodes.push(nodes[0].beside(&SETTINGS).await);
        }
        let cluster = Self { nodes };
        for (node, [from, to]) in cluster.nodes.iter().zip(SLOTS) {
            node.arrange(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await;
        }
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.arrange(&["CONFIG", "SET", "masteruser", "arranger"]).await;
            node.arrange(&["CONFIG", "SET", "masterauth", &node.arranger.password]).await;
            node.arrange(&["CONFIG", "REWRITE"]).await;
            // Two with one epoch would not let each other be elected.
            let epoch = (number + 1).to_string();
            node.arrange(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            if number > 0 {
                cluster.meet(node).await;
            }
        }
        cluster.is_whole().await;
        for (number, replica) in cluster.nodes.iter().enumerate().skip(3) {
            cluster.follow(replica, &cluster.nodes[number - 3]).await;
        }
        cluster
    }

    /// Makes a node one of the cluster.
    pub async fn meet(&self, node: &Server) {
        self.nodes[0].arrange(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()]).await;
    }

    /// Makes one a replica of the other, once it knows it.
    pub async fn follow(&self, replica: &Server, primary: &Server) {
        let id = primary.arrange(&["CLUSTER", "MYID"]).await.trim().to_owned();
        replica.says(&["CLUSTER", "NODES"], &id).await;
        replica.arrange(&["CLUSTER", "REPLICATE", &id]).await;
        replica.says(&["INFO", "replication"], "master_link_status:up").await;
        self.is_whole().await;
    }

    /// Waits until each node knows each other one, and all answer.
    pub async fn is_whole(&self) {
        for _ in 0..1600 {
            let mut whole = true;
            for node in &self.nodes {
                let nodes = node.arrange(&["CLUSTER", "NODES"]).await;
                let lines = nodes.lines().filter(|line| !line.is_empty());
                let known = lines.clone().filter(|line| {
                    let bad = ["handshake", "fail", ":0@", "disconnected"];
                    !bad.iter().any(|word| line.contains(word))
                });
                whole &= known.count() >= self.nodes.len() && lines.count() >= self.nodes.len();
                let state = node.arrange(&["CLUSTER", "INFO"]).await;
                whole &= state.contains("cluster_state:ok");
            }
            if whole {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{}", self.nodes[0].arrange(&["CLUSTER", "NODES"]).await);
    }

    /// Lets the primary and the replica of a part change places.
    pub async fn fail_over(&self, part: usize) {
        let pair = [&self.nodes[part], &self.nodes[part + 3]];
        let role = pair[0].arrange(&["INFO", "replication"]).await;
        let replica = if role.contains("role:slave") { pair[0] } else { pair[1] };
        let other = if std::ptr::eq(replica, pair[0]) { pair[1] } else { pair[0] };
        // It is given up where the primary does not answer in time, on a busy machine; and one that follows
        // another of the same node may be decided by votes for that one, and is undone.
        for asked in 0..1500 {
            let roles = [replica, other].map(|node| node.arrange(&["INFO", "replication"]));
            let [leads, follows] = futures_util::future::join_all(roles).await.try_into().unwrap();
            if leads.contains("role:master") && follows.contains("master_link_status:up") {
                return self.is_whole().await;
            }
            if asked % 100 == 0 && leads.contains("role:slave") {
                replica.arrange(&["CLUSTER", "FAILOVER"]).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no failover: {}", replica.log());
    }

    /// A new user, at each node.
    pub async fn user(&self, stem: &str) -> User {
        let user = self.nodes[0].user(stem).await;
        for node in &self.nodes[1..] {
            node.add(&user).await;
        }
        user
    }

    /// A further replica of this part, with the user as it was.
    pub async fn late(&self, user: &User, part: usize) -> Server {
        let node = self.nodes[0].beside(&SETTINGS).await;
        node.add(user).await;
        for setting in ["masteruser", "masterauth"] {
            let value = if setting == "masteruser" { "arranger" } else { &node.arranger.password };
            node.arrange(&["CONFIG", "SET", setting, value]).await;
        }
        self.meet(&node).await;
        let role = self.nodes[part].arrange(&["INFO", "replication"]).await;
        let other = if role.contains("role:slave") { part + 3 } else { part };
        self.follow(&node, &self.nodes[other]).await;
        node
    }

    /// At how many nodes this password logs in.
    pub async fn takes(&self, user: &User, password: &str) -> usize {
        let asked = self.nodes.iter().map(|node| node.logs_in(&user.name, password));
        futures_util::future::join_all(asked).await.into_iter().filter(|takes| *takes).count()
    }

    /// Each node ends and comes back, one after another.
    pub async fn restart(&mut self) {
        for node in &mut self.nodes {
            node.restart().await;
        }
        self.is_whole().await;
    }
}

/// A Sentinel that watches one primary as `main`; it ends with this.
pub struct Sentinel {
    child: Child,
    dir: PathBuf,
    pub port: u16,
}

impl Sentinel {
    pub async fn start(primary: &Server) -> Self {
        let dir = primary.file("sentinel");
        std::fs::create_dir(&dir).unwrap();
        let port = super::redis::free_port();
        let tls = primary.flavour.tls();
        let config = format!(
            "port 0\ntls-port {port}\nbind 127.0.0.1\ndir {inside}\nlogfile {inside}/log\n\
             tls-auth-clients no\ntls-replication yes\ntls-ca-cert-file {tls}/ca.pem\n\
             tls-cert-file {tls}/server.pem\ntls-key-file {tls}/server.key\n\
             sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
             sentinel monitor main localhost {} 1\n\
             sentinel auth-user main arranger\nsentinel auth-pass main {}\n\
             sentinel down-after-milliseconds main 6000\nsentinel failover-timeout main 6000\n",
            primary.port,
            primary.arranger.password,
            inside = primary.flavour.inside(&dir),
        );
        let file = dir.join("sentinel.conf");
        std::fs::write(&file, config).unwrap();
        let words = primary.flavour.words(&file);
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let sentinel = Self { child, dir, port };
        sentinel.names(primary).await;
        sentinel
    }

    /// Waits until this is the primary that it names.
    pub async fn names(&self, primary: &Server) {
        let ca = primary.variables().remove(0).1;
        let mut answer = String::new();
        for _ in 0..1600 {
            let output = Command::new("redis-cli")
                .args(["-h", "localhost", "-p", &self.port.to_string(), "--tls", "--cacert", &ca])
                .args(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"])
                .output()
                .await
                .unwrap();
            answer = String::from_utf8_lossy(&output.stdout).into_owned();
            if answer.contains(&primary.port.to_string()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        panic!("it names {answer}: {:?} {log}", self.child.id());
    }

    /// A document whose place is this Sentinel.
    pub fn document(&self, mut document: Value) -> Value {
        document["port"] = json!(self.port);
        document["sentinel"] = json!("main");
        document
    }
}
