//! How a snapshot from before a rotation is restored, for people: what was measured (ha-restore), and what was not. Pure.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::install::Datastore;
use super::surface::Place;
use crate::model::{HostName, RunId};

/// Stands in a note for the folder in which its entry is kept, which who keeps it knows.
pub const FOLDER: &str = "@ESCROW-FOLDER@";

/// What a note tells of.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The run that keeps the old token.
    pub run: &'a RunId,
    /// Tag of the rotation.
    pub tag: &'a str,
    /// Whether agents join with a token of their own.
    pub agent_token: bool,
    /// The cluster's datastore.
    pub datastore: Datastore,
    /// Its servers.
    pub servers: &'a [Server<'a>],
    /// Snapshots that need the old token.
    pub snapshots: &'a [(HostName, Utf8PathBuf)],
    /// How the path of one begins that is about to be taken.
    pub to_come: Option<&'a (HostName, Utf8PathBuf)>,
}

/// A server, as a restore finds it.
#[derive(Debug, Clone)]
pub struct Server<'a> {
    /// Which.
    pub host: &'a HostName,
    /// The k3s binary.
    pub k3s: &'a Utf8Path,
    /// K3s's data directory.
    pub data_dir: &'a Utf8Path,
    /// The files that it takes its token from; empty when nothing is configured.
    pub surfaces: Vec<(Place, &'a Utf8Path)>,
}

impl Restore<'_> {
    /// The k3s binary, where all servers have the same.
    fn k3s(&self) -> &str {
        same(self.servers.iter().map(|server| server.k3s)).unwrap_or("k3s")
    }

    /// The data directory, where all servers have the same.
    fn data(&self) -> &str {
        same(self.servers.iter().map(|server| server.data_dir)).unwrap_or("DATA")
    }
}

fn same<'a>(mut all: impl Iterator<Item = &'a Utf8Path>) -> Option<&'a str> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first.as_str())
}

/// A snapshot in a note.
#[must_use]
pub fn line(host: &HostName, path: &Utf8Path) -> String {
    format!("  {host}: {path}\n")
}

/// One that is about to be taken, by how its path begins.
#[must_use]
pub fn line_to_come(host: &HostName, begins: &Utf8Path) -> String {
    format!(
        "  {host}: the one whose path begins with {begins} (the run was about to take it; K3s ends its name with the node's name and the time)\n"
    )
}

/// The note.
#[must_use]
pub fn note(of: &Restore<'_>) -> String {
    let mut text = head(of);
    match of.datastore {
        Datastore::Etcd | Datastore::Elsewhere => text += &etcd(of),
        Datastore::Sqlite => text += &sqlite(of),
        Datastore::External => {
            text += EXTERNAL;
            text += &surfaces(of);
        }
    }
    text += AFTERWARDS;
    text
}

