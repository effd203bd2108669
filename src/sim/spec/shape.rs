//! How a fleet differs from what the installer leaves.

use crate::sim::dress::Dress;

/// Where servers have their token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// `token:` in `config.yaml`.
    Config,
    /// `token:` in `config.yaml.d/50-token.yaml`.
    DropIn,
    /// `K3S_TOKEN` in the unit's environment file.
    Env,
    /// `--token` in the unit's text.
    Argument,
    /// `token-file:` in `config.yaml`.
    File,
    /// Nowhere: `server/token` is all there is.
    Nothing,
}

impl Surface {
    /// Every surface and its name in a `sim:` string.
    pub const NAMES: [(Self, &'static str); 6] = [
        (Self::Config, "config"),
        (Self::DropIn, "drop-in"),
        (Self::Env, "env"),
        (Self::Argument, "argument"),
        (Self::File, "token-file"),
        (Self::Nothing, "nothing"),
    ];
}

/// Where those who join a cluster knock first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joins {
    /// At the first server.
    First,
    /// At an address that leads to whichever server serves.
    Vip,
}

/// What may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Where servers have their token.
    pub surface: Surface,
    /// Whether the first server is etcd alone and the others have none.
    pub split: bool,
    /// What `server:` names.
    pub joins: Joins,
    /// Whether agents have a token of their own.
    pub agent_token: bool,
    /// Whether servers run no kubelet, so that they have no node.
    pub disable_agent: bool,
    /// The data directory of all hosts.
    pub data_dir: String,
    /// The servers' unit without its suffix; agents add `-agent`.
    pub unit: String,
    /// The supervisor's port.
    pub port: u16,
    /// What set the hosts up.
    pub installer: Installer,
}

/// What set hosts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// get.k3s.io, with a configuration by hand that the other parameters shape.
    Usual,
    /// One for all hosts.
    One(&'static Dress),
    /// Another one for each host, of those whose token can be rotated.
    Mixed,
}

impl Installer {
    /// What the host at this position wears; `None` for the usual.
    #[must_use]
    pub fn of(self, at: usize) -> Option<&'static Dress> {
        match self {
            Self::Usual => None,
            Self::One(dress) => Some(dress),
            Self::Mixed => Dress::mixed(at),
        }
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            surface: Surface::Config,
            split: false,
            joins: Joins::First,
            agent_token: false,
            disable_agent: false,
            data_dir: "/var/lib/rancher/k3s".to_owned(),
            unit: "k3s".to_owned(),
            port: 6443,
            installer: Installer::Usual,
        }
    }
}
