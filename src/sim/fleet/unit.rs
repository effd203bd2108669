//! A systemd unit: its text as systemd has loaded it, and its state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::HostTime;
use crate::sim::settings::Launch;
use crate::sim::world::Files;

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Stopped.
    Inactive,
    /// The process runs and has not said that it is ready.
    Starting,
    /// Ready.
    Running,
    /// It was told to stop and has not yet.
    Stopping,
    /// It ended and will be started again in a moment.
    AutoRestart,
    /// It ended and stays so.
    Failed,
}

impl State {
    /// `ActiveState` and `SubState`.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Inactive => ("inactive", "dead"),
            Self::Starting => ("activating", "start"),
            Self::Running => ("active", "running"),
            Self::Stopping => ("deactivating", "stop-sigterm"),
            Self::AutoRestart => ("activating", "auto-restart"),
            Self::Failed => ("failed", "failed"),
        }
    }
}

/// What systemd read from the unit's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Program and arguments.
    pub exec: Vec<String>,
    /// `Environment=` assignments.
    pub environment: Vec<String>,
    /// `EnvironmentFile=` paths, without the `-`.
    pub env_files: Vec<String>,
    /// Drop-ins.
    pub drop_ins: Vec<String>,
    /// All text, to see whether the files have changed since.
    text: String,
}

/// One unit of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Such as `k3s.service`.
    pub name: String,
    /// The unit's file.
    pub fragment: String,
    /// As of the last daemon-reload.
    pub loaded: Loaded,
    /// Whether it starts at boot.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it stands.
    pub state: State,
    /// 0 when there is no process.
    pub main_pid: u32,
    /// Automatic restarts since the last start by hand.
    pub n_restarts: u32,
    /// 32 hex digits; another one each start.
    pub invocation: String,
    /// When the process started.
    pub started: Option<HostTime>,
    /// When it said that it is ready.
    #[serde(default)]
    pub ready: Option<HostTime>,
    /// `success` or `exit-code`.
    pub result: String,
}

fn yes() -> bool {
    true
}

/// Values of an assignment list, in systemd's quoting, which is near enough to the shell's.
fn split(text: &str) -> Vec<String> {
    shlex::split(text).unwrap_or_default()
}

impl Loaded {
    /// Reads a unit's file and its drop-ins; `None` when there is no such file.
    #[must_use]
    pub fn read(files: &dyn Files, fragment: &str) -> Option<Self> {
        let mut loaded = Self::default();
        loaded.take(&files.text(fragment)?);
        let directory = format!("{fragment}.d");
        for name in files.list(&directory).unwrap_or_default() {
            let path = format!("{directory}/{name}");
            if let (true, Some(text)) = (name.strip_suffix(".conf").is_some(), files.text(&path)) {
                loaded.take(&text);
                loaded.drop_ins.push(path);
            }
        }
        Some(loaded)
    }

    fn take(&mut self, text: &str) {
        self.text.push_str(text);
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            match line.split_once('=') {
                Some(("ExecStart", "")) => self.exec.clear(),
                Some(("ExecStart", command)) => self.exec = split(command),
                Some(("Environment", "")) => self.environment.clear(),
                Some(("Environment", text)) => self.environment.extend(split(text)),
                Some(("EnvironmentFile", "")) => self.env_files.clear(),
                Some(("EnvironmentFile", path)) => {
                    self.env_files.push(path.trim_start_matches('-').to_owned());
                }
                _ => {}
            }
        }
    }

    /// The process that a start makes, with the variables among its arguments put in: systemd's own are weakest, environment files win over `Environment=`, later ones over earlier.
    #[must_use]
    pub fn launch(&self, files: &dyn Files) -> Launch {
        let mut env = BTreeMap::new();
        let manager = files.text("/etc/systemd/system.conf").unwrap_or_default();
        let given = manager
            .lines()
            .filter_map(|line| line.strip_prefix("DefaultEnvironment="));
        env.extend(given.flat_map(split).filter_map(|text| assignment(&text)));
        let assigned = self
            .environment
            .iter()
            .filter_map(|text| text.split_once('='));
        env.extend(assigned.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for path in &self.env_files {
            let text = files.text(path).unwrap_or_default();
            env.extend(text.lines().filter_map(assignment));
        }
        let expanded = |word: &String| match word.strip_prefix('$') {
            Some(name) => {
                let value = env.get(name).map(String::as_str).unwrap_or_default();
                value.split_whitespace().map(str::to_owned).collect()
            }
            None => vec![word.clone()],
        };
        let args = self.exec.iter().skip(1).flat_map(expanded).collect();
        Launch { args, env }
    }

    /// Whether the files have changed since they were read.
    #[must_use]
    pub fn is_stale(&self, files: &dyn Files, fragment: &str) -> bool {
        Self::read(files, fragment).is_none_or(|now| now != *self)
    }
}

/// `NAME=value`, `NAME='value'` or `NAME="value"`.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let quoted = |mark: char| value.strip_prefix(mark)?.strip_suffix(mark);
    let value = quoted('\'').or_else(|| quoted('"')).unwrap_or(value);
    Some((name.trim().to_owned(), value.to_owned()))
}