fn head(of: &Restore<'_>) -> String {
    let servers = of.servers.iter().map(|server| server.host.as_str());
    let servers: Vec<&str> = servers.collect();
    let mut text = format!(
        "What a restore of a snapshot from before this rotation needs

Rotation {}, kept by run {}; servers: {}.
The OLD token is beside this file, encrypted, in old.age. This prints it, and nothing else:
  keyroll escrow show {} --dir {FOLDER} --show --identity FILE
Without keyroll, in the folder of this file: age -d -i FILE old.age

These were there before the rotation. They need the OLD token, unless an earlier rotation came after them: those need the
token that was old then (`keyroll escrow list` shows what is kept):
",
        of.tag,
        of.run,
        servers.join(", "),
        of.run
    );
    for (host, path) in of.snapshots {
        text += &line(host, path);
    }
    if let Some((host, begins)) = of.to_come {
        text += &line_to_come(host, begins);
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
    let (k3s, data) = (of.k3s(), of.data());
    format!(
        "How it goes. Measured on v1.34.3, of three servers with the token in config.yaml: steps 3 and 4, on one of them. What the other
servers do in step 5 was NOT measured; it is what K3s says at the end of step 3, and what was seen of servers that join in
other cases.
1. Stop K3s on every server.
2. {}3. On one server with etcd, with OLD on the command line too, and with what else its unit gives K3s, such as --data-dir. K3s
   refuses it where `server:` (K3S_URL) is configured: take a server that has none, or take it out there until step 5:
     {k3s} server --cluster-reset --cluster-reset-restore-path=SNAPSHOT --token=OLD
{}   It must end with \"Managed etcd cluster membership has been reset\". With the new token it ends with \"bootstrap data already
   found and encrypted with different token\", and {data}/server/db/etcd has been moved away all the same.
4. Start K3s there. When it does not start and its journal says that server/cred/passwd is \"newer than datastore\": kill it,
   delete {data}/server/cred/passwd and {data}/server/token{}, and start it again.
{}5. On each other server, one at a time, do as the command said: back up and delete {data}/server/db, and let it join again, with
   OLD. {}Where one does not start and its journal says \"newer than datastore\", do as in step 4.
",
        surfaces(of),
        files(of),
        but(of),
        if of.agent_token { SAVE } else { "" },
        joins(of)
    )
}

/// What a start writes that takes an agent token is in no datastore (measured: sqlite-agent-token).
const SAVE: &str = "   The servers have an agent token of their own: before anything else is restarted run `keyroll heal -i INVENTORY`, with this
   server alone in the inventory. Without it the start after this one can be fatal, with the same words.
";

/// Where nothing is configured `server/token` is the only copy.
fn but(of: &Restore<'_>) -> String {
    let bare = of.servers.iter().filter(|it| it.surfaces.is_empty());
    let bare: Vec<&str> = bare.map(|server| server.host.as_str()).collect();
    if bare.is_empty() {
        return String::new();
    }
    format!(
        " (not the latter on {}: there it is what K3s takes its token from)",
        bare.join(", ")
    )
}

/// A server without a configured token takes the one for its join from nowhere: its data and the token in it are of before.
fn joins(of: &Restore<'_>) -> String {
    let bare = of.servers.iter().filter(|it| it.surfaces.is_empty());
    let bare: Vec<&str> = bare.map(|server| server.host.as_str()).collect();
    if bare.is_empty() {
        return String::new();
    }
    format!(
        "Where nothing is configured ({}) write `token: OLD` into its config.yaml for that,
   and take it out when it has joined. ",
        bare.join(", ")
    )
}

/// A file that `token-file` names beats the command line (measured: agent-precedence).
fn files(of: &Restore<'_>) -> String {
    let named = of.servers.iter().flat_map(|server| {
        let files = server.surfaces.iter();
        let files = files.filter(|(place, _)| *place == Place::TokenFile);
        files.map(|(_, file)| format!("{file} of {}", server.host))
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return String::new();
    }
    format!(
        "   A token-file beats the command line: with the new token still in {} the command would take that one.
",
        named.join(", ")
    )
}

fn sqlite(of: &Restore<'_>) -> String {
    let data = of.data();
    format!(
        "How it goes: a restore of a sqlite copy was NOT measured; this is what K3s's own documentation says
1. Stop K3s.
2. Delete state.db, state.db-wal and state.db-shm in {data}/server/db, and put the copy's state.db there, with its
   state.db-wal beside it when it has one (the names of a copy that was fetched end with -sqlite.db and -sqlite.wal). {data}/server/token must
   hold OLD, which is in the copy's token.age on the server too, encrypted as in old.age.
3. {}4. Start K3s. When it does not start and its journal says that server/cred/passwd is \"newer than datastore\": kill it, delete
   {data}/server/cred/passwd and {data}/server/token{}, and start it again.
",
        surfaces(of),
        but(of)
    )
}

/// What each server takes its token from.
fn surfaces(of: &Restore<'_>) -> String {
    let mut text =
        "Put OLD in place of the new token, wherever a server takes its token from:\n".to_owned();
    for server in of.servers {
        let Server { host, data_dir, .. } = server;
        if server.surfaces.is_empty() {
            writeln!(
                text,
                "     {host}: {data_dir}/server/token must hold OLD (nothing is configured)"
            )
            .ok();
        }
        for (place, file) in &server.surfaces {
            let reload = if place.is_unit_text() {
                ", then: systemctl daemon-reload"
            } else {
                ""
            };
            writeln!(text, "     {host}: {file}{reload}").ok();
        }
    }
    if of.data() == "DATA" {
        text += "   DATA below is K3s's data directory:\n";
        for Server { host, data_dir, .. } in of.servers {
            writeln!(text, "     {host}: {data_dir}").ok();
        }
    }
    text
}

const EXTERNAL: &str = "How it goes: your database is restored with its own tools, which keyroll did not measure. Before
every server starts it must be configured with OLD.
";

const AFTERWARDS: &str =
    "Agents that are configured with the new token must be set back to OLD as well, and restarted.
When all is well again, rotate again: OLD was replaced for a reason.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(datastore: Datastore, surfaces: &[&[(Place, &str)]]) -> String {
        let hosts = ["s1", "s2", "s3"].map(|name| HostName::new(name).unwrap());
        let servers = hosts.iter().zip(surfaces).map(|(host, surfaces)| Server {
            host,
            k3s: "/usr/local/bin/k3s".into(),
            data_dir: "/data".into(),
            surfaces: surfaces
                .iter()
                .map(|(place, file)| (*place, Utf8Path::new(*file)))
                .collect(),
        });
        let servers: Vec<Server<'_>> = servers.collect();
        note(&Restore {
            run: &RunId("r1".into()),
            tag: "cea98305",
            agent_token: false,
            datastore,
            servers: &servers,
            snapshots: &[(hosts[0].clone(), "/snapshots/daily-1".into())],
            to_come: Some(&(
                hosts[0].clone(),
                "/snapshots/before-rotation-cea98305-".into(),
            )),
        })
    }

    const CONFIG: (Place, &str) = (Place::Config, "/etc/rancher/k3s/config.yaml");

    #[test]
    fn a_note_names_snapshots_the_measured_steps_and_the_trap() {
        let text = words_of(Datastore::Etcd, &[&[CONFIG]]);
        for part in [
            "s1: /snapshots/daily-1",
            "whose names begin with after-rotation-cea98305-,",
            "s1: the one whose path begins with /snapshots/before-rotation-cea98305- (",
            "/usr/local/bin/k3s server --cluster-reset --cluster-reset-restore-path=SNAPSHOT --token=OLD",
            "delete /data/server/cred/passwd and /data/server/token, and start",
            "s1: /etc/rancher/k3s/config.yaml\n",
            "escrow show r1 --dir @ESCROW-FOLDER@ --show",
            "age -d -i FILE old.age",
            "in step 5 was NOT measured",
            "do as in step 4",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("token-file"), "{text}");
        assert!(!text.contains("token: OLD"), "{text}");
    }

    #[test]
    fn with_an_agent_token_what_the_start_wrote_is_saved_first() {
        let restore = Restore {
            run: &RunId("r1".into()),
            tag: "cea98305",
            agent_token: true,
            datastore: Datastore::Etcd,
            servers: &[],
            snapshots: &[],
            to_come: None,
        };
        let text = note(&restore);
        let at = |part: &str| text.find(part).unwrap();
        assert!(
            at("keyroll heal -i INVENTORY") < at("5. On each other server"),
            "{text}"
        );
    }

    #[test]
    fn every_server_is_named_with_what_it_takes_its_token_from() {
        let text = words_of(
            Datastore::Etcd,
            &[
                &[(Place::TokenFile, "/opt/cfg/tok"), CONFIG],
                &[(Place::Argument, "/etc/systemd/system/k3s.service")],
                &[],
            ],
        );
        for part in [
            "s1: /opt/cfg/tok\n",
            "s1: /etc/rancher/k3s/config.yaml\n",
            "s2: /etc/systemd/system/k3s.service, then: systemctl daemon-reload\n",
            "s3: /data/server/token must hold OLD (nothing is configured)\n",
            "A token-file beats the command line: with the new token still in /opt/cfg/tok of s1 ",
            "(not the latter on s3: there",
            "Where nothing is configured (s3) write `token: OLD` into its config.yaml",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // All of it before the command, which takes the datastore away when it finds the new token.
        let at = |part: &str| text.find(part).unwrap();
        assert!(at("s3: /data/server/token") < at("--cluster-reset"));
    }

    #[test]
    fn what_was_not_measured_says_so_and_the_only_copy_is_not_deleted() {
        assert!(words_of(Datastore::Sqlite, &[&[CONFIG]]).contains("NOT measured"));
        assert!(words_of(Datastore::External, &[&[CONFIG]]).contains("did not measure"));
        assert!(words_of(Datastore::Etcd, &[&[]]).contains("not the latter on s1"));
    }
}
