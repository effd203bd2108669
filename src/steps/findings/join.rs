//! Where `server:` or `K3S_URL` leads to.

use super::Finding;
use crate::facts::Probe;
use crate::k3s::install::Kind;
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::order;
use crate::secret::Secret;
use crate::steps::look::Seen;

/// A name or address that no server of the inventory has is asked: a load balancer answers with this cluster's CA.
/// Nobody else gets to hear the secret, since the certificate is checked first.
pub(super) fn knock(probe: &Probe<'_>, seen: &Seen) -> Option<Knock> {
    let door = seen.far_door();
    let door = door.filter(|door| !is_known(probe, &door.url))?;
    let role = match seen.install.kind {
        Kind::Server => Role::Server,
        Kind::Agent => Role::Node,
    };
    Some(Knock {
        door,
        role,
        secret: seen.surface().cloned().unwrap_or_else(|| Secret::new("")),
    })
}

/// What the answer says of the address.
pub(super) fn judge(seen: &Seen, heard: &Heard) -> Option<Finding> {
    meaning(seen.install.url.as_deref()?, heard)
}

fn is_known(probe: &Probe<'_>, url: &str) -> bool {
    let Some(host) = order::host_of(url) else {
        return false;
    };
    let mut servers = probe.fleet().servers.iter();
    servers.any(|member| member.address == host || member.name.as_str() == host)
}

/// What Go says of a certificate of another CA; of a wrong name it complains first, and in other words.
const FOREIGN: &str = "certificate signed by unknown authority";

fn meaning(url: &str, heard: &Heard) -> Option<Finding> {
    match heard {
        // Something with this cluster's CA answered.
        Heard::Accepted | Heard::Rejected | Heard::WrongRole => None,
        Heard::Odd(said) if said.contains(FOREIGN) => Some(Finding::of(
            "join-address-foreign",
            format!("what answers at {url} has a certificate of another CA"),
        )),
        // A certificate that has run out, or does not have the address, says nothing of its CA.
        Heard::Odd(said) | Heard::NotYet(said) => {
            let said = said.lines().next().unwrap_or_default();
            Some(Finding::of(
                "join-address-elsewhere",
                format!("{url} is no server of this inventory and does not answer: {said}"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(heard: &Heard) -> Option<&'static str> {
        meaning("https://vip:6443", heard).map(|finding| finding.name)
    }

    #[test]
    fn only_a_foreign_certificate_stands_in_the_way() {
        let x509 = "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority";
        let foreign = name(&Heard::Odd(x509.to_owned()));
        assert_eq!(foreign, Some("join-address-foreign"));
        for san in [
            "tls: failed to verify certificate: x509: certificate is valid for 10.43.0.1, 127.0.0.1, not 10.0.2.8",
            "x509: cannot validate certificate for 10.0.2.8 because it doesn't contain any IP SANs",
            "x509: certificate has expired or is not yet valid",
        ] {
            let said = Heard::Odd(format!("Unable to connect to the server: {san}"));
            assert_eq!(name(&said), Some("join-address-elsewhere"), "{san}");
        }
        let lost = "Unable to connect to the server: dial tcp: lookup vip: no such host";
        let lost = name(&Heard::Odd(lost.to_owned()));
        assert_eq!(lost, Some("join-address-elsewhere"));
        let silent = name(&Heard::NotYet("connection refused".to_owned()));
        assert_eq!(silent, Some("join-address-elsewhere"));
        for fine in [Heard::Accepted, Heard::Rejected, Heard::WrongRole] {
            assert_eq!(name(&fine), None);
        }
    }
}
