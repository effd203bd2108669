//! Orders to systemd: start, stop, restart, kill, daemon-reload.

use std::time::Duration;

use super::perform::{Reply, ran};
use super::{Fleet, Loaded, State};
use crate::model::HostName;
use crate::sim::fault::Fault;
use crate::wire::Response;

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb<'a> {
    Restart(&'a str),
    Start(&'a str),
    Stop(&'a str),
    Kill(&'a str),
    ResetFailed(&'a str),
    Enable(&'a str),
    Disable(&'a str),
    DaemonReload,
}

/// An order and whether it waits for its job.
pub(super) fn parse<'a>(words: &[&'a str]) -> Option<(Verb<'a>, bool)> {
    let blocks = !words.contains(&"--no-block");
    let plain: Vec<&str> = words
        .iter()
        .copied()
        .filter(|w| *w != "--no-block")
        .collect();
    let verb = match plain.as_slice() {
        ["daemon-reload"] => Verb::DaemonReload,
        ["restart", unit] => Verb::Restart(unit),
        ["start", unit] => Verb::Start(unit),
        ["stop", unit] => Verb::Stop(unit),
        ["enable", unit] => Verb::Enable(unit),
        ["disable", unit] => Verb::Disable(unit),
        ["reset-failed", unit] => Verb::ResetFailed(unit),
        ["kill", unit] | ["kill", "-s" | "--signal", _, unit] => Verb::Kill(unit),
        ["kill", signal, unit] if signal.starts_with("--signal=") => Verb::Kill(unit),
        _ => return None,
    };
    Some((verb, blocks))
}

impl Verb<'_> {
    fn begins(self) -> bool {
        matches!(self, Self::Restart(_) | Self::Start(_))
    }

    fn unit(self) -> Option<(&'static str, String)> {
        let (word, unit) = match self {
            Self::Restart(unit) => ("restart", unit),
            Self::Start(unit) => ("start", unit),
            Self::Stop(unit) => ("stop", unit),
            Self::Kill(unit) => ("kill", unit),
            Self::ResetFailed(unit) => ("reset failed state of", unit),
            Self::Enable(unit) => ("enable", unit),
            Self::Disable(unit) => ("disable", unit),
            Self::DaemonReload => return None,
        };
        let suffix = if unit.contains('.') { "" } else { ".service" };
        Some((word, format!("{unit}{suffix}")))
    }
}

impl Fleet {
    pub(super) fn order(&mut self, at: usize, (verb, blocks): (Verb<'_>, bool)) -> Reply {
        let Some(host) = self.hosts.get_mut(at) else {
            return Reply::at_once(ran(1, "", ""));
        };
        if let Some((word, unit)) = verb.unit().filter(|(_, unit)| *unit != host.unit.name) {
            let text = format!("Failed to {word} {unit}: Unit {unit} not found.\n");
            return Reply::at_once(ran(5, "", text));
        }
        if let Some((word, unit)) = verb.unit().filter(|_| verb.begins()) {
            if host.has(Fault::UnitMasked) {
                let text = format!("Failed to {word} {unit}: Unit {unit} is masked.\n");
                return Reply::at_once(ran(1, "", text));
            }
            if host.has(Fault::UnitMissing) {
                let text = format!("Failed to {word} {unit}: Unit {unit} not found.\n");
                return Reply::at_once(ran(5, "", text));
            }
        }
        host.changes += 1;
        let state = host.unit.state;
        match verb {
            Verb::DaemonReload => {
                if let Some(loaded) = Loaded::read(&host.disk, &host.unit.fragment) {
                    host.unit.loaded = loaded;
                }
            }
            Verb::Restart(_) => self.restart(at),
            Verb::Start(_) if matches!(state, State::Running | State::Starting) => {}
            Verb::Start(_) => self.start(at, Duration::from_millis(10)),
            Verb::Stop(_) if state == State::Inactive => {}
            Verb::Stop(_) => self.stop(at),
            Verb::Kill(_) => self.kill(at),
            Verb::ResetFailed(_) if state == State::Failed => host.unit.state = State::Inactive,
            Verb::ResetFailed(_) => {}
            Verb::Enable(_) => host.unit.enabled = true,
            Verb::Disable(_) => host.unit.enabled = false,
        }
        let jobs = matches!(verb, Verb::Restart(_) | Verb::Start(_) | Verb::Stop(_));
        Reply {
            waits: blocks && jobs,
            takes: Duration::from_millis(20),
            response: ran(0, "", ""),
        }
    }

    fn restart(&mut self, at: usize) {
        self.restarted(at);
        self.stop(at);
        match self.hosts.get_mut(at) {
            Some(host) if host.unit.state == State::Stopping => host.starts_after_stop = true,
            _ => self.start(at, Duration::from_millis(300)),
        }
    }

    /// How the job of a blocking order ended; `None` while it runs.
    #[must_use]
    pub fn job(&self, name: &HostName) -> Option<Response> {
        let host = self.host(name)?;
        let unit = &host.unit.name;
        let failed = || {
            let text = format!(
                "Job for {unit} failed because the control process exited with error code.\nSee \"systemctl status {unit}\" and \"journalctl -xeu {unit}\" for details.\n"
            );
            Some(ran(1, "", text))
        };
        match host.unit.state {
            State::Failed if host.starts_after_stop => None,
            State::Starting | State::Stopping => None,
            State::AutoRestart => failed(),
            State::Running | State::Inactive | State::Failed => Some(ran(0, "", "")),
        }
    }
}
