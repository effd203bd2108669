//! What leaves the hosts: OLD to whoever may decrypt it, with a note on restores, and the snapshot itself where asked for.

use camino::Utf8PathBuf;

use super::{etcd, sqlite};
use crate::facts::{Paths, Probe};
use crate::k3s::install::Datastore;
use crate::k3s::phase::Standing;
use crate::k3s::restore::{self, Restore, note};
use crate::k3s::token;
use crate::model::HostName;
use crate::op::custody::{CustodyError, Deposit, Parcel, Rotation, Source};
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::steps::look::{Cluster, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::WriteFile;

/// What is looked at for it.
pub(super) struct Desk<'a> {
    pub(super) probe: &'a Probe<'a>,
    pub(super) cluster: &'a Cluster,
    pub(super) standing: &'a Standing,
    /// The snapshot's name, with its tag.
    pub(super) name: &'a str,
}

impl Desk<'_> {
    fn rotation(&self, old: &Secret) -> Rotation {
        Rotation {
            tag: token::tag(&self.standing.new),
            pairing: token::pairing(old, &self.standing.new),
        }
    }

    /// The server with the snapshot.
    fn holder(&self) -> Option<&ServerSeen> {
        let copied = |server: &&ServerSeen| sqlite::is_there(&server.seen, self.name);
        etcd::holder(self.cluster, self.name).or_else(|| self.cluster.servers.iter().find(copied))
    }

    /// Keeps OLD, in this folder or the usual one.
    pub(super) fn keep(&self, folder: Option<Utf8PathBuf>, taken: &mut Proposal) {
        let (Some(old), Some(first)) = (&self.standing.old, self.cluster.servers.first()) else {
            taken.notes.push(FORGOTTEN.to_owned());
            return;
        };
        let rotation = self.rotation(old);
        let servers: Vec<_> = self
            .cluster
            .servers
            .iter()
            .map(|server| server.seen.host.clone())
            .collect();
        let (snapshots, to_come) = (self.snapshots(taken), self.to_come(taken));
        let of_restore: Vec<_> = self.cluster.servers.iter().map(of_restore).collect();
        let restore = Restore {
            run: &self.probe.options().run,
            tag: &rotation.tag,
            agent_token: self.cluster.has_agent_token(),
            datastore: first.seen.install.datastore,
            servers: &of_restore,
            snapshots: &snapshots,
            to_come: to_come.as_ref(),
        };
        let deposit = Deposit {
            folder,
            note: note(&restore),
            rotation,
            servers,
            snapshots,
            to_come,
            old: old.clone(),
        };
        match self.probe.custody().holds(&deposit) {
            Ok(true) => {}
            Ok(false) => {
                let why = "keep the old token off the hosts, encrypted";
                taken
                    .ops
                    .push(Op::root(&first.seen.host, why, Act::Keep(deposit)));
            }
            Err(error) => taken.unmet.push(unmet(error)),
        }
    }

    /// Lets a copy of sqlite have OLD beside it, encrypted as the kept one is.
    ///
    /// # Errors
    /// When its server cannot be asked.
    pub(super) async fn beside(&self, taken: &mut Proposal) -> Result<(), StepError> {
        let begun = self.begun(taken);
        let holder = begun.or_else(|| self.holder()).filter(|it| is_sqlite(it));
        let Some((server, old)) = holder.zip(self.standing.old.as_ref()) else {
            return Ok(());
        };
        let (host, path) = (&server.seen.host, sqlite::token(&server.seen, self.name));
        if begun.is_none() {
            let paths = Paths([path.clone()].into());
            let stats = self.probe.get_now(host, paths).await?;
            if stats.get(&path).is_some_and(Option::is_some) {
                return Ok(());
            }
        }
        match self.probe.custody().seal(old) {
            Ok(sealed) => {
                let file = WriteFile::private(path, Content::new(sealed));
                let why = "let the copy have its token beside it, encrypted";
                taken.ops.push(Op::root(host, why, Act::WriteFile(file)));
            }
            Err(error) => taken.unmet.push(unmet(error)),
        }
        Ok(())
    }

    /// Snapshots that need OLD: all that are there, and the one that is about to be taken where its name is known.
    fn snapshots(&self, taken: &Proposal) -> Vec<(HostName, Utf8PathBuf)> {
        let new = format!("after-rotation-{}", token::tag(&self.standing.new));
        let mut all = Vec::new();
        for server in &self.cluster.servers {
            let folder = &server.seen.install.snapshots;
            let names = server.seen.known.folders.get(folder).into_iter().flatten();
            let old = names.filter(|name| !name.starts_with(&new) && !name.starts_with('.'));
            all.extend(old.map(|name| (server.seen.host.clone(), folder.join(name))));
        }
        let copied = self.begun(taken).filter(|it| is_sqlite(it));
        all.extend(copied.map(|server| {
            let folder = sqlite::folder(&server.seen, self.name);
            (server.seen.host.clone(), folder)
        }));
        all
    }

    /// The server on which one is about to be taken.
    fn begun(&self, taken: &Proposal) -> Option<&ServerSeen> {
        let op = taken.ops.iter().find(|op| op.act.changes())?;
        self.cluster.server(&op.on)
    }

    /// How the path of the snapshot begins that is about to be taken, where K3s gives the rest of its name.
    fn to_come(&self, taken: &Proposal) -> Option<(HostName, Utf8PathBuf)> {
        let seen = &self.begun(taken).filter(|it| !is_sqlite(it))?.seen;
        let begins = seen.install.snapshots.join(format!("{}-", self.name));
        Some((seen.host.clone(), begins))
    }

    /// Brings the snapshot here.
    pub(super) fn fetch(&self, taken: &mut Proposal) {
        let Some(server) = self.begun(taken).or_else(|| self.holder()) else {
            return;
        };
        let Some(old) = &self.standing.old else {
            taken.notes.push(FORGOTTEN.to_owned());
            return;
        };
        let seen = &server.seen;
        for parcel in self.parcels(server, &self.rotation(old)) {
            match self.probe.custody().has(&parcel) {
                Ok(true) => {}
                Ok(false) => {
                    let why = match &parcel.source {
                        Source::File(_) => format!("bring {} here", parcel.begins),
                        Source::In(_) => {
                            format!(
                                "bring the snapshot here whose name begins with {}",
                                parcel.begins
                            )
                        }
                    };
                    let fetch = Op::root(&seen.host, why, Act::Fetch(parcel));
                    taken.ops.push(fetch);
                }
                Err(error) => taken.unmet.push(unmet(error)),
            }
        }
    }

    /// A snapshot is one file, a copy of sqlite two.
    fn parcels(&self, server: &ServerSeen, rotation: &Rotation) -> Vec<Parcel> {
        let seen = &server.seen;
        let parcel = |begins, source| Parcel {
            rotation: rotation.clone(),
            begins,
            source,
        };
        if seen.install.datastore != Datastore::Sqlite {
            let folder = seen.install.snapshots.clone();
            return vec![parcel(format!("{}-", self.name), Source::In(folder))];
        }
        let folder = sqlite::folder(seen, self.name);
        let files = sqlite::FILES.iter().zip(["db", "wal"]);
        let files = files.map(|(file, ends)| {
            let begins = format!("{}-sqlite.{ends}", self.name);
            parcel(begins, Source::File(folder.join(file)))
        });
        files.collect()
    }
}

const FORGOTTEN: &str = "the old token is not known any more: neither it nor a snapshot that is paired with it is brought off the \
hosts by this run";

fn is_sqlite(server: &ServerSeen) -> bool {
    server.seen.install.datastore == Datastore::Sqlite
}

fn of_restore(server: &ServerSeen) -> restore::Server<'_> {
    let seen = &server.seen;
    let own = seen.install.data("server/token");
    let mut surfaces = Vec::new();
    for surface in seen.install.surfaces.iter().filter(|it| it.file != own) {
        let named = (surface.place, surface.file.as_path());
        if !surfaces.contains(&named) {
            surfaces.push(named);
        }
    }
    restore::Server {
        host: &seen.host,
        k3s: &seen.k3s.path,
        data_dir: &seen.install.data_dir,
        surfaces,
    }
}

fn unmet(error: CustodyError) -> Unmet {
    Unmet::new("cannot-be-kept", error.what, error.next)
}
