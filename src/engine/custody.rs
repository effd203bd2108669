//! Brings things from hosts, and keeps them off the hosts: through the place that was handed in.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::perform::Performed;
use super::{Shared, StopLevel, failure};
use crate::event::Failure;
use crate::exit::Exit;
use crate::facts::{Contents, Digest, FactError, Paths, Piece};
use crate::k3s::install::Wanted;
use crate::model::HostName;
use crate::op::Op;
use crate::op::custody::{CustodyError, Deposit, Found, Parcel, Source};

/// Bytes of a piece: over a line that carries 20 KB a second it comes within its deadline.
const PIECE: u32 = 2 << 20;

/// Why it was not done.
enum Trouble {
    Host(FactError),
    Here(CustodyError),
    Gone(String),
    Stopped,
}

impl From<FactError> for Trouble {
    fn from(error: FactError) -> Self {
        Self::Host(error)
    }
}

impl From<CustodyError> for Trouble {
    fn from(error: CustodyError) -> Self {
        Self::Here(error)
    }
}

/// Keeps a deposit, with the whole name of the snapshot that was taken right before.
pub(super) async fn keep(shared: &Shared, deposit: &Deposit) -> (Performed, Option<String>) {
    let mut deposit = deposit.clone();
    if let Some((host, begins)) = deposit.to_come.clone()
        && let (Some(folder), Some(name)) = (begins.parent(), begins.file_name())
        && let Ok(path) = newest(shared, &host, folder, name).await
    {
        deposit.has_come(path);
    }
    match shared.scope.custody.keep(&deposit) {
        Ok(said) => (Performed::Done, Some(said)),
        Err(error) => (Performed::Failed(here(error)), None),
    }
}

/// Fetches a file in pieces.
pub(super) async fn fetch(
    shared: &Shared,
    op: &Op,
    parcel: &Parcel,
) -> (Performed, Option<String>) {
    match pieces(shared, op, parcel).await {
        Ok(place) => (
            Performed::Done,
            Some(format!("the snapshot was brought to {place}")),
        ),
        Err(trouble) => (Performed::Failed(failed(trouble)), None),
    }
}

async fn pieces(shared: &Shared, op: &Op, parcel: &Parcel) -> Result<String, Trouble> {
    let found = find(shared, op, parcel).await?;
    let mut incoming = shared.scope.custody.receive(parcel, &found)?;
    while incoming.have() < found.size {
        if shared.level() >= StopLevel::FinishOps {
            return Err(Trouble::Stopped);
        }
        let (at, skip) = (
            incoming.have() / u64::from(PIECE),
            incoming.have() % u64::from(PIECE),
        );
        let piece = Piece {
            path: found.path.clone(),
            size: PIECE,
            at,
        };
        let bytes = shared.scope.look(&op.on, piece).await?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let Some(next) = bytes.bytes().get(skip..).filter(|next| !next.is_empty()) else {
            return Err(Trouble::Gone(format!(
                "{} became shorter while it was fetched",
                found.path
            )));
        };
        incoming.append(next)?;
    }
    Ok(incoming.finish()?)
}

/// Finds the file on its host, with its length and digest.
async fn find(shared: &Shared, op: &Op, parcel: &Parcel) -> Result<Found, Trouble> {
    let path = match &parcel.source {
        Source::File(path) => path.clone(),
        Source::In(folder) => newest(shared, &op.on, folder, &parcel.begins).await?,
    };
    let own = path.file_name().unwrap_or_default();
    let name = match &parcel.source {
        Source::File(_) => parcel.begins.clone(),
        Source::In(_) => own.to_owned(),
    };
    let stats = Paths(BTreeSet::from([path.clone()]));
    let stats = shared.scope.look(&op.on, stats).await?;
    let Some(stat) = stats.into_values().flatten().next() else {
        return Err(Trouble::Gone(format!("{path} is not there any more")));
    };
    let digest = shared.scope.look(&op.on, Digest(path.clone())).await?;
    Ok(Found {
        host: op.on.clone(),
        path,
        name,
        size: stat.size,
        digest,
    })
}

async fn newest(
    shared: &Shared,
    host: &HostName,
    folder: &Utf8Path,
    begins: &str,
) -> Result<Utf8PathBuf, Trouble> {
    let wanted = Wanted {
        folders: BTreeSet::from([folder.to_owned()]),
        ..Wanted::default()
    };
    let known = shared.scope.look(host, Contents(wanted)).await?;
    let names = known.folders.into_values().flatten();
    let newest = names.filter(|name| name.starts_with(begins)).max();
    newest.map(|name| folder.join(name)).ok_or_else(|| {
        Trouble::Gone(format!(
            "no snapshot whose name begins with {begins} is in {folder} on {host}"
        ))
    })
}

fn failed(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Host(error) => failure::of_fact(&error),
        Trouble::Here(error) => here(error),
        Trouble::Gone(what) => {
            Failure::task(what, "run the same command again; keyroll looks first")
        }
        Trouble::Stopped => Failure {
            what: vec!["stopped by the user before the snapshot was whole".to_owned()],
            next: vec!["run the same command to go on with it".to_owned()],
            exit: Exit::Stopped,
        },
    }
}

fn here(error: CustodyError) -> Failure {
    Failure::task(error.what, error.next)
}
