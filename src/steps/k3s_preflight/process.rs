//! The program and the certificate that a host runs with, against what its next start would find.

use std::collections::BTreeMap;

use super::Aim;
use crate::facts::{ApiVersion, CertificateEnd, Fact, FactError, NodeName, Probe, Tried};
use crate::k3s::install::Kind;
use crate::k3s::phase::Standing;
use crate::k3s::version::Version;
use crate::steps::look::{Cluster, Seen, nodes};
use crate::steps::{Proposal, StepError, Unmet};

/// The version that each node runs, by the node's name.
struct Running(BTreeMap<String, String>);

/// What is asked of the certificate, whether it must be readable is not known before it counts; and of a server that is no
/// node, its own kube-apiserver.
pub(super) type Asked = (
    Tried<NodeName>,
    Tried<CertificateEnd>,
    Vec<Tried<ApiVersion>>,
);

/// What to ask.
pub(super) fn asked(seen: &Seen) -> Asked {
    let certificate = seen.kubelet_certificate();
    let name = NodeName {
        certificate: certificate.clone(),
    };
    let runs_api = seen.install.has_api && seen.unit.is_active();
    let alone = (runs_api && !seen.install.has_node).then(|| Tried(ApiVersion(seen.admin())));
    let end = CertificateEnd { certificate };
    (Tried(name), Tried(end), Vec::from_iter(alone))
}

/// What makes the restart of a rotation more than a restart. Once the rotation has begun it comes anyway.
pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    (on_disk, aim): (&Result<Version, FactError>, Aim),
    (name, end, alone): &<Asked as Fact>::Value,
) -> Result<Proposal, StepError> {
    let has_begun = cluster.standing.as_ref().is_ok_and(Standing::is_rotated);
    if has_begun || !seen.unit.is_active() {
        return Ok(Proposal::default());
    }
    let (name, end) = (name.clone()?, end.clone()?);
    let on_disk = on_disk.clone()?;
    let host = &seen.host;
    let mut proposal = Proposal::default();
    if seen.install.kind == Kind::Agent && end.is_some_and(|end| end < seen.unit.now) {
        proposal.unmet.push(Unmet::new(
            "certificate-expired",
            format!(
                "the client certificate of {host} has expired: nothing but its token lets it in"
            ),
            format!(
                "restart {} on {host}, which renews it, and see that the node is Ready",
                seen.unit.text.id
            ),
        ));
    }
    // A rotation that restarts it writes it anew; where agents have a token of their own none does, and no gate finds its node.
    let stays = aim == Aim::Server && cluster.has_agent_token();
    if seen.install.kind == Kind::Agent && name.is_none() && stays {
        proposal.unmet.push(no_certificate(seen));
    }
    let runs = match alone.first() {
        Some(version) => Some(version.clone()?),
        None => of_node(probe, cluster, name).await,
    };
    if !(seen.install.has_node || seen.install.has_api) {
        proposal.notes.push(format!("{host} has neither a kubelet nor a kube-apiserver, which tell what runs: whether its program was replaced since its start is not applicable"));
    }
    if let Some(runs) = runs.and_then(|runs| replaced(&runs, on_disk)) {
        proposal.unmet.push(Unmet::new(
            "program-replaced",
            format!("{host} runs K3s {}, and the program on its disk is {}: a restart would be an upgrade", runs.whole(), on_disk.whole()),
            format!("finish the upgrade of {host} first, or put the program of {} back", runs.whole()),
        ));
    }
    Ok(proposal)
}

fn no_certificate(seen: &Seen) -> Unmet {
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    Unmet::new(
        "no-kubelet-certificate",
        format!(
            "{host} has no certificate at {} that names its node",
            seen.kubelet_certificate()
        ),
        format!(
            "on {host}, as root: systemctl restart {unit}, which writes it anew; see that the node is Ready, then run the same command again"
        ),
    )
}

/// The version that a node runs; `None` where it is not listed, which its own check says.
async fn of_node(probe: &Probe<'_>, cluster: &Cluster, name: Option<String>) -> Option<String> {
    let look = async {
        let listed = nodes(probe, &cluster.servers).await;
        let is_whole = listed.is_ok();
        let listed = listed.unwrap_or_default().into_iter();
        let running = Running(listed.map(|node| (node.name, node.version)).collect());
        if is_whole { Ok(running) } else { Err(running) }
    };
    let running = probe.shared(cluster.about, look).await?;
    running.0.get(&name?).cloned()
}

/// What runs, when it is another version than the one on disk.
fn replaced(runs: &str, on_disk: Version) -> Option<Version> {
    Version::parse(runs).filter(|runs| *runs != on_disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_version_is_a_replaced_program() {
        let version = |text| Version::parse(text).unwrap();
        let on_disk = version("k3s version v1.34.4+k3s1 (abc)");
        assert_eq!(
            replaced("v1.34.3+k3s1", on_disk),
            Some(version("v1.34.3+k3s1"))
        );
        assert_eq!(
            replaced("v1.34.4+k3s2", on_disk),
            Some(version("v1.34.4+k3s2"))
        );
        assert_eq!(replaced("v1.34.4+k3s1", on_disk), None);
        assert_eq!(replaced("", on_disk), None);
    }
}
