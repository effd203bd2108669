//! Playbook and inventory, with what the command line lays over them.

use std::sync::Arc;

use minijinja::Value;

use super::trouble::Trouble;
use crate::cli;
use crate::inventory::{self, Inventory};
use crate::model::{GroupName, HostName};
use crate::plan::{self, Plan, Request};
use crate::playbook::{self, Playbook};
use crate::report::Writer;
use crate::sim::Spec;
use crate::sim::spec::{self, SpecError};
use crate::template::Vars;

/// What `-i sim:…` begins with.
const SIM: &str = "sim:";

/// What was read.
#[derive(Clone)]
pub(super) struct Books {
    pub(super) playbook: Playbook,
    pub(super) inventory: Inventory,
    /// The fleet, when it is a simulated one.
    pub(super) sim: Option<Spec>,
    extra: Vec<(String, Value)>,
}

/// Reads both, and all mistakes in both at once.
pub(super) fn read(books: &cli::Books) -> Result<Books, Trouble> {
    let extra = extra(&books.hosts)?;
    let playbook = playbook::read(&books.playbook);
    let found = fleet(&books.hosts.inventory, &extra);
    let ((inventory, sim), playbook) = match (found, playbook) {
        (Ok(found), Ok(playbook)) => (found, playbook),
        (Err(Trouble::Problems(mut problems)), Err(more)) => {
            problems.extend(more);
            return Err(problems.into());
        }
        (Err(trouble), _) => return Err(trouble),
        (_, Err(problems)) => return Err(problems.into()),
    };
    Ok(Books {
        playbook,
        inventory,
        sim,
        extra,
    })
}

/// Reads the inventory alone.
pub(super) fn hosts(hosts: &cli::Hosts) -> Result<(Inventory, Option<Spec>), Trouble> {
    let extra = extra(hosts)?;
    fleet(&hosts.inventory, &extra)
}

fn extra(hosts: &cli::Hosts) -> Result<Vec<(String, Value)>, Trouble> {
    let mut all = Vec::new();
    for extra in &hosts.extra_vars {
        let wrong =
            |why| Trouble::usage(format!("--extra-vars: {why}"), "see `keyroll run --help`");
        let set = extra.get().map_err(wrong)?.0;
        all.extend(
            set.into_iter()
                .map(|(key, value)| (key, Value::from_serialize(value))),
        );
    }
    Ok(all)
}

/// The hosts, with what the command line says of them.
fn fleet(name: &str, extra: &[(String, Value)]) -> Result<(Inventory, Option<Spec>), Trouble> {
    let (mut inventory, sim) = if name.starts_with(SIM) {
        let spec = spec::parse(name).map_err(wrong_fleet)?;
        (spec.inventory(), Some(spec))
    } else {
        (inventory::read(name, extra)?, None)
    };
    // Over what each host is called, too.
    for host in inventory.hosts.values_mut() {
        lay_over(&mut host.vars, extra);
    }
    Ok((inventory, sim))
}

/// The hosts that a `--limit` leaves.
pub(super) fn limited(inventory: &Inventory, pattern: &str) -> Result<Vec<HostName>, Trouble> {
    inventory::select(inventory, pattern)
        .map_err(|error| Trouble::usage(format!("--limit: {}", error.what), error.help))
}

/// A mistake in a `sim:` string, marked below it.
pub(super) fn wrong_fleet(error: SpecError) -> Trouble {
    let what = format!("{}\n{}", error.what, error.pointed());
    Trouble::usage(what, error.help)
}

fn lay_over(vars: &mut Vars, extra: &[(String, Value)]) {
    if !extra.is_empty() {
        Arc::make_mut(vars).extend(extra.iter().cloned());
    }
}

impl Books {
    /// Says what of the inventory is not heeded; the rest is for `lint`.
    pub(super) fn warn(&self) {
        let unread = self.inventory.warnings.iter();
        for problem in unread.filter(|it| it.code == "inventory::unread") {
            let place = problem.position();
            let place =
                place.map_or_else(String::new, |(file, line, _)| format!("{file}:{line}: "));
            let help = problem.help.as_deref().unwrap_or_default();
            let line = format!("warning: {place}{problem}: {help}");
            // The run does not depend on who listens.
            Writer::standard().talk(&line).ok();
        }
    }

    /// Sets a variable of the first server alone.
    pub(super) fn set_on_first_server(&mut self, name: &str, value: Value) {
        let servers = GroupName::new("server").ok();
        let servers = servers.and_then(|group| self.inventory.groups.get(&group));
        let first = servers.and_then(|servers| servers.first()).cloned();
        if let Some(host) = first.and_then(|first| self.inventory.hosts.get_mut(&first)) {
            lay_over(&mut host.vars, &[(name.to_owned(), value)]);
        }
    }

    /// The plan. Variables of the command line win over the play's own.
    pub(super) fn plan(&self, request: &Request) -> Result<Plan, Trouble> {
        let mut plan = plan::build(&self.playbook, &self.inventory, request)?;
        for vars in plan
            .plays
            .iter_mut()
            .flat_map(|play| play.vars.values_mut())
        {
            lay_over(vars, &self.extra);
        }
        Ok(plan)
    }
}
