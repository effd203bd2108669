//! Counts what the summary says. Reads redacted events only, so that it holds no secret.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::stop::StopLevel;
use crate::event::{EventKind, Failure, OpOutcome, Summary, TaskOutcome, Verdict, window};
use crate::exit::Exit;
use crate::facts::Fleet;
use crate::k3s::phase::names;
use crate::model::{HostName, TaskKey};
use crate::steps::k3s_token::FORWARD;

/// Counts of a run under way.
#[derive(Default)]
pub(super) struct Tally {
    summary: Summary,
    changed: BTreeSet<HostName>,
    noted: HashSet<String>,
    under_way: BTreeMap<(TaskKey, usize), (HostName, String)>,
    proposed: bool,
    not_known: bool,
    proved: BTreeSet<HostName>,
    unproven: Option<String>,
    left: Vec<(TaskKey, String)>,
    /// Tasks that prove, without their hosts.
    proofs: BTreeSet<String>,
    /// Whether only a green proof is well.
    strict: bool,
}

impl Tally {
    /// Takes one event.
    pub(super) fn count(&mut self, kind: &EventKind) {
        match kind {
            EventKind::OpStarted { key, index, op } if op.act.changes() => {
                let doing = (op.on.clone(), op.why.clone());
                self.under_way.insert((key.clone(), *index), doing);
            }
            EventKind::OpEnded {
                key,
                index,
                outcome,
            } => {
                let host = self.under_way.remove(&(key.clone(), *index));
                if !matches!(outcome, OpOutcome::Failed(_) | OpOutcome::Moved(_)) {
                    self.changed.extend(host.map(|(host, _)| host));
                }
            }
            EventKind::Proposed { ops, not_known, .. } => {
                self.proposed |= !ops.is_empty();
                self.not_known |= !not_known.is_empty();
                let changing = ops.iter().filter(|op| op.act.changes());
                self.changed.extend(changing.map(|op| op.on.clone()));
            }
            EventKind::Note { text, .. } if self.noted.insert(text.clone()) => {
                self.summary.notes.push(text.clone());
            }
            EventKind::Left { key, text, .. } => {
                self.left.retain(|(of, _)| of != key);
                self.left.push((key.clone(), text.clone()));
            }
            EventKind::Window {
                name, hosts, open, ..
            } => self.summary.notes.push(window(name, hosts, open)),
            EventKind::Proved {
                key,
                host,
                verdict,
                because,
                ..
            } => {
                self.proved.insert(host.clone());
                self.proofs.insert(task_of(key).to_owned());
                // A proof looks at more than what was left before it.
                self.left
                    .retain(|(of, _)| self.proofs.contains(task_of(of)));
                self.colour(*verdict);
                if *verdict == Verdict::Yellow {
                    for why in because {
                        self.doubt(why.clone());
                    }
                }
            }
            EventKind::TaskEnded { key, outcome, .. } => self.count_task(key, outcome),
            EventKind::GateEnded {
                key,
                failure: Some(failure),
            } => self.root(key, failure),
            _ => {}
        }
    }

    fn colour(&mut self, verdict: Verdict) {
        self.summary.verdict = self.summary.verdict.max(Some(verdict));
    }

    fn doubt(&mut self, why: String) {
        if !self.summary.doubts.contains(&why) {
            self.summary.doubts.push(why);
        }
    }

    /// Hosts of the fleet that no proof has come to, because of `--limit` or a failure before: then it is not green.
    pub(super) fn left_out(&mut self, fleet: &Fleet) {
        let all = fleet.servers.iter().chain(&fleet.agents);
        let left = all.filter(|member| !self.proved.contains(&member.name));
        let left: Vec<&HostName> = left.map(|member| &member.name).collect();
        if self.summary.verdict.is_none() || left.is_empty() {
            return;
        }
        let left = names(left.iter().copied());
        let why = format!("no proof came to {left}");
        self.unproven = Some(left);
        self.colour(Verdict::Yellow);
        self.doubt(why);
    }

    pub(super) fn be_strict(&mut self) {
        self.strict = true;
    }

