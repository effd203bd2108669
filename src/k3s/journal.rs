//! Lines that K3s writes when it does not start, and what each means.

/// A line that gives something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Its name in the catalogue of findings.
    pub name: &'static str,
    /// Part of the line.
    part: &'static str,
    /// In a sentence.
    pub meaning: &'static str,
}

/// Whether a line says that a server was started with another token than the datastore's, and would come up by itself
/// with the right one.
#[must_use]
pub fn wants_other_token(line: &str) -> bool {
    line.contains("encrypted with different token") && !is_of_others(line)
}

/// Whether a line says that a member of etcd has read its own copy of the datastore, and that this has another token.
#[must_use]
pub fn is_refused_by_own_copy(line: &str) -> bool {
    line.contains("Failed to reconcile with temporary etcd") && wants_other_token(line)
}

/// Whether a line says that the server which this one joins does not accept its token.
#[must_use]
pub fn is_refused_by_peer(line: &str) -> bool {
    line.contains("Unable to reconcile with remote datastore: not authorized")
        || line.contains("failed to bootstrap cluster data: not authorized")
        // Before about v1.30 (k3s: clientaccess.get).
        || line.contains("/v1-k3s/server-bootstrap: 401 Unauthorized")
}

/// Whether a line says that nothing came of asking the server which this one joins, so that it goes on with its own data.
/// Before about v1.30 it does not say why (k3s: cluster.Bootstrap).
#[must_use]
pub fn goes_by_own_data(line: &str) -> bool {
    line.contains("Unable to reconcile with remote datastore")
        || line.contains("Unable to reconcile with datastore")
}

/// Whether a line says that the server that this one joins accepts its token, and the datastore has another. Older K3s
/// panics there (k3s: cluster.Start).
#[must_use]
pub fn is_refused_by_datastore_alone(line: &str) -> bool {
    let saves = line.contains("failed to save bootstrap data") || line.contains("panic: ");
    saves && wants_other_token(line)
}

/// Whether a line is of a trouble with a token, for which there is a way back.
#[must_use]
pub fn is_of_token(line: &str) -> bool {
    wants_other_token(line)
        || is_refused_by_peer(line)
        || is_newer_than_datastore(line)
        || line.contains("token CA hash does not match")
        || line.contains("failed to retrieve configuration from server: not authorized")
}

/// Whether a line says that the server's passwd keeps it from starting, with whatever token.
#[must_use]
pub fn is_newer_than_datastore(line: &str) -> bool {
    line.contains(NEWER) && line.contains("cred/passwd")
}

/// What K3s says behind the files that it does not replace, in no order (k3s: `ReconcileBootstrapData`).
const NEWER: &str = " newer than datastore";

/// Whether a line tells of something that passes by itself: the other side is starting, or takes its token later.
fn is_passing(line: &str) -> bool {
    line.contains("not authorized")
        || line.contains("/v1-k3s/config: 401 Unauthorized")
        || line.contains("failed to get CA certs")
}

/// What K3s calls an answer to a rotate whose reason is in the journal alone, beside the same number.
const REQUEST: &str = "token error ID ";

/// Whether a line tells of others: a component of Kubernetes, whose lines begin like `E0805 18:15:19`, or a caller that
/// K3s turned away, or whose rotate it could not do (k3s: `util.SendErrorWithID`). None says anything of this process's own
/// token, and healthy clusters write them all day.
fn is_of_others(line: &str) -> bool {
    let head = line.as_bytes();
    let is_klog = matches!(head, [b'I' | b'W' | b'E' | b'F', a, b, c, d, b' ', ..]
        if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()));
    let said = ["Failed to authenticate request from", REQUEST];
    is_klog || said.iter().any(|part| line.contains(part))
}

/// What a server says, once, when it has put another CA into the datastore, which counts from the next start on
/// (k3s: `certificate rotate-ca`).
pub const AWAITS_RESTART: [&str; 1] = ["Cluster Certificate Authority data has been updated"];

/// What a line of the journal gives away; `None` for ordinary lines.
#[must_use]
pub fn sign(line: &str) -> Option<&'static Sign> {
    let mut signs = SIGNS.iter().filter(|_| !is_of_others(line));
    signs.find(|sign| {
        line.contains(sign.part) && (sign.part != NEWER || is_newer_than_datastore(line))
    })
}

/// Parts of the lines that stay true until the next start of the process that wrote them.
pub const LASTING: [&str; 6] = [
    "encrypted with different token",
    NEWER,
    "token CA hash does not match",
    "/v1-k3s/server-bootstrap: 401 Unauthorized",
    "no bootstrap data found",
    "critical configuration value mismatch",
];

/// What a line says against a process that has gone on since: only what stays true until its next start.
#[must_use]
pub fn lasting(line: &str) -> Option<&'static Sign> {
    let stays = LASTING.iter().any(|part| line.contains(part));
    sign(line).filter(|_| stays && !is_passing(line))
}

/// What a process that has gone on met when it asked another server itself: worth a word, and no more.
#[must_use]
pub fn overcome(line: &str) -> Option<&'static Sign> {
    let asked = line.contains("/v1-k3s/") || line.contains("/cacerts");
    let sign = sign(line)?;
    let counts = match sign.name {
        "x509" => asked,
        "token-rejected" => asked && !is_passing(line),
        name => name == "node-password",
    };
    counts.then_some(sign)
}

const fn means(name: &'static str, part: &'static str, meaning: &'static str) -> Sign {
    Sign {
        name,
        part,
        meaning,
    }
}

