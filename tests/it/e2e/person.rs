//! What a person does at a host's keyboard, in few words.

use super::backend::{Backend, Said};
use super::look;

const K3S: &str = "/usr/local/bin/k3s";
/// The agent token that a person gives a cluster which had none.
const AGENT_TOKEN: &str = "a9e27a9e27a9e27a9e27a9e27a9e27a9";

/// Nobody's.
const THIRD: &str = "7d17d17d17d17d17d17d17d17d17d17d";

/// Does it.
///
/// # Errors
/// When the host says that it did not work.
pub(super) fn does(backend: &dyn Backend, host: &str, deed: &str) -> Result<(), String> {
    let desk = backend.desk();
    let (old, new) = (desk.old.as_str(), desk.new.as_str());
    let (verb, rest) = deed.split_once(' ').unwrap_or((deed, ""));
    match (verb, rest) {
        ("rotates", "") => rotates(backend, host, new),
        ("rotates", "back") => rotates(backend, host, old),
        ("rotates", "to a third in vain") => rotates_in_vain(backend, host, THIRD),
        ("rotates", "back in vain") => rotates_in_vain(backend, host, old),
        ("configures", "NEW") => configures(backend, host, (old, new)),
        ("configures", "OLD") => configures(backend, host, (new, old)),
        ("adds", "an agent token") => adds_agent_token(backend, host),
        ("takes", "a snapshot") => takes_snapshot(backend, host),
        ("renames", "its node") => renames_node(backend, host),
        ("takes", "the join token") => takes_join_token(backend, host),
        ("joins", "anew") => joins_anew(backend, host, "active"),
        ("joins", "anew in vain") => joins_anew(backend, host, "activating"),
        ("restores", "with NEW in vain") => restores(backend, host, None, REFUSED),
        ("restores", "with OLD") => restores(backend, host, Some(old), RESET),
        ("edits", "passwd") => edits_passwd(backend, host),
        ("removes", "passwd and token") => {
            removes_trap(backend, host);
            Ok(())
        }
        _ => orders(backend, host, deed),
    }
}

/// What is told to systemd.
fn orders(backend: &dyn Backend, host: &str, deed: &str) -> Result<(), String> {
    let unit = backend.desk().topology.unit_of(host);
    let words: &[&str] = match deed {
        "restarts" => &["restart"],
        // Does not wait: such a start may never end.
        "starts over" => &["restart", "--no-block"],
        "stops" => &["stop"],
        "starts" => &["start"],
        "kills it" => &["kill", "-s", "SIGKILL"],
        _ => panic!("nobody knows how one `{deed}`"),
    };
    let argv = [&["systemctl"], words, &[unit.as_str()]].concat();
    fine(&backend.command(host, &argv, ""))
}

fn fine(said: &Said) -> Result<(), String> {
    if said.status == 0 {
        return Ok(());
    }
    Err(format!("status {}: {}{}", said.status, said.out, said.err))
}

/// Whatever its status is.
fn says(said: &Said, words: &str) -> Result<(), String> {
    if said.err.contains(words) || said.out.contains(words) {
        return Ok(());
    }
    let Said { status, out, err } = said;
    Err(format!("no {words:?}, but status {status}: {out}{err}"))
}

/// The documented command on a server that still runs with OLD.
fn rotates(backend: &dyn Backend, host: &str, to: &str) -> Result<(), String> {
    let said = rotate(backend, host, to);
    fine(&said)?;
    says(&said, "Token rotated, restart k3s nodes with new token")
}

/// The same where the datastore has not the token of that server's files.
fn rotates_in_vain(backend: &dyn Backend, host: &str, to: &str) -> Result<(), String> {
    let said = rotate(backend, host, to);
    if said.status == 0 {
        return Err("it was rotated".to_owned());
    }
    says(&said, "token error ID")
}

