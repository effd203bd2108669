//! What will be replaced or removed is copied first: on a server that was rotated by hand `server/token` may be the
//! only place that holds the new token.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::agent;
use super::examine::examine;
use crate::facts::{Contents, Probe};
use crate::k3s::install::{Kind, Wanted};
use crate::k3s::rescue::Remedy;
use crate::op::{Act, Op};
use crate::steps::look::Seen;
use crate::steps::{Proposal, StepError};
use crate::wire::WriteFile;

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let needed = match seen.install.kind {
        Kind::Server => examine(probe, seen)
            .await?
            .map(|found| found.remedy != Remedy::Nothing),
        Kind::Agent => agent::examine(probe, seen)
            .await?
            .map(|found| found.is_some()),
    };
    match needed {
        Ok(true) => copy(probe, seen).await,
        Ok(false) => Ok(Proposal::default()),
        Err(unmet) => Ok(Proposal::refuse(unmet)),
    }
}

async fn copy(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let folder = match seen.install.kind {
        Kind::Server => "server/.keyroll",
        Kind::Agent => "agent/.keyroll",
    };
    let folder = seen
        .install
        .data(folder)
        .join(format!("rescue-{}", probe.options().run));
    let surfaces = seen
        .install
        .surfaces
        .iter()
        .map(|surface| surface.file.clone());
    let own = ["server/cred/passwd", "server/token"].map(|path| seen.install.data(path));
    let paths: BTreeSet<Utf8PathBuf> = surfaces.chain(own).collect();
    let copies: Vec<(&Utf8PathBuf, Utf8PathBuf)> = paths
        .iter()
        .filter(|path| seen.file(path).is_some())
        .map(|path| (path, folder.join(flat(path))))
        .collect();
    let there = Wanted {
        files: copies.iter().map(|(_, copy)| copy.clone()).collect(),
        ..Wanted::default()
    };
    let there = probe.get(Contents(there)).await?;
    let op = |(path, copy): &(&Utf8PathBuf, Utf8PathBuf)| {
        let content = seen.file(path)?.clone();
        let file = WriteFile::private(copy.clone(), content);
        let is_there = there.files.contains_key(copy)
            && there.files.get(copy)?.as_ref() == Some(&file.content);
        (!is_there).then(|| {
            Op::root(
                &seen.host,
                format!("keep a copy of {path}"),
                Act::WriteFile(file),
            )
        })
    };
    let ops: Vec<Op> = copies.iter().filter_map(op).collect();
    let kept = format!(
        "what is replaced or removed is kept in {folder}, tokens and all: remove it when nothing is missed"
    );
    Ok(Proposal {
        notes: if ops.is_empty() {
            Vec::new()
        } else {
            vec![kept]
        },
        ops,
        ..Proposal::default()
    })
}

/// A path as one name: no two paths have the same.
fn flat(path: &Utf8Path) -> String {
    let path = path.as_str().trim_start_matches('/');
    path.replace('%', "%25").replace('/', "%2F")
}
