//! `k3s server --cluster-reset --cluster-reset-restore-path=FILE`: puts a snapshot in the place of the datastore.

use std::io;

use super::Failure;
use super::start::{End, Starting};
use crate::sim::bootstrap::{self, Replica};
use crate::sim::world::{Datastore as _, Level, Line};

/// Says until the next start that a reset was done.
pub(super) const FLAG: &str = "server/db/reset-flag";
/// Where the data of the former member go; the time follows.
const FORMER: &str = "server/db/etcd-old";

/// How a reset went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// What it logged.
    pub lines: Vec<Line>,
    /// Its exit status.
    pub status: i32,
}

impl Starting<'_> {
    /// Restores the snapshot that the settings name, and ends.
    #[must_use]
    pub fn reset(mut self) -> Reset {
        let mut lines = Vec::new();
        let status = match self.restore(&mut lines) {
            Ok(()) => 0,
            Err(End(failure, text)) => {
                let late = failure == Failure::Late;
                let level = if late { Level::Error } else { Level::Fatal };
                lines.push(Line::new(self.now, level, text));
                if late {
                    lines.push(Line::new(self.now, Level::Fatal, "context canceled"));
                }
                1
            }
        };
        Reset { lines, status }
    }

    fn restore(&mut self, lines: &mut Vec<Line>) -> Result<(), End> {
        let path = self.settings.flag("cluster-reset-restore-path");
        let path = path.unwrap_or_default().to_owned();
        let text = self.files.text(&path).unwrap_or_default();
        let Ok(snapshot) = serde_json::from_str::<Replica>(&text) else {
            let text = format!("Error: etcd: snapshot path does not exist: {path}");
            return Err(End(Failure::Early, text));
        };
        self.put_in_place(&snapshot)?;
        let secret = self.secret();
        let passwd = self.write_passwd(&secret)?;
        let ca = self.write_ca()?;
        self.write_tokens(&ca, &passwd)?;
        let now = self.now;
        let mut info = |text: String| lines.push(Line::new(now, Level::Info, text));
        if snapshot.get(&crate::sim::token::key(&secret)).is_none() {
            for (whose, file) in [("Server", "token"), ("Agent", "agent-token")] {
                let path = self.settings.path(&format!("server/{file}"));
                info(format!("{whose} node token is available at {path}"));
            }
            return self.save(&secret);
        }
        let kept = self.keep_certificates(&ca)?;
        info("Managed etcd cluster bootstrap already complete and initialized".to_owned());
        info("Starting etcd for new cluster, cluster-reset=true".to_owned());
        info(format!(
            "Cluster reset: backing up certificates directory to {kept}"
        ));
        lines.push(Line::new(self.now, Level::Error, DONE));
        Ok(self.files.write(&self.settings.path(FLAG), b"", 0o600)?)
    }

    fn stamp(&self) -> i64 {
        self.now.0 / 1_000_000
    }

    /// The former member is moved away, the snapshot becomes the datastore.
    fn put_in_place(&mut self, snapshot: &Replica) -> io::Result<()> {
        if let Some(former) = Replica::read(self.files, &self.settings) {
            let away = format!("{FORMER}-{}", self.stamp());
            former.write_below(&away, self.files, &self.settings)?;
        }
        for key in self.store.list("/bootstrap/") {
            self.store.delete(&key);
        }
        for key in snapshot.list("/bootstrap/") {
            let value = snapshot.get(&key).unwrap_or_default();
            self.store.put(&key, value);
        }
        snapshot.write(self.files, &self.settings)
    }

    fn keep_certificates(&mut self, ca: &str) -> io::Result<String> {
        let kept = self.settings.path(&format!("server/tls-{}", self.stamp()));
        let name = bootstrap::CA.rsplit('/').next().unwrap_or_default();
        self.files
            .write(&format!("{kept}/{name}"), ca.as_bytes(), 0o644)?;
        Ok(kept)
    }
}

const DONE: &str = "Shutdown request received: \"Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes\"";
