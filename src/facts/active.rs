//! Which of a few units of a host are active.

use super::{Fact, FactError, ran};
use crate::wire::{Command, Query, Response};

/// Which of these units are active; those that a host does not have are not.
#[derive(Debug, Clone, Copy)]
pub struct ActiveUnits(pub &'static [&'static str]);

impl Fact for ActiveUnits {
    type Value = Vec<&'static str>;

    fn queries(&self) -> Vec<Query> {
        let words = ["systemctl", "is-active"].into_iter();
        vec![Query::Run(Command::new(
            words.chain(self.0.iter().copied()),
        ))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let said = ran(responses, 0, "which units are active")?.stdout.text();
        // One line a unit, in their order.
        let active = self.0.iter().zip(said.lines());
        let active = active.filter(|(_, line)| line.trim() == "active");
        Ok(active.map(|(unit, _)| *unit).collect())
    }
}