fn rotate(backend: &dyn Backend, host: &str, to: &str) -> Said {
    let desk = backend.desk();
    let server = format!("https://127.0.0.1:{}", desk.topology.port);
    backend.command(
        host,
        &[
            K3S,
            "token",
            "rotate",
            "--server",
            &server,
            "--data-dir",
            &desk.topology.data_dir,
            "--token",
            &desk.old,
            "--new-token",
            to,
        ],
        "",
    )
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

fn adds_agent_token(backend: &dyn Backend, host: &str) -> Result<(), String> {
    let path = "/etc/rancher/k3s/config.yaml";
    let held = backend.read(host, path).ok_or("it has no config.yaml")?;
    let text = format!("{}agent-token: \"{AGENT_TOKEN}\"\n", held.text);
    backend.write(host, path, &text);
    Ok(())
}

/// The first server's, in place of OLD.
fn takes_join_token(backend: &dyn Backend, host: &str) -> Result<(), String> {
    let held = backend.read("server-1", "/root/join-token");
    let held = held.ok_or("there is no join token")?;
    if held.mode != 0o600 {
        return Err(format!("the join token has mode {:o}", held.mode));
    }
    let old = &backend.desk().old;
    let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '=');
    let mut count = 0;
    for (path, file) in look::files_of(backend, host) {
        let words = file.text.split(ends);
        let full: Vec<&str> = words.filter(|word| word.contains(old.as_str())).collect();
        for full in full {
            let text = file.text.replace(full, held.text.trim());
            backend.write(host, &path, &text);
            count += 1;
        }
    }
    if count == 0 {
        return Err("no file holds OLD".to_owned());
    }
    Ok(())
}

/// It becomes another node.
fn renames_node(backend: &dyn Backend, host: &str) -> Result<(), String> {
    let path = "/etc/rancher/k3s/config.yaml";
    let text = backend
        .read(host, path)
        .map_or_else(String::new, |held| held.text);
    let others = text.lines().filter(|line| !line.starts_with("node-name:"));
    let others: String = others.flat_map(|line| [line, "\n"]).collect();
    backend.write(host, path, &format!("{others}node-name: renamed-{host}\n"));
    joins_anew(backend, host, "active")
}

/// As a node that nobody knows: with its token and no certificate.
fn joins_anew(backend: &dyn Backend, host: &str, becomes: &str) -> Result<(), String> {
    let topology = &backend.desk().topology;
    let unit = format!("{}.service", topology.unit_of(host));
    let data = &topology.data_dir;
    orders(backend, host, "stops")?;
    backend.remove(host, &format!("{data}/agent/client-kubelet.crt"));
    orders(backend, host, "starts over")?;
    backend.wait(25);
    let said = backend.command(host, &["systemctl", "is-active", &unit], "");
    if said.out.trim() == becomes {
        return Ok(());
    }
    Err(format!("it is {}, not {becomes}", said.out.trim()))
}

/// Its name is kept on the desk.
fn takes_snapshot(backend: &dyn Backend, host: &str) -> Result<(), String> {
    let said = backend.command(host, &[K3S, "etcd-snapshot", "save", "--name", "mine"], "");
    fine(&said)?;
    let name = said.err.split("Snapshot ").nth(1);
    let name = name.and_then(|rest| rest.split(" saved").next());
    let name = name.ok_or_else(|| format!("it names no snapshot: {}", said.err))?;
    let kept = backend.desk().file("snapshot");
    std::fs::write(kept, name).map_err(|error| error.to_string())
}

const REFUSED: &str = "Shutdown request received: failed to save bootstrap data: bootstrap data already found and encrypted with different token";
const RESET: &str =
    "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now.";

/// The snapshot, on a server that is stopped.
fn restores(
    backend: &dyn Backend,
    host: &str,
    token: Option<&str>,
    words: &str,
) -> Result<(), String> {
    let desk = backend.desk();
    let name =
        std::fs::read_to_string(desk.file("snapshot")).map_err(|_| "there is no snapshot")?;
    let folder = format!("{}/server/db/snapshots", desk.topology.data_dir);
    let from = format!("--cluster-reset-restore-path={folder}/{name}");
    let token = token.map(|token| format!("--token={token}"));
    let mut argv = vec![K3S, "server", "--cluster-reset", &from];
    argv.extend(token.as_deref());
    says(&backend.command(host, &argv, ""), words)
}

/// As runbooks have it that take this file for the place of the token.
fn edits_passwd(backend: &dyn Backend, host: &str) -> Result<(), String> {
    let desk = backend.desk();
    let path = format!("{}/server/cred/passwd", desk.topology.data_dir);
    let held = backend.read(host, &path).ok_or("it has no passwd")?;
    backend.write(host, &path, &held.text.replace(&desk.old, THIRD));
    Ok(())
}

/// The two files that K3s names when its passwd is newer than the datastore.
fn removes_trap(backend: &dyn Backend, host: &str) {
    for file in ["cred/passwd", "token"] {
        let below = format!("{}/server", backend.desk().topology.data_dir);
        backend.remove(host, &format!("{below}/{file}"));
    }
}
