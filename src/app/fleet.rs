//! Who is who, and how they are reached: the inventory with the command line laid over it.

use std::sync::Arc;

use camino::Utf8PathBuf;

use super::books::wrong_fleet;
use super::trouble::Trouble;
use super::{Desk, password, places};
use crate::cli::Reach;
use crate::clock::Clock;
use crate::exit::Exit;
use crate::facts::{Fleet, Member};
use crate::inventory::{Connect, Inventory};
use crate::model::{GroupName, HostName, RunId};
use crate::report::Writer;
use crate::sim::Spec;
use crate::transport::sim::{SimTransport, StateError};
use crate::transport::ssh::{Holds, SshOptions, SshTransport};
use crate::wire::Transport;

/// A way to the hosts that must be closed or kept afterwards.
pub(super) enum Way {
    Ssh(Arc<SshTransport>),
    Sim(SimTransport),
}

/// Groups `server` and `agent` of the inventory, whatever `--limit` says.
pub(super) fn who(inventory: &Inventory) -> Fleet {
    let members = |group: &str| {
        let hosts = GroupName::new(group)
            .ok()
            .and_then(|group| inventory.groups.get(&group));
        hosts
            .into_iter()
            .flatten()
            .map(|host| member(inventory, host))
            .collect()
    };
    Fleet {
        servers: members("server"),
        agents: members("agent"),
    }
}

fn member(inventory: &Inventory, host: &HostName) -> Member {
    let address = inventory
        .hosts
        .get(host)
        .and_then(|host| host.connect.address.clone());
    Member {
        name: host.clone(),
        address: address.unwrap_or_else(|| host.to_string()),
    }
}

/// What the command line says about reaching hosts, where the inventory says nothing.
pub(super) fn lay_over(inventory: &mut Inventory, reach: &Reach) -> Result<(), Trouble> {
    let password = password::read(reach)?;
    for host in inventory.hosts.values_mut() {
        let Connect {
            user,
            private_key,
            become_password,
            ..
        } = &mut host.connect;
        *user = user.take().or_else(|| reach.user.clone());
        *private_key = private_key
            .take()
            .or_else(|| reach.private_key.as_ref().map(ToString::to_string));
        *become_password = become_password.take().or_else(|| password.clone());
    }
    Ok(())
}

impl Way {
    /// A way to a simulated fleet, or to real hosts.
    pub(super) fn open(
        desk: &Desk,
        simulated: Option<(&Spec, Clock)>,
        reach: &Reach,
        inventory: &Inventory,
        state: &Utf8PathBuf,
    ) -> Result<Self, Trouble> {
        match simulated {
            Some((spec, clock)) => SimTransport::open(spec, clock)
                .map(Self::Sim)
                .map_err(unkept),
            None => Self::ssh(desk, reach, inventory, state),
        }
    }

    fn ssh(
        desk: &Desk,
        reach: &Reach,
        inventory: &Inventory,
        state: &Utf8PathBuf,
    ) -> Result<Self, Trouble> {
        let mut options = SshOptions::new(places::sockets(desk, state));
        options.config.clone_from(&reach.ssh_config);
        if let Some(args) = &reach.ssh_common_args {
            options.args = shlex::split(args).ok_or_else(|| {
                Trouble::usage(
                    "--ssh-common-args: a quote is not closed",
                    "close it, then run the same command again",
                )
            })?;
        }
        let hosts = inventory
            .hosts
            .iter()
            .map(|(name, host)| (name.clone(), host.connect.clone()));
        let transport = SshTransport::new(hosts, options).map_err(|error| {
            let why = std::error::Error::source(&error)
                .map_or_else(String::new, |why| format!(": {why}"));
            Trouble::said(
                Exit::Journal,
                format!("{error}{why}"),
                "set XDG_RUNTIME_DIR or --state-dir to a short path that only you can enter",
            )
        })?;
        Ok(Self::Ssh(Arc::new(transport)))
    }

    /// Tries whether a simulated fleet that is to be kept can be.
    pub(super) fn try_keeping(&self) -> Result<(), Trouble> {
        match self {
            Self::Ssh(_) => Ok(()),
            Self::Sim(sim) => sim.can_be_kept().map_err(unkept),
        }
    }

    pub(super) fn transport(&self) -> Arc<dyn Transport> {
        match self {
            Self::Ssh(ssh) => Arc::clone(ssh) as Arc<dyn Transport>,
            Self::Sim(sim) => Arc::new(sim.clone()),
        }
    }

    /// Says which hosts are trusted more than by default.
    pub(super) async fn warn(&self) {
        let Self::Ssh(ssh) = self else { return };
        let lax = ssh.lax_host_keys().await;
        let names = lax
            .iter()
            .take(8)
            .map(|(host, setting)| format!("{host} ({setting})"));
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            let more = lax.len().saturating_sub(names.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let line = format!(
                "your StrictHostKeyChecking lets unknown host keys in: {}{more}",
                names.join(", ")
            );
            Writer::standard().talk(&line).ok();
        }
    }

    /// Keeps other runs off the servers, from whichever workstation. A simulated fleet's own file has a lock.
    pub(super) async fn hold(&self, servers: &[Member], run: &RunId) -> Result<Holds<'_>, Trouble> {
        let Self::Ssh(ssh) = self else {
            return Ok(Holds::default());
        };
        let words = format!("run {run} ({})", places::process());
        let held = ssh.hold(servers.iter().map(|server| &server.name), &words);
        let holds = held.await.map_err(|taken| {
            Trouble::said(
                Exit::Journal,
                format!("another run works on these servers: {} is held by {}", taken.host, taken.by),
                "wait until it has ended, or stop it; when it died its servers are free again after a minute and a half",
            )
        })?;
        for (host, why) in &holds.free {
            let line = format!("nothing keeps a second keyroll off {host}: {why}");
            Writer::standard().talk(&line).ok();
        }
        Ok(holds)
    }

    /// Ends connections, or keeps the simulated fleet: not after a dry run, which leaves even its clock alone.
    pub(super) async fn close(&self, check: bool) -> Result<(), Trouble> {
        match self {
            Self::Ssh(ssh) => {
                ssh.close().await;
                Ok(())
            }
            Self::Sim(sim) => {
                for request in sim.assumed() {
                    let line =
                        format!("assumed, since the simulated fleet has no model of it: {request}");
                    Writer::standard().talk(&line).ok();
                }
                if check {
                    return Ok(());
                }
                sim.save().map_err(unkept)
            }
        }
    }
}

/// What keeps a simulated fleet from being opened or kept.
pub(super) fn unkept(error: StateError) -> Trouble {
    let error = match error {
        StateError::Other(error) => return wrong_fleet(error),
        error => error,
    };
    let why = std::error::Error::source(&error).map_or_else(String::new, |why| format!(": {why}"));
    Trouble::said(
        Exit::Journal,
        format!("{error}{why}"),
        "name another file in `?state=FILE`",
    )
}
