//! What a person does at a host's keyboard, in few words.

use super::backend::{Backend, Said};
use super::look;

/// Does it.
///
/// # Errors
/// When the host says that it did not work.
pub(super) fn does(backend: &dyn Backend, host: &str, deed: &str) -> Result<(), String> {
    let desk = backend.desk();
    let unit = desk.topology.unit_of(host);
    let (old, new) = (desk.old.as_str(), desk.new.as_str());
    let (verb, rest) = deed.split_once(' ').unwrap_or((deed, ""));
    match (verb, rest) {
        ("rotates", "") => rotates(backend, host, new),
        ("rotates", "back") => rotates(backend, host, old),
        ("configures", "NEW") => configures(backend, host, (old, new)),
        ("configures", "OLD") => configures(backend, host, (new, old)),
        ("restarts", "") => fine(&backend.command(host, &["systemctl", "restart", &unit], "")),
        // Does not wait: such a start may never end.
        ("starts", "over") => {
            fine(&backend.command(host, &["systemctl", "restart", "--no-block", &unit], ""))
        }
        ("stops", "") => fine(&backend.command(host, &["systemctl", "stop", &unit], "")),
        ("starts", "") => fine(&backend.command(host, &["systemctl", "start", &unit], "")),
        _ => panic!("nobody knows how one `{deed}`"),
    }
}

fn fine(said: &Said) -> Result<(), String> {
    if said.status == 0 {
        return Ok(());
    }
    Err(format!("status {}: {}{}", said.status, said.out, said.err))
}

/// As `k3s token rotate` does it on a server that still runs with OLD.
fn rotates(backend: &dyn Backend, host: &str, to: &str) -> Result<(), String> {
    let body = "/root/rotate.json";
    backend.write(host, body, &format!("{{\"newToken\":\"{to}\"}}"));
    let argv = [
        "/usr/local/bin/k3s",
        "kubectl",
        "--kubeconfig=/dev/stdin",
        "replace",
        "--raw",
        "/v1-k3s/token",
        "-f",
        body,
    ];
    let config = look::kubeconfig(
        &backend.desk().topology,
        host,
        ("server", &backend.desk().old),
    );
    let said = backend.command(host, &argv, &config);
    backend.write(host, body, "");
    fine(&said)
}

/// One token for the other in every file of a host's configuration.
fn configures(backend: &dyn Backend, host: &str, (from, to): (&str, &str)) -> Result<(), String> {
    let mut count = 0;
    for (path, held) in look::files_of(backend, host) {
        if held.text.contains(from) {
            backend.write(host, &path, &held.text.replace(from, to));
            count += 1;
        }
    }
    if count == 0 {
        return Err("no file holds that token".to_owned());
    }
    Ok(())
}
