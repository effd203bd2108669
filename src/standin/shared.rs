//! What all hosts of a cluster share: a directory with the datastore, the nodes, and who is alive.
//!
//! A server holds a lock on its own file for as long as its process lives, so that its death shows at once.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::now;
use crate::model::HostTime;
use crate::sim::fleet::Store;
use crate::sim::kube::Node;
use crate::sim::world::Datastore as _;

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) PathBuf);

/// A server, as the others know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Peer {
    /// The node's name.
    pub(super) name: String,
    /// Address and port of its supervisor.
    pub(super) address: String,
    /// Whether it is a member of etcd.
    pub(super) is_member: bool,
    /// Whether it has a kube-apiserver.
    #[serde(default)]
    pub(super) has_api: bool,
}

/// A lock that ends with this value or the process.
pub(super) struct Held {
    _file: File,
}

fn read<T: DeserializeOwned>(path: PathBuf) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write<T: Serialize>(path: &PathBuf, value: &T) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let next = path.with_extension(format!("{}.next", std::process::id()));
    fs::write(&next, serde_json::to_vec(value)?)?;
    fs::rename(next, path)
}

impl Shared {
    fn all<T: DeserializeOwned>(&self, folder: &str) -> Vec<T> {
        let entries = fs::read_dir(self.0.join(folder)).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect();
        paths.sort();
        paths.into_iter().filter_map(read).collect()
    }

    fn lock(&self, name: &str) -> io::Result<File> {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(file)
    }

    /// Works on the datastore; nobody else does meanwhile.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> io::Result<T> {
        let lock = self.lock("datastore.lock")?;
        lock.lock()?;
        let path = self.0.join("datastore.json");
        let mut store: Store = read(path.clone()).unwrap_or_default();
        let before = store.revision();
        let done = work(&mut store);
        if store.revision() != before {
            write(&path, &store)?;
        }
        Ok(done)
    }

    /// A server's process begins; it counts as alive until the answer is dropped.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(super) fn enter(&self, peer: &Peer) -> io::Result<Held> {
        write(&self.0.join(format!("servers/{}.json", peer.name)), peer)?;
        let file = self.lock(&format!("servers/{}.lock", peer.name))?;
        file.lock()?;
        Ok(Held { _file: file })
    }

    /// Every server that ever was, and whether it lives.
    pub(super) fn peers(&self) -> Vec<(Peer, bool)> {
        let alive = |peer: &Peer| {
            let file = self.lock(&format!("servers/{}.lock", peer.name));
            file.is_ok_and(|file| file.try_lock_shared().is_err())
        };
        let peers = self.all::<Peer>("servers").into_iter();
        peers
            .map(|peer| {
                let alive = alive(&peer);
                (peer, alive)
            })
            .collect()
    }

    /// Forgets who was a server; who starts again is known again.
    pub(super) fn forget_peers(&self) {
        for (peer, _) in self.peers() {
            let path = self.0.join(format!("servers/{}.json", peer.name));
            fs::remove_file(path).ok();
        }
    }

    /// Whether the datastore can be written: some server lives, and a majority of etcd's members does.
    pub(super) fn has_quorum(&self) -> bool {
        let peers = self.peers();
        let members = || peers.iter().filter(|(peer, _)| peer.is_member);
        let alive = members().filter(|(_, alive)| *alive).count();
        let total = members().count();
        if total == 0 {
            peers.iter().any(|(_, alive)| *alive)
        } else {
            alive * 2 > total
        }
    }

    /// The member that leads: the first that lives.
    pub(super) fn leader(&self) -> Option<String> {
        let peers = self.peers().into_iter();
        let found = peers
            .filter(|(peer, alive)| peer.is_member && *alive)
            .map(|(peer, _)| peer);
        found.map(|peer| peer.name).next()
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> Vec<Node> {
        self.all("nodes")
    }

    /// A node by name.
    pub(super) fn node(&self, name: &str) -> Option<Node> {
        read(self.0.join(format!("nodes/{name}.json")))
    }

    /// Writes a node.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(super) fn put_node(&self, node: &Node) -> io::Result<()> {
        write(&self.0.join(format!("nodes/{}.json", node.name)), node)
    }

    /// A revision that every member has; grows with writes and with time.
    pub(super) fn revision(&self, writes: u64) -> i64 {
        let began = || {
            let made = now();
            write(&self.0.join("began.json"), &made).ok();
            made
        };
        let began: HostTime = read(self.0.join("began.json")).unwrap_or_else(began);
        500 + i64::try_from(writes).unwrap_or(0) + (now().0 - began.0) / 1_000_000
    }
}
