//! How a snapshot from before a rotation is restored, for people: what was measured (ha-restore), and what was not. Pure.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::install::Datastore;
use crate::model::{HostName, RunId};

/// What a note tells of.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The run that keeps the old token.
    pub run: &'a RunId,
    /// Tag of the rotation.
    pub tag: &'a str,
    /// The cluster's datastore.
    pub datastore: Datastore,
    /// Its servers.
    pub servers: &'a [HostName],
    /// Snapshots that need the old token.
    pub snapshots: &'a [(HostName, Utf8PathBuf)],
    /// How the path of one begins that is about to be taken.
    pub to_come: Option<&'a (HostName, Utf8PathBuf)>,
    /// The k3s binary.
    pub k3s: &'a Utf8Path,
    /// K3s's data directory.
    pub data_dir: &'a Utf8Path,
    /// The file that the servers take their token from; `None` when nothing is configured.
    pub surface: Option<&'a Utf8Path>,
}

/// The note.
#[must_use]
pub fn note(of: &Restore<'_>) -> String {
    let mut text = head(of);
    match of.datastore {
        Datastore::Etcd | Datastore::Elsewhere => text += &etcd(of),
        Datastore::Sqlite => text += &sqlite(of),
        Datastore::External => text += EXTERNAL,
    }
    text += AFTERWARDS;
    text
}

fn head(of: &Restore<'_>) -> String {
    let servers: Vec<&str> = of.servers.iter().map(HostName::as_str).collect();
    let mut text = format!(
        "What a restore of a snapshot from before this rotation needs

Rotation {}, kept by run {}; servers: {}.
The OLD token is beside this file, encrypted, in old.age. This prints it, and nothing else:
  keyroll escrow show {} --show --identity FILE

These were there before the rotation. They need the OLD token, unless an earlier rotation came after them: those need the
token that was old then (`keyroll escrow list` shows what is kept):
",
        of.tag,
        of.run,
        servers.join(", "),
        of.run
    );
    for (host, path) in of.snapshots {
        writeln!(text, "  {host}: {path}").ok();
    }
    if let Some((host, begins)) = of.to_come {
        writeln!(
            text,
            "  {host}: the one whose path begins with {begins} (the run was about to take it; K3s ends its name with the node's name and the time)"
        )
        .ok();
    }
    if of.snapshots.is_empty() && of.to_come.is_none() {
        text += "  (none was seen)\n";
    }
    writeln!(
        text,
        "So does every other snapshot from before the rotation: only the servers' own folders were looked into, not S3. Those from after it, whose names begin with after-rotation-{}-, need the new one.
",
        of.tag
    )
    .ok();
    text
}

fn etcd(of: &Restore<'_>) -> String {
    let Restore { k3s, data_dir, .. } = of;
    let surface = surface(of);
    format!(
        "How it goes (measured on v1.34.3)
1. Stop K3s on every server.
2. On one server, with OLD on the command line, whatever its configuration says:
     {k3s} server --cluster-reset --cluster-reset-restore-path=SNAPSHOT --token=OLD
   It must end with \"Managed etcd cluster membership has been reset\". With the new token it ends with \"bootstrap data already
   found and encrypted with different token\", and {data_dir}/server/db/etcd has been moved away all the same.
3. {surface}
4. Start K3s there. When it does not start and its journal says that server/cred/passwd is \"newer than datastore\": kill it,
   delete {data_dir}/server/cred/passwd and {data_dir}/server/token{}, and start it again.
5. On each other server do as the command said: back up and delete {data_dir}/server/db, and let it join again, with OLD.
",
        but(of)
    )
}

/// Where nothing is configured `server/token` is the only copy.
fn but(of: &Restore<'_>) -> &'static str {
    if of.surface.is_some() {
        ""
    } else {
        " (not the latter: here it is what K3s takes its token from)"
    }
}

fn sqlite(of: &Restore<'_>) -> String {
    let Restore { data_dir, .. } = of;
    format!(
        "How it goes: a restore of a sqlite copy was NOT measured; this is what K3s's own documentation says
1. Stop K3s.
2. Delete state.db, state.db-wal and state.db-shm in {data_dir}/server/db, and put the copy's state.db there, with its
   state.db-wal beside it when it has one (the names of a copy that was fetched end with -sqlite.db and -sqlite.wal). {data_dir}/server/token must
   hold OLD.
3. {}
4. Start K3s. When it does not start and its journal says that server/cred/passwd is \"newer than datastore\": kill it, delete
   {data_dir}/server/cred/passwd and {data_dir}/server/token{}, and start it again.
",
        surface(of),
        but(of)
    )
}

fn surface(of: &Restore<'_>) -> String {
    match of.surface {
        Some(file) => format!("Put OLD into {file} of every server, in place of the new token."),
        None => format!(
            "Nothing is configured on the servers: {}/server/token must hold OLD.",
            of.data_dir
        ),
    }
}

const EXTERNAL: &str = "How it goes: your database is restored with its own tools, which keyroll did not measure. Every server must then be
configured with OLD before it starts.
";

const AFTERWARDS: &str =
    "Agents that are configured with the new token must be set back to OLD as well, and restarted.
When all is well again, rotate again: OLD was replaced for a reason.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(datastore: Datastore, surface: Option<&str>) -> String {
        let host = HostName::new("s1").unwrap();
        note(&Restore {
            run: &RunId("r1".into()),
            tag: "cea98305",
            datastore,
            servers: std::slice::from_ref(&host),
            snapshots: &[(host.clone(), "/snapshots/daily-1".into())],
            to_come: Some(&(host.clone(), "/snapshots/before-rotation-cea98305-".into())),
            k3s: "/usr/local/bin/k3s".into(),
            data_dir: "/data".into(),
            surface: surface.map(Utf8Path::new),
        })
    }

    #[test]
    fn a_note_names_snapshots_the_measured_steps_and_the_trap() {
        let text = words(Datastore::Etcd, Some("/etc/rancher/k3s/config.yaml"));
        for part in [
            "s1: /snapshots/daily-1",
            "whose names begin with after-rotation-cea98305-,",
            "s1: the one whose path begins with /snapshots/before-rotation-cea98305- (",
            "--cluster-reset-restore-path=SNAPSHOT --token=OLD",
            "delete /data/server/cred/passwd and /data/server/token, and start",
            "Put OLD into /etc/rancher/k3s/config.yaml",
            "escrow show r1",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_was_not_measured_says_so_and_the_only_copy_is_not_deleted() {
        assert!(words(Datastore::Sqlite, Some("/c")).contains("NOT measured"));
        assert!(words(Datastore::External, Some("/c")).contains("did not measure"));
        assert!(words(Datastore::Etcd, None).contains("not the latter"));
    }
}
