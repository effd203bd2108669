//! Lines that K3s writes when a token is wrong, and what each means.

/// Whether a line says that a server was started with another token than the datastore's, and would come up by itself
/// with the right one.
#[must_use]
pub fn wants_other_token(line: &str) -> bool {
    line.contains("encrypted with different token")
}

/// Whether a line says that the server which this one joins does not accept its token.
#[must_use]
pub fn is_refused_by_peer(line: &str) -> bool {
    line.contains("Unable to reconcile with remote datastore: not authorized")
}

/// What a line of the journal gives away, in a sentence; `None` for ordinary lines.
#[must_use]
pub fn meaning(line: &str) -> Option<&'static str> {
    SIGNS
        .iter()
        .find(|(sign, _)| line.contains(sign))
        .map(|(_, meaning)| *meaning)
}

const SIGNS: [(&str, &str); 9] = [
    (
        "passwd newer than datastore",
        "it was once started with the wrong token and will not start again by itself, even with the right one",
    ),
    (
        "encrypted with different token",
        "its configured token is not the one that the datastore is encrypted with",
    ),
    (
        "token CA hash does not match",
        "its token pins another cluster's CA",
    ),
    (
        "no bootstrap data found",
        "the datastore has nothing under its token",
    ),
    (
        "critical configuration value mismatch",
        "its critical flags differ from those of the other servers",
    ),
    (
        "Unable to reconcile with remote datastore: not authorized",
        "the server that it joins does not accept its token",
    ),
    (
        "failed to retrieve configuration from server: not authorized",
        "no server accepts its token, and it has no certificate to come in with",
    ),
    (
        "failed to get CA certs",
        "it does not reach the server that its `server:` names",
    ),
    (
        "Node password rejected",
        "another node had this name, or its node password was lost",
    ),
];

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn measured_lines_are_understood() {
        let trap = r#"level=fatal msg="/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk""#;
        assert!(meaning(trap).unwrap().contains("not start again by itself"));
        assert!(
            meaning("bootstrap data already found and encrypted with different token").is_some()
        );
        assert_eq!(meaning("level=info msg=\"Running kubelet\""), None);
    }
}
