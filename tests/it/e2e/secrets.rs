//! Looks for secrets that a run has left where none may be: on the controller, in journals, in files.

use super::backend::Backend as _;
use super::lab::Cluster;
use crate::lab_canary::Canary;

/// Files that K3s or its operator keeps a token in.
const MAY: [&str; 5] = [
    "etc/rancher/k3s/config.yaml",
    "etc/systemd/system/k3s-agent.service.env",
    "var/lib/rancher/k3s/server/cred/passwd",
    "var/lib/rancher/k3s/server/token",
    "var/lib/rancher/k3s/server/db/",
];

/// Places where one was found.
pub(super) fn left(cluster: &Cluster<'_>, canary: &Canary) -> Vec<String> {
    let desk = cluster.desk();
    let own = ["new", "old"].map(|name| desk.file(name).display().to_string());
    let mut found = canary.below(desk.own.path());
    found.retain(|path| !own.contains(path));
    let search = "umask 077; cat >/tmp/canary; journalctl --no-pager -o cat | grep -cF -f /tmp/canary; \
                  cd / && grep -rlF -f /tmp/canary run home root var/log var/tmp var/lib/rancher etc | sort; \
                  rm /tmp/canary; ls -A /tmp | grep -vE '^(systemd-private|[.].*-unix$)'";
    for host in cluster.desk().topology.hosts() {
        let said = cluster
            .command(&host, &["sh", "-c", search], &canary.lines())
            .out;
        let mut lines = said.lines();
        if lines.next() != Some("0") {
            found.push(format!("the journal of {host}"));
        }
        let wrong = lines.filter(|line| !MAY.iter().any(|may| line.starts_with(may)));
        found.extend(wrong.map(|line| format!("{host}: {line}")));
    }
    found
}
