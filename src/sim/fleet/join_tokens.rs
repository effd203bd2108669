//! Join tokens on a host of the fleet: the k3s binary's own commands, the script that makes one into a file, and what such a
//! file holds.

use std::time::Duration;

use super::perform::{Reply, ran};
use super::{Fleet, Host};
use crate::model::HostTime;
use crate::sim::call::CreateToken;
use crate::sim::fault::Fault;
use crate::sim::kubectl::{Ended, Kubectl, Target, Verb};
use crate::sim::token;
use crate::sim::tokens::{self, Bootstrap};
use crate::sim::world::{Files as _, Level, Line};
use crate::wire::Response;

const MAKE: Duration = Duration::from_millis(600);

impl Fleet {
    /// Whether the k3s binary may change secrets with this kubeconfig; the operator's when none is named.
    fn admits(&self, at: usize, kubeconfig: Option<&str>) -> Result<(), Ended> {
        let call = Kubectl {
            data_dir: None,
            kubeconfig: kubeconfig.map(str::to_owned),
            server: None,
            verb: Verb::Nodes,
        };
        let text = self.text(at, call.kubeconfig());
        match call.target(text.as_deref())? {
            Target::Admin => self.apiserver(at),
            Target::Url(_) => {
                let fatal = Line::new(self.now, Level::Fatal, "Error: Unauthorized");
                Err(Ended::bad(1, fatal.logged()))
            }
        }
    }

    fn clock(&self, at: usize) -> HostTime {
        let host = self.hosts.get(at);
        host.map_or(self.now, |host| host.time(self.now))
    }

    /// `token create`: it ends by the clock of the host on which it is made.
    pub(super) fn create_token(&mut self, at: usize, wanted: &CreateToken) -> Ended {
        if let Err(ended) = self.admits(at, wanted.kubeconfig.as_deref()) {
            return ended;
        }
        let luck = self.draw().to_string();
        let token = Bootstrap::made(wanted, &luck, self.clock(at));
        token.keep(&mut self.store);
        let server = self.hosts.get(at).and_then(Host::serving);
        let ca = server.map(|server| server.ca().to_owned());
        if let Some(host) = self.hosts.get_mut(at) {
            host.changes += 1;
        }
        Ended::fine(token.created(&ca.unwrap_or_default()))
    }

    /// `token list`, with the operator's kubeconfig.
    pub(super) fn list_tokens(&self, at: usize) -> Ended {
        match self.admits(at, None) {
            Ok(()) => {
                let all = Bootstrap::all(&self.store, self.now);
                Ended::fine(tokens::table(&all, self.clock(at)))
            }
            Err(ended) => ended,
        }
    }

    /// `token delete`, one after the other.
    pub(super) fn delete_tokens(
        &mut self,
        at: usize,
        kubeconfig: Option<&str>,
        ids: &[String],
    ) -> Ended {
        if let Err(ended) = self.admits(at, kubeconfig) {
            return ended;
        }
        if let Some(host) = self.hosts.get_mut(at) {
            host.changes += 1;
        }
        let mut stdout = String::new();
        for id in ids {
            let was_there = Bootstrap::forget(id, &mut self.store);
            let ended = tokens::deleted(id, was_there, self.clock(at));
            if ended.status != 0 {
                return Ended { stdout, ..ended };
            }
            stdout += &ended.stdout;
        }
        Ended::fine(stdout)
    }

    /// The script that makes one and keeps it in a file, which it names with the token's id.
    pub(super) fn make_join_token(&mut self, at: usize, words: &[&str]) -> Option<Reply> {
        let [_k3s, kubeconfig, path, ttl, description, told @ ..] = words else {
            return None;
        };
        let data_dir = match told {
            [] => None,
            [told, ..] => Some(told.strip_prefix("--data-dir=")?.to_owned()),
        };
        let ttl = Duration::from_secs(ttl.strip_suffix('s')?.parse().ok()?);
        let wanted = CreateToken {
            ttl: Some(ttl).filter(|ttl| !ttl.is_zero()),
            description: (*description).to_owned(),
            kubeconfig: Some((*kubeconfig).to_owned()),
            data_dir,
            token: None,
        };
        let failed = |why: &str| Some(Reply::at_once(ran(1, "", format!("{why}\n"))));
        if let Err(ended) = self.unpack(at, wanted.data_dir.as_deref()).ok()? {
            return failed(&format!("{}\nK3s made no join token", ended.stderr));
        }
        let made = self.create_token(at, &wanted);
        if made.status != 0 {
            return failed(&format!("{}K3s made no join token", made.stderr));
        }
        let host = self.hosts.get_mut(at)?;
        let written = host.disk.replace(path, made.stdout.as_bytes(), 0o600);
        if host.has(Fault::DiskFull) || written.is_err() {
            return failed("a join token was made and cannot be kept");
        }
        let (id, _) = held(&made.stdout)?;
        Some(Reply {
            takes: MAKE,
            ..Reply::at_once(ran(0, format!("join token {id} is in {path}\n"), ""))
        })
    }
}

/// Id of the join token that a text is, and the hash of the CA that it pins.
fn held(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_end_matches('\n').strip_prefix("K10")?;
    let (hash, secret) = rest.split_once("::")?;
    let is_one = hash.len() == 64 && token::is_bootstrap(secret);
    is_one.then(|| (secret.get(..6).unwrap_or_default(), hash))
}

/// `sed` that lets nothing of a file through but the ids of join tokens and the hashes that they pin.
pub(super) fn look(host: &Host, argv: &[&str]) -> Option<Response> {
    let ["sed", "-n", script, path] = argv else {
        return None;
    };
    if !script.starts_with("s/^K10") {
        return None;
    }
    let Some(text) = host.disk.text(path) else {
        let words = format!("sed: can't read {path}: No such file or directory\n");
        return Some(ran(2, "", words));
    };
    let found = text.lines().filter_map(held);
    let lines: String = found.flat_map(|(id, hash)| [id, " ", hash, "\n"]).collect();
    Some(ran(0, lines, ""))
}
