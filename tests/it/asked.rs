//! How the datastore's answer to a rotate is read, by the script as it is sent to a host: a stand-in for kubectl that says
//! what it was answered, and one for `journalctl` that has the reason.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::process::Command as Process;

const SCRIPT: &str = include_str!("../../src/steps/ask.sh");

/// What K3s answers, as kubectl says it.
const REFUSED: &str = "echo 'Error from server (InternalError): an error on the server (\"token error ID 31415\") has prevented the request from succeeding' >&2; exit 1";
/// What kubectl says where nobody answers.
const AWAY: &str = "echo 'The connection to the server 127.0.0.1:6443 was refused' >&2; exit 1";

fn program(folder: &Path, name: &str, body: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// What is left in the file, or what was said instead.
async fn asked(kubectl: &str, reason: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let door = program(folder.path(), "kubectl", kubectl);
    program(folder.path(), "journalctl", &format!("echo '{reason}'"));
    let file = folder.path().join("kept/asked");
    let done = Process::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(&file)
        .args(["run tag", "k3s.service", &door])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .output()
        .await
        .unwrap();
    if done.status.success() {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        Ok(std::fs::read_to_string(&file).unwrap())
    } else {
        assert!(!file.exists());
        Err(String::from_utf8(done.stderr).unwrap())
    }
}

#[tokio::test]
async fn only_the_datastore_itself_says_yes_or_no() {
    let no =
        "token error ID 31415: bootstrap data already found and encrypted with different token";
    let several = "token error ID 31415: found multiple bootstrap keys in storage";
    let other = "token error ID 31415: etcdserver: request timed out";
    assert_eq!(asked("exit 0", "").await.unwrap(), "run tag yes\n");
    assert_eq!(asked(REFUSED, no).await.unwrap(), "run tag no\n");
    // It may have this one among them; what was written beside it is not saved (k3s: `bootstrapKeyData`).
    let why = asked(REFUSED, several).await.unwrap_err();
    assert!(why.contains("multiple bootstrap keys"), "{why}");
    let why = asked(REFUSED, other).await.unwrap_err();
    assert!(why.contains("request timed out"), "{why}");
    // The reason of another request is none.
    let stranger = no.replace("31415", "27182");
    let why = asked(REFUSED, &stranger).await.unwrap_err();
    assert!(why.contains("token error ID 31415"), "{why}");
    let why = asked(AWAY, no).await.unwrap_err();
    assert!(why.contains("was refused"), "{why}");
}
