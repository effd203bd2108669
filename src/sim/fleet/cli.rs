//! The k3s binary on a host of the fleet, beside kubectl: snapshots, tokens, a reset of the cluster.

use super::cluster::Silence;
use super::perform::Trouble;
use super::{Fleet, Life};
use crate::sim::bootstrap::Replica;
use crate::sim::call::Rotate;
use crate::sim::etcd;
use crate::sim::fault::Fault;
use crate::sim::kubectl::{self, Ended, Lines, Target};
use crate::sim::objects;
use crate::sim::pki::PaperPki;
use crate::sim::server::{Backend, PeerReply, Server, Starting};
use crate::sim::settings::{Launch, Settings};
use crate::sim::token::Token;
use crate::sim::tokens;
use crate::sim::world::{Answer, Asked, Files as _};

impl Fleet {
    /// The server that serves on a host.
    fn serving(&self, at: usize) -> Option<&Server> {
        self.hosts.get(at)?.serving()
    }

    /// What a host's own supervisor says to who shows `server/token`; `None` when nobody listens.
    fn own_token(&mut self, at: usize) -> Option<Result<(), &'static str>> {
        let path = self.serving(at)?.settings.path("server/token");
        let token = self.text(at, &path).unwrap_or_default();
        let asked = Asked {
            method: "GET",
            path: "/v1-k3s/token",
            basic: Some(("server", &Token::secret_of(&token))),
            bearer: None,
            body: &[],
        };
        let accepted = matches!(
            self.ask(at, asked),
            Ok(Answer::Said {
                status: 400 | 405,
                ..
            })
        );
        Some(if accepted {
            Ok(())
        } else {
            Err("not authorized")
        })
    }

    /// Authenticates with `server/token`, so that it fails between a rotate and the restart.
    pub(super) fn snapshot(&mut self, at: usize, name: &str) -> Ended {
        let now = self.now;
        let fatal = |why: &str| Ended::bad(1, etcd::unsaved(why, now));
        let accepted = self.own_token(at);
        let backend = self.serving(at).map(|server| server.backend);
        let replica = Replica::of(&self.store);
        let (Some(accepted), Some(backend), Some(host)) =
            (accepted, backend, self.hosts.get_mut(at))
        else {
            return fatal("connection refused");
        };
        host.changes += 1;
        if let Err(why) = accepted {
            return fatal(why);
        }
        if backend != Backend::Etcd {
            return fatal("etcd datastore disabled");
        }
        let launch = Launch {
            args: vec!["server".to_owned()],
            ..Launch::default()
        };
        let Ok(settings) = Settings::resolve(&host.disk, &launch) else {
            return fatal("the configuration cannot be read");
        };
        let file = format!("{name}-{}-{}", host.name, host.time(now).0 / 1_000_000);
        let path = settings.path(&format!("server/db/snapshots/{file}"));
        let text = replica.render();
        if host.has(Fault::SnapshotFails) || host.disk.write(&path, text.as_bytes(), 0o600).is_err()
        {
            return fatal("failed to save snapshot: no space left on device");
        }
        Ended {
            status: 0,
            stdout: String::new(),
            stderr: etcd::saved(&settings, &file, host.time(now)),
        }
    }

    /// `secrets-encrypt status`, which authenticates as a snapshot does.
    pub(super) fn encryption(&mut self, at: usize) -> Ended {
        let now = self.now;
        match self.own_token(at) {
            Some(Ok(())) => {
                Ended::fine("Encryption Status: Disabled, no configuration file found\n")
            }
            Some(Err(why)) => Ended::bad(1, etcd::unsaved(why, now)),
            None => Ended::bad(1, etcd::unsaved("connection refused", now)),
        }
    }

    /// `token rotate`: a PUT that shows `server/token` unless it is told what to show.
    pub(super) fn rotate_by_cli(&mut self, at: usize, asked: &Rotate) -> Result<Ended, Trouble> {
        let now = self.now;
        let path = format!("{}/server/token", asked.data_dir);
        let shown = asked.token.clone().or_else(|| self.text(at, &path));
        let Some(shown) = shown else {
            let why = format!("open {path}: no such file or directory");
            return Ok(tokens::rotated("", Err(why), now));
        };
        let address = asked.server.trim_start_matches("https://").to_owned();
        let refused = || Err(format!("dial tcp {address}: connect: connection refused"));
        let Some(peer) = self.supervisor(at, &asked.server) else {
            return Ok(tokens::rotated(&shown, refused(), now));
        };
        let body = tokens::body(&asked.new);
        let put = Asked {
            method: "PUT",
            path: "/v1-k3s/token",
            basic: Some(("server", &Token::secret_of(&shown))),
            bearer: None,
            body: &body,
        };
        let answer = match self.put(at, peer, put)? {
            Ok(answer) => Ok(answer),
            Err(Silence::Refused) => refused(),
        };
        Ok(tokens::rotated(&shown, answer, now))
    }

    /// What kubectl lists a line each, with the admin's kubeconfig.
    pub(super) fn lines(&self, at: usize, lines: Lines, target: &Target) -> Ended {
        if *target != Target::Admin {
            let why = "error: You must be logged in to the server (Unauthorized)";
            return Ended::bad(1, why);
        }
        if let Err(ended) = self.apiserver(at) {
            return ended;
        }
        let host = self.hosts.get(at);
        let Some((host, server)) = host.and_then(|host| Some((host, host.serving()?))) else {
            return kubectl::refused("127.0.0.1:6443");
        };
        objects::lines(lines, &server.settings, &host.disk, &self.store, self.now)
    }

    /// `server --cluster-reset`, as a process of its own; `None` when this is not one that has a model.
    pub(super) fn reset(&mut self, at: usize, args: &[String]) -> Option<Ended> {
        let others = |host: &super::Host| host.is_member && host.life != Life::Down;
        if self.hosts.iter().any(others) {
            // Two clusters would live side by side.
            return None;
        }
        let (now, version) = (self.now, self.program(at));
        let launch = Launch {
            args: args.to_vec(),
            ..Launch::default()
        };
        let host = self.hosts.get_mut(at)?;
        let settings = Settings::resolve(&host.disk, &launch).ok()?;
        let restores = settings.is_set("cluster-reset")
            && settings.flag("cluster-reset-restore-path").is_some()
            && Backend::of(&settings) == Backend::Etcd;
        if !restores {
            return None;
        }
        host.changes += 1;
        host.disk.now = host.time(now);
        let name = host.name.as_str().to_owned();
        let done = Starting {
            now: host.time(now),
            files: &mut host.disk,
            store: &mut self.store,
            pki: &mut PaperPki { seed: self.seed },
            settings,
            version,
            peer: PeerReply::Away("nobody was asked".to_owned()),
            host: &name,
        }
        .reset();
        for (other, host) in self.hosts.iter_mut().enumerate() {
            host.is_member = other == at;
        }
        let lines = done.lines.iter().map(|line| line.logged() + "\n");
        Some(Ended {
            status: done.status,
            stdout: String::new(),
            stderr: lines.collect(),
        })
    }
}
