//! Everything on lab hosts that a look must not change: files with their times, and units.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::backend::Backend as _;
use super::lab::Cluster;

pub(super) fn of(cluster: &Cluster<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let topology = &cluster.desk().topology;
    for host in topology.hosts() {
        let data = cluster
            .disk(&host)
            .join(topology.data_dir.trim_start_matches('/'));
        for top in ["etc/rancher", "etc/systemd/system"] {
            below(&cluster.disk(&host).join(top), &host, &mut all);
        }
        for top in STILL {
            below(&data.join(top), &host, &mut all);
        }
        let unit = topology.unit_of(&host);
        let shown = [
            "systemctl",
            "show",
            "-p",
            "Id,InvocationID,NRestarts",
            &unit,
        ];
        let shown = cluster.command(&host, &shown, "").out;
        all.insert(format!("{host} units"), shown);
    }
    all
}

/// What K3s itself leaves alone while it runs, below its data directory.
const STILL: [&str; 7] = [
    "server/token",
    "server/node-token",
    "server/agent-token",
    "server/cred",
    "server/.keyroll",
    "server/tls/server-ca.crt",
    "server/db/snapshots",
];

fn below(path: &Path, host: &str, all: &mut BTreeMap<String, String>) {
    let shown = path.display().to_string();
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return;
    };
    let bytes = if meta.is_symlink() {
        let target = std::fs::read_link(path).unwrap();
        target.into_os_string().into_encoded_bytes()
    } else if meta.is_file() {
        std::fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    let line = format!(
        "{:o} {}:{} {}.{} {:x}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        Sha256::digest(bytes)
    );
    all.insert(format!("{host} {shown}"), line);
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            below(&entry.unwrap().path(), host, all);
        }
    }
}
