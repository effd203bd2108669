//! A case as it is written below `tests/steps`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(rename = "case")]
    pub(super) sentence: String,
    pub(super) fleet: String,
    #[serde(default = "yes")]
    pub(super) given: bool,
    /// Whether there is a place off the hosts with nothing in it yet, and whether OLD is to be kept there.
    #[serde(default)]
    pub(super) custody: Option<bool>,
    /// Hosts of the fleet that the inventory does not have.
    #[serde(default)]
    pub(super) without: Vec<String>,
    /// Whether nothing is to be rotated, as in `keyroll verify`.
    #[serde(default)]
    pub(super) verify: bool,
    /// What the operator names as the old token; `first` stands for the one that the fleet had at first.
    #[serde(default)]
    pub(super) old: Option<String>,
    /// Patterns of `--expect-unmanaged` and names of `--ignore-node`.
    #[serde(default)]
    pub(super) expected: Vec<String>,
    #[serde(default)]
    pub(super) ignored: Vec<String>,
    /// What stands in the inventory: name, place and text; `first` is the token that the fleet had at first, and an empty
    /// text an encrypted one.
    #[serde(default)]
    pub(super) stated: Vec<(String, String, String)>,
    /// Seconds that the operator gives the server token (`--max-age`).
    #[serde(default)]
    pub(super) max_age: Option<u64>,
    /// `unmeasured`, `quorum-loss`, `keep-modes` and `own-backup`, where the operator says so.
    #[serde(default)]
    pub(super) accepts: Vec<String>,
    /// Agents that the inventory calls servers.
    #[serde(default)]
    pub(super) as_servers: Vec<String>,
    /// Hosts that `--limit` leaves out.
    #[serde(default)]
    pub(super) left_out: Vec<String>,
    /// Hosts that the inventory calls servers and agents.
    #[serde(default)]
    pub(super) as_both: Vec<String>,
    /// Servers that the inventory calls agents.
    #[serde(default)]
    pub(super) as_agents: Vec<String>,
    /// Agents that only the inventory has: none of them can be reached.
    #[serde(default)]
    pub(super) away: Vec<String>,
    #[serde(default)]
    pub(super) before: Vec<Before>,
    pub(super) on: String,
    #[serde(default)]
    pub(super) vars: BTreeMap<String, minijinja::Value>,
    pub(super) step: BTreeMap<String, serde_yaml::Value>,
    #[serde(default)]
    pub(super) ops: Vec<String>,
    #[serde(default)]
    pub(super) unmet: Vec<String>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
    /// Parts of sentences that no note may have.
    #[serde(default)]
    pub(super) silent: Vec<String>,
    /// Parts of what keeps a proof from being green: all of them, and no other doubt.
    #[serde(default)]
    pub(super) doubts: Vec<String>,
    /// Part of the error's text, when the step cannot look.
    #[serde(default)]
    pub(super) error: Option<String>,
}

fn yes() -> bool {
    true
}

/// One thing that happened before: exactly one key beside `on`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    /// Hosts, separated by commas; `servers` and `agents` stand for all.
    #[serde(default)]
    pub(super) on: String,
    /// A step is proposed and performed.
    pub(super) step: Option<BTreeMap<String, serde_yaml::Value>>,
    /// So many of the step's operations, and then it is cut.
    pub(super) cut: Option<usize>,
    /// A command is run.
    pub(super) run: Option<Vec<String>>,
    /// A file's text is changed.
    pub(super) replace: Option<(String, String, String)>,
    /// A file is written.
    pub(super) write: Option<(String, String)>,
    /// A file's bytes are copied to another path.
    pub(super) copy: Option<(String, String)>,
    /// With these permission bits; 0600 when absent.
    pub(super) mode: Option<String>,
    /// A file of another host is brought to the same place: `[host, path]`.
    pub(super) fetch: Option<(String, String)>,
    /// A link is made: `[path, target]`.
    pub(super) link: Option<(String, String)>,
    /// A file is removed.
    pub(super) remove: Option<String>,
    /// A line turns up in the journal of its unit.
    pub(super) journal: Option<String>,
    /// So often.
    pub(super) times: Option<usize>,
    /// It is taken out of etcd, and its K3s runs on.
    #[serde(default)]
    pub(super) leaves_etcd: bool,
    /// It was installed anew, and etcd still has the member that it was before.
    #[serde(default)]
    pub(super) stale_member: bool,
    /// Another k3s program is put on its disk.
    pub(super) program: Option<String>,
    /// Virtual seconds pass.
    pub(super) sleep: Option<u64>,
}
