//! After a failed task with `undo`: performs its undo tasks on every host that had started it, one host after the
//! other, in the batch's order. A host on which it fails does not keep the next from being undone.

use std::sync::Arc;

use super::Shared;
use super::task::{self, Assignment};
use crate::event::{EventKind, Failure, TaskOutcome};
use crate::facts::probe::Overlay;
use crate::model::{HostName, TaskKey};
use crate::playbook::Task;

/// Undoes a task of a play on these hosts.
pub(super) async fn undo(
    shared: Arc<Shared>,
    play: usize,
    task: usize,
    hosts: Vec<HostName>,
) -> Result<(), Failure> {
    let tasks = shared
        .task(play, task)
        .map_or_else(Vec::new, |task| task.undo.clone());
    for host in &hosts {
        for task in &tasks {
            if !undo_one(&shared, play, task, host).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Undoes on one host; whether it went well.
async fn undo_one(
    shared: &Arc<Shared>,
    play: usize,
    task: &Task,
    host: &HostName,
) -> Result<bool, Failure> {
    let Some(of) = shared.play(play) else {
        return Ok(false);
    };
    let key = TaskKey(format!("undo:{}/{}@{host}", of.name, task.name));
    let assignment = Assignment {
        key: key.clone(),
        host: host.clone(),
        task: task.clone(),
        r#become: of.r#become.clone(),
        vars: of.vars.get(host).cloned().unwrap_or_default(),
        overlay: Overlay::default(),
    };
    let (name, on) = (format!("undo: {}", task.name), host.clone());
    shared
        .bus
        .say(EventKind::TaskStarted {
            key: key.clone(),
            host: on.clone(),
            name,
        })
        .await?;
    let outcome = task::run(Arc::clone(shared), assignment).await.outcome;
    let well = !matches!(outcome, TaskOutcome::Failed(_));
    shared
        .bus
        .say(EventKind::TaskEnded {
            key,
            host: on,
            outcome,
        })
        .await?;
    Ok(well)
}