/// All signs; of two that fit one line the first counts.
pub const SIGNS: [Sign; 11] = [
    means(
        "passwd-trap",
        NEWER,
        "it was once started with the wrong token and will not start again by itself, even with the right one",
    ),
    means(
        "other-token",
        "encrypted with different token",
        "its configured token is not the one that the datastore is encrypted with",
    ),
    means(
        "ca-hash-mismatch",
        "token CA hash does not match",
        "its token pins another cluster's CA",
    ),
    means(
        "no-bootstrap-data",
        "no bootstrap data found",
        "the datastore has nothing under its token",
    ),
    means(
        "flags-differ",
        "critical configuration value mismatch",
        "its critical flags differ from those of the other servers",
    ),
    means(
        "peer-refuses-token",
        "Unable to reconcile with remote datastore: not authorized",
        "the server that it joins does not accept its token",
    ),
    means(
        "token-rejected",
        "failed to retrieve configuration from server: not authorized",
        "no server accepts its token, and it has no certificate to come in with",
    ),
    means(
        "token-rejected",
        "401 Unauthorized",
        "no server accepts its token, and it has no certificate to come in with",
    ),
    means(
        "x509",
        "x509: ",
        "the certificate of the server that it joins comes from a CA that it does not trust",
    ),
    means(
        "api-unreachable",
        "failed to get CA certs",
        "it does not reach the server that its `server:` names",
    ),
    means(
        "node-password",
        "Node password rejected",
        "another node had this name, or its node password was lost",
    ),
];

#[cfg(test)]
mod tests {
    use super::{lasting, overcome, sign};

    /// As measured, or as K3s's source has it.
    const LINES: [(&str, &str); 9] = [
        (
            r#"level=fatal msg="/var/lib/rancher/k3s/server/cred/passwd, /var/lib/rancher/k3s/server/cred/ipsec.psk newer than datastore and could cause a cluster outage. Remove the file(s) from disk""#,
            "passwd-trap",
        ),
        (
            r#"level=fatal msg="/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk""#,
            "passwd-trap",
        ),
        (
            "Error: preparing server: failed to bootstrap cluster data: bootstrap data already found and encrypted with different token",
            "other-token",
        ),
        (
            "Failed to validate connection to cluster at https://10.0.0.1:6443: token CA hash does not match the Cluster CA certificate hash: a != b",
            "ca-hash-mismatch",
        ),
        (
            "Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: not authorized",
            "token-rejected",
        ),
        (
            r#"server is not ready: failed to get CA certs: Get "https://127.0.0.1:6444/cacerts": read: connection reset by peer"#,
            "api-unreachable",
        ),
        (
            r#"failed to get CA certs: Get "https://10.0.0.1:6443/cacerts": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
            "x509",
        ),
        (
            "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag",
            "node-password",
        ),
        (
            "token is not valid: https://10.0.0.1:6443/apis: 401 Unauthorized",
            "token-rejected",
        ),
    ];

    /// What healthy clusters write, and what has nothing to do with a token.
    const ORDINARY: [&str; 8] = [
        r#"level=fatal msg="/var/lib/rancher/k3s/server/tls/client-ca.key newer than datastore and could cause a cluster outage. Remove the file(s) from disk""#,
        r#"level=error msg="token error ID 31415: bootstrap data already found and encrypted with different token""#,
        r#"E0805 18:15:19.451812 4081514 authentication.go:73] "Unable to authenticate the request" err="[x509: certificate has expired or is not yet valid: current time 2025-08-05T18:15:19Z is after 2025-07-01T00:00:00Z, verifying certificate SN=1]""#,
        r#"E1122 04:00:01.000000    1301 pod_workers.go:1301] "Error syncing pod, skipping" err="failed to pull image \"registry.example/a\": 401 Unauthorized""#,
        "W1122 04:00:01.000000 1 dispatcher.go:205] Failed calling webhook, failing open: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        r#"time="2025-08-05T18:15:19Z" level=error msg="Failed to authenticate request from 172.31.13.72:42116: [x509: certificate signed by unknown authority, verifying certificate SN=1]""#,
        r#"level=info msg="Waiting to retrieve agent configuration; server is not ready: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized""#,
        r#"level=info msg="Running kubelet""#,
    ];

    #[test]
    fn what_others_meet_speaks_against_no_process() {
        for line in ORDINARY {
            assert_eq!(lasting(line), None, "{line}");
            assert_eq!(overcome(line), None, "{line}");
        }
        let names: Vec<_> = LINES
            .iter()
            .map(|(line, _)| lasting(line).map_or("", |sign| sign.name))
            .collect();
        let trap = "passwd-trap";
        let stay = [trap, trap, "other-token", "ca-hash-mismatch"];
        assert_eq!((&names[..4], &names[4..]), (&stay[..], &[""; 5][..]));
        let own = r#"level=info msg="Failed to validate connection to cluster at https://10.0.0.1:6443: Get \"https://10.0.0.1:6443/cacerts\": tls: failed to verify certificate: x509: certificate has expired""#;
        assert_eq!(overcome(own).map(|sign| sign.name), Some("x509"));
    }

    #[test]
    fn each_cause_is_told_from_the_others() {
        for (line, name) in LINES {
            assert_eq!(sign(line).map(|sign| sign.name), Some(name), "{line}");
        }
        assert_eq!(sign("level=info msg=\"Running kubelet\""), None);
    }
}
