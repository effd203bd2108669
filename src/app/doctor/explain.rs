//! `--explain`: what a name of the catalogue means, why it matters, and what to do.

use crate::app::trouble::Trouble;
use crate::findings::{all, entry};
use crate::source::nearest;

pub(super) fn explain(name: &str) -> Result<String, Trouble> {
    if name.is_empty() {
        let line = |entry: &'static crate::findings::Entry| {
            format!(
                "{:<6} {:<32} {}\n",
                entry.weight.word(),
                entry.name,
                entry.what
            )
        };
        return Ok(all().map(line).collect());
    }
    let entry = entry(name).ok_or_else(|| unknown(name))?;
    Ok(format!(
        "{} ({})\n\nwhat  {}\nwhy   {}\nnext  {}\n",
        entry.name,
        entry.weight.word(),
        entry.what,
        entry.why,
        entry.next
    ))
}

fn unknown(name: &str) -> Trouble {
    let next = match nearest(name, all().map(|entry| entry.name)) {
        Some(near) => format!("did you mean `{near}`? keyroll doctor --explain lists all names"),
        None => "keyroll doctor --explain lists all names".to_owned(),
    };
    Trouble::usage(format!("no finding is called `{name}`"), next)
}