    fn count_task(&mut self, key: &TaskKey, outcome: &TaskOutcome) {
        match outcome {
            TaskOutcome::Satisfied => self.summary.satisfied += 1,
            TaskOutcome::Changed => self.summary.changed += 1,
            TaskOutcome::NotApplicable => {}
            TaskOutcome::Ignored(failure) => {
                self.summary.ignored += 1;
                let what = failure.what.join("; ");
                let note = format!("{key} failed, which its playbook ignores: {what}");
                self.summary.notes.push(note);
            }
            TaskOutcome::Skipped { .. } => self.summary.skipped += 1,
            TaskOutcome::Failed(failure) => {
                if failure.exit == Exit::Stopped {
                    self.summary.stopped += 1;
                } else {
                    self.summary.failed += 1;
                }
                self.root(key, failure);
            }
        }
    }

    fn root(&mut self, key: &TaskKey, failure: &Failure) {
        self.summary.roots.push((key.clone(), failure.clone()));
    }

    /// Changes of a task that were begun and not answered.
    pub(super) fn doing(&self, key: &TaskKey) -> Vec<String> {
        let own = self.under_way.iter().filter(|((task, _), _)| task == key);
        own.map(|(_, (host, why))| format!("{host}: {why}"))
            .collect()
    }

    /// Whether a task or a gate has failed so far.
    pub(super) fn has_failed(&self) -> bool {
        !self.summary.roots.is_empty()
    }

    /// The end: exit number and summary. `again` is the command that was given, `really` the same without `--check`.
    pub(super) fn end(
        mut self,
        check: bool,
        level: StopLevel,
        again: &str,
        really: &str,
    ) -> (Exit, Summary) {
        self.summary.changed_hosts = self.changed.into_iter().collect();
        let stopped = (level > StopLevel::Run).then_some(Exit::Stopped);
        let roots = self.summary.roots.iter().map(|(_, failure)| failure.exit);
        let found = (check && self.proposed).then_some(Exit::WorkFound);
        let is_doubted = self.strict && self.summary.verdict == Some(Verdict::Yellow);
        let doubted = is_doubted.then_some(Exit::Red);
        let exit = Exit::first_of(roots.chain(stopped).chain(found).chain(doubted));
        let roots = self.summary.roots.iter();
        let mut advice = roots.flat_map(|(_, failure)| &failure.next);
        let forward = advice.find(|next| next.starts_with(FORWARD)).cloned();
        self.summary.next = match (exit, check) {
            (Exit::Fine, true) if self.not_known => {
                format!("nothing to be done; some answers are not known yet: {really}")
            }
            (Exit::Fine, true) => "nothing to be done".to_owned(),
            (Exit::Fine, false) => match (all_left(self.left), &self.unproven) {
                (Some(left), _) => left,
                (None, None) => "nothing is left to do on the hosts".to_owned(),
                (None, Some(left)) => format!(
                    "nothing is left to do on the hosts that were visited; {left} may still have the old token: run the same command without --limit (where a machine is gone for good, take it out of the inventory and run `kubectl delete node NAME`, or add --ignore-node NAME), then `keyroll verify -i INVENTORY`"
                ),
            },
            (Exit::WorkFound, _) => really.to_owned(),
            (Exit::Red, _) if self.summary.roots.is_empty() => {
                "--strict wants a green proof: see above what keeps it yellow".to_owned()
            }
            (Exit::TaskFailed, _) if forward.is_some() => forward.unwrap_or_default(),
            (Exit::Stopped, _) => {
                format!("run the same command to go on; keyroll looks first: {again}")
            }
            _ => format!(
                "fix what is named above, then run the same command again: keyroll looks first and goes on from where the cluster is: {again}"
            ),
        };
        (exit, self.summary)
    }
}

/// The task of `play/task@host`.
fn task_of(key: &TaskKey) -> &str {
    key.0
        .rsplit_once('@')
        .map_or(key.0.as_str(), |(task, _)| task)
}

/// Each sentence once; `None` when nothing is left.
fn all_left(left: Vec<(TaskKey, String)>) -> Option<String> {
    let mut texts: Vec<String> = Vec::new();
    for (_, text) in left {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}
