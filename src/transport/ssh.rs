//! Carries batches over SSH: one master connection a host, one session a batch. See docs/wire.md.
//!
//! Reads no environment and asks nobody anything: paths, arguments and passwords are handed in.

mod command;
mod entry;
mod exchange;
mod hearing;
mod hold;
mod host_keys;
mod link;
mod master;
mod session;
mod sessions;
mod sudo;
mod trouble;

use std::collections::HashMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::Semaphore;

pub use self::hold::{Holds, Taken};
use self::link::Link;
use crate::inventory::Connect;
use crate::model::HostName;
use crate::wire::{Batch, Response, Transport, TransportError};

/// A Unix socket's path has at most 107 bytes, and ssh appends 17 while it makes one.
const LONGEST_DIR: usize = 107 - 17 - 1 - command::SOCKET_NAME_LEN;

/// How ssh is started.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// The program; `ssh` by default.
    pub program: String,
    /// `-F`: the `ssh_config` to use instead of the user's own.
    pub config: Option<Utf8PathBuf>,
    /// Arguments for every host, before the host's own.
    pub args: Vec<String>,
    /// Where sockets live: a short path to a folder that only its owner can enter; made when missing.
    pub control_dir: Utf8PathBuf,
    /// How long a connect, and the opening of a session, may take; 10 s by default.
    pub connect_timeout: Duration,
    /// How many connects may be under way at once; 8 by default, as sshd drops more than 10 unauthenticated ones.
    pub connects_at_once: usize,
    /// How long a host that is held waits to hear of this run, in whole seconds; 90 s by default.
    pub patience: Duration,
    /// What a batch may take beyond the deadlines of its requests; 30 s by default.
    pub slack: Duration,
}

impl SshOptions {
    /// The defaults, with sockets in this folder.
    #[must_use]
    pub fn new(control_dir: impl Into<Utf8PathBuf>) -> Self {
        Self {
            program: "ssh".to_owned(),
            config: None,
            args: Vec::new(),
            control_dir: control_dir.into(),
            connect_timeout: Duration::from_secs(10),
            connects_at_once: 8,
            patience: Duration::from_secs(90),
            slack: Duration::from_secs(30),
        }
    }
}

/// Why no connection can be made to any host.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The folder for sockets cannot be made or read.
    #[error("cannot use {path} for ssh's control sockets")]
    ControlDir {
        /// The folder.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could enter the folder for sockets, and so use our connections.
    #[error(
        "{path} holds ssh's control sockets, but is not a folder that only you can enter (mode 0700)"
    )]
    Exposed {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A socket in this folder would have a path that the kernel does not take.
    #[error("{path} is too long for ssh's control sockets: at most {LONGEST_DIR} bytes")]
    TooLong {
        /// The folder.
        path: Utf8PathBuf,
    },
}

/// Carries batches over SSH.
pub struct SshTransport {
    links: HashMap<HostName, Link>,
    options: SshOptions,
    pace: Semaphore,
}

impl SshTransport {
    /// A transport to these hosts. Connects to none of them yet.
    ///
    /// # Errors
    /// When the folder for sockets is not there, not private, or its path is too long.
    pub fn new(
        hosts: impl IntoIterator<Item = (HostName, Connect)>,
        options: SshOptions,
    ) -> Result<Self, SetupError> {
        make_private(&options.control_dir)?;
        let links = hosts
            .into_iter()
            .map(|(host, connect)| (host.clone(), Link::new(host, connect)))
            .collect();
        let pace = Semaphore::new(options.connects_at_once.max(1));
        Ok(Self {
            links,
            options,
            pace,
        })
    }

    /// Hosts whose unknown keys the user's own settings accept, with the setting (`no` or `accept-new`): to be
    /// told at the start. Connects to none of them.
    pub async fn lax_host_keys(&self) -> Vec<(HostName, &'static str)> {
        let ask = |link| async move {
            // A few local processes at a time; the semaphore is never closed.
            let _permit = self.pace.acquire().await;
            host_keys::lax(link, &self.options).await
        };
        let settings = join_all(self.links.values().map(ask)).await;
        let mut lax: Vec<_> = self
            .links
            .keys()
            .zip(settings)
            .filter_map(|(host, setting)| Some((host.clone(), setting?)))
            .collect();
        lax.sort();
        lax
    }

    /// Keeps other runs away from these hosts, wherever they run, until what is returned is dropped. `words` are what
    /// they are told. Nothing is left on a host but an empty-handed file in `/run`.
    ///
    /// # Errors
    /// When another run holds one of them.
    pub async fn hold(
        &self,
        hosts: impl Iterator<Item = &HostName>,
        words: &str,
    ) -> Result<Holds<'_>, Taken> {
        let links = hosts.filter_map(|host| self.links.get(host));
        let mut links: Vec<&Link> = links.collect();
        // The same in every inventory that lists them.
        links.sort_by_key(|link| command::address(&link.host, &link.connect).to_owned());
        hold::hold(&links, &self.options, &self.pace, words).await
    }

    /// Ends the connections that this transport opened; those of an earlier run are left.
    pub async fn close(&self) {
        join_all(self.links.values().map(|link| async {
            let _permit = self.pace.acquire().await;
            link.close(&self.options).await;
        }))
        .await;
    }
}

impl Transport for SshTransport {
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
        async move {
            let link = self
                .links
                .get(host)
                .ok_or_else(|| TransportError::Unreachable {
                    host: host.clone(),
                    why: "it is not in the inventory".to_owned(),
                    hint: "add it to the inventory, or correct its name".to_owned(),
                })?;
            exchange::exec(link, &self.options, &self.pace, batch).await
        }
        .boxed()
    }
}

/// Makes a folder that only we can enter, or checks the one that is there.
fn make_private(path: &Utf8Path) -> Result<(), SetupError> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let failed = |source| SetupError::ControlDir {
        path: path.to_owned(),
        source,
    };
    if path.as_str().len() > LONGEST_DIR {
        return Err(SetupError::TooLong {
            path: path.to_owned(),
        });
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let folder = std::fs::symlink_metadata(path).map_err(failed)?;
    let us = std::fs::metadata("/proc/self").map_err(failed)?;
    if !folder.is_dir() || folder.mode() & 0o077 != 0 || folder.uid() != us.uid() {
        return Err(SetupError::Exposed {
            path: path.to_owned(),
        });
    }
    Ok(())
}
