//! `--json`: each event as one line on stdout.

use std::io;

use super::Writer;
use crate::event::{Event, Sink};

/// Events for machines.
pub struct Json(pub Writer);

impl Sink for Json {
    fn on_events(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            self.0.raw(&serde_json::to_string(event)?)?;
            self.0.raw("\n")?;
        }
        self.0.flush()
    }
}
