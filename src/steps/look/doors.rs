//! Where and how a host's K3s, its API and its etcd are asked.

use super::Seen;
use crate::facts::{Admin, EtcdMember};
use crate::k3s::install::Kind;
use crate::k3s::knock::{ANY_SERVER, Door};
use crate::k3s::token::ca_hash;

impl Seen {
    /// How this host reaches a supervisor: its own on a server, through its load balancer on an agent.
    #[must_use]
    pub fn door(&self) -> Door {
        let address = &self.install.address;
        let is_loopback = ["127.", "[::1]"].iter().any(|of| address.starts_with(of));
        Door {
            k3s: self.k3s.clone(),
            url: format!("https://{address}:{}", self.install.port),
            ca: self.install.ca(),
            // What a server binds may be in no certificate.
            name: (!is_loopback).then_some(ANY_SERVER),
        }
    }

    /// The address that `server:` names. An agent itself checks the CA there and no name, since it talks through its
    /// load balancer: an address that is in no certificate serves it well (k3s: `agent/run`). A server checks both.
    #[must_use]
    pub fn far_door(&self) -> Option<Door> {
        let agent = self.install.kind == Kind::Agent;
        Some(Door {
            url: self.install.url.clone()?,
            name: agent.then_some(ANY_SERVER),
            ..self.door()
        })
    }

    /// How a server's own API is asked.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin {
            k3s: self.k3s.clone(),
            kubeconfig: self.install.data("server/cred/admin.kubeconfig"),
        }
    }

    /// How its etcd member is asked.
    #[must_use]
    pub fn member(&self) -> EtcdMember {
        EtcdMember {
            k3s: self.k3s.clone(),
            urls: self.install.etcd.clone(),
        }
    }

    /// The hash by which tokens of this server's cluster pin its CA, of a bundle too: K3s writes it into `server/token`.
    #[must_use]
    pub fn pin(&self) -> Option<String> {
        let written = || self.token_in(&self.install.data("server/token"));
        let of_file = || written()?.hash().map(str::to_owned);
        let bundle = self.file(&self.install.ca());
        let of_one = bundle.and_then(|bundle| ca_hash(bundle.bytes()));
        of_one.or_else(of_file)
    }
}
