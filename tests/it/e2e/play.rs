//! Plays a scenario on a backend: act by act, each with what must hold after it.

use std::collections::BTreeMap;

use super::backend::{Backend, Ended};
use super::look::{self, Files};
use super::person;
use super::scenario::{Act, Run, Scenario};
use crate::lab_canary::Canary;

/// A scenario on its stage.
pub(super) struct Play<'a> {
    backend: &'a dyn Backend,
    at_first: Files,
    /// What keyroll said so far, run by run.
    pub(super) said: String,
}

impl<'a> Play<'a> {
    pub(super) fn new(backend: &'a dyn Backend) -> Self {
        Self {
            backend,
            at_first: look::files(backend),
            said: String::new(),
        }
    }

    /// Plays all acts.
    ///
    /// # Errors
    /// What was not as it should be after the first act that shows such.
    pub(super) fn all(&mut self, scenario: &Scenario) -> Result<(), String> {
        for (number, act) in scenario.acts.iter().enumerate() {
            self.act(act)
                .map_err(|wrong| format!("act {}: {wrong}", number + 1))?;
        }
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        let backend = self.backend;
        if let Some(run) = &act.keyroll {
            return self.keyroll(run);
        }
        if let Some(hosts) = &act.now {
            return self.every(hosts, |host, word| look::is(backend, host, word));
        }
        if let Some(files) = act.files {
            return look::compare(backend, &self.at_first, files);
        }
        if let Some(hosts) = &act.person {
            return self.every(hosts, |host, deeds| {
                deeds
                    .iter()
                    .try_for_each(|deed| person::does(backend, host, deed))
            });
        }
        for (host, fault) in act.fault.iter().flatten() {
            backend.fault(host, fault);
        }
        for (host, what) in act.power.iter().flatten() {
            backend.power(host, what);
        }
        for host in act.heal.iter().flatten() {
            backend.heal(host);
        }
        if let Some(seconds) = act.wait {
            backend.wait(seconds);
        }
        Ok(())
    }

    fn every<T>(
        &self,
        hosts: &BTreeMap<String, T>,
        act: impl Fn(&str, &T) -> Result<(), String>,
    ) -> Result<(), String> {
        let topology = &self.backend.desk().topology;
        for (name, wish) in hosts {
            for host in topology.named(name) {
                act(&host, wish).map_err(|wrong| format!("{host}: {wrong}"))?;
            }
        }
        Ok(())
    }

    fn keyroll(&mut self, run: &Run) -> Result<(), String> {
        let before = run.changes_nothing.then(|| self.backend.everything());
        let ended = self.backend.keyroll(run);
        let command = run.command.as_deref().unwrap_or("run …");
        let head = format!("$ keyroll {command} {}\n", run.args.join(" "));
        self.said += &(head + &ended.text + "\n");
        if let Some(before) = before {
            let after = self.backend.everything();
            let keys = before.keys().chain(after.keys());
            let changed: Vec<_> = keys
                .filter(|key| before.get(*key) != after.get(*key))
                .collect();
            if !changed.is_empty() {
                return Err(format!("keyroll has changed {changed:?}"));
            }
        }
        self.judge(run, &ended)
    }

    fn judge(&self, run: &Run, ended: &Ended) -> Result<(), String> {
        if let Some(when) = &run.when
            && !ended.reached
        {
            return Err(format!("keyroll never said {:?}", when.says));
        }
        if let Some(exit) = run.exit
            && exit != ended.status
        {
            return Err(format!("keyroll ended with {}, not {exit}", ended.status));
        }
        let has = |words: &&String| ended.text.contains(words.as_str());
        if let Some(unsaid) = run.says.iter().find(|words| !has(words)) {
            return Err(format!("keyroll does not say {unsaid:?}"));
        }
        if let Some(said) = run.silent.iter().find(has) {
            return Err(format!("keyroll says {said:?}"));
        }
        let names_next = |line: &str| match run.command {
            // A look says it below each thing that it found.
            Some(_) => line.trim_start().starts_with("next:"),
            None => line.starts_with("next:"),
        };
        if run.exit.is_some() && !ended.text.lines().any(names_next) {
            return Err("keyroll names no next command".to_owned());
        }
        let desk = self.backend.desk();
        if Canary::new(&[&desk.old, &desk.new]).is_in(ended.text.as_bytes()) {
            return Err("keyroll has shown a secret".to_owned());
        }
        if !ended.leaks.is_empty() {
            return Err(format!("secrets where none may be: {:?}", ended.leaks));
        }
        Ok(())
    }
}
