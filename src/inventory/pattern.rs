//! Host patterns, as `hosts:` and `--limit` have them: `all`, `server`, `agent[0]`, `a:b`, `a,!b`, `web*`.

use indexmap::IndexSet;

use super::Inventory;
use crate::model::{GroupName, HostName};
use crate::source::nearest;

/// A pattern that selects nothing that exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PatternError {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The hosts that a pattern selects, in order: parts one after the other, then `&` and `!` taken away.
///
/// # Errors
/// When a part names neither a group nor a host, or is not a pattern.
pub fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<HostName>, PatternError> {
    let parts = split(pattern)?;
    let mut chosen: IndexSet<HostName> = IndexSet::new();
    let (narrow, wide): (Vec<&str>, Vec<&str>) =
        parts.iter().partition(|part| part.starts_with(['!', '&']));
    if wide.is_empty() {
        chosen.extend(inventory.hosts.keys().cloned());
    }
    for part in wide {
        chosen.extend(one(inventory, part)?);
    }
    for part in narrow {
        let (sign, name) = part.split_at(1);
        let hosts: IndexSet<HostName> = one(inventory, name)?.into_iter().collect();
        chosen.retain(|host| hosts.contains(host) == (sign == "&"));
    }
    Ok(chosen.into_iter().collect())
}

/// Parts are separated by commas and colons; those within brackets do not count.
fn split(pattern: &str) -> Result<Vec<&str>, PatternError> {
    let mut depth = 0_usize;
    let parts = pattern.split(|c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (c == ',' || c == ':')
    });
    let parts: Vec<&str> = parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return Err(PatternError {
            what: "the pattern is empty".to_owned(),
            help: "name a group, a host or `all`".to_owned(),
        });
    }
    Ok(parts)
}

fn one(inventory: &Inventory, part: &str) -> Result<Vec<HostName>, PatternError> {
    if part.starts_with('~') || part.starts_with('@') {
        return Err(PatternError {
            what: format!("`{part}`: patterns by regular expression or file are not supported yet"),
            help: "use `*` and `?`, or name the group".to_owned(),
        });
    }
    if let Some(hosts) = named(inventory, part) {
        return Ok(hosts);
    }
    if let Some((name, subscript)) = part.strip_suffix(']').and_then(|part| part.split_once('[')) {
        let hosts = one(inventory, name)?;
        return slice(&hosts, subscript).ok_or_else(|| PatternError {
            what: format!("`[{subscript}]` is not a place in a group"),
            help: "write `agent[0]`, `agent[-1]` or `agent[0:2]` (both ends included)".to_owned(),
        });
    }
    if part.contains(['*', '?']) {
        let hosts = globbed(inventory, part);
        return if hosts.is_empty() {
            Err(unknown(inventory, part))
        } else {
            Ok(hosts)
        };
    }
    // A fleet of servers alone need not have an empty group of agents.
    if part == "agent" && named(inventory, "server").is_some() && named(inventory, "node").is_none()
    {
        return Ok(Vec::new());
    }
    Err(unknown(inventory, part))
}

fn named(inventory: &Inventory, name: &str) -> Option<Vec<HostName>> {
    if name == "all" || name == "*" {
        return Some(inventory.hosts.keys().cloned().collect());
    }
    let group = GroupName::new(name)
        .ok()
        .and_then(|group| inventory.groups.get(&group));
    if let Some(hosts) = group {
        return Some(hosts.iter().cloned().collect());
    }
    let host = HostName::new(name).ok()?;
    inventory.hosts.contains_key(&host).then(|| vec![host])
}

fn globbed(inventory: &Inventory, glob: &str) -> Vec<HostName> {
    let groups = inventory
        .groups
        .iter()
        .filter(|(name, _)| matches(glob, name.as_str()));
    let mut hosts: IndexSet<HostName> = groups
        .flat_map(|(_, hosts)| hosts.iter().cloned())
        .collect();
    hosts.extend(
        inventory
            .hosts
            .keys()
            .filter(|host| matches(glob, host.as_str()))
            .cloned(),
    );
    hosts.into_iter().collect()
}

/// Whether a name fits a pattern of `*` and `?`.
#[must_use]
fn matches(glob: &str, name: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    // One row of a table: which beginnings of the pattern fit the name so far.
    let mut fits = vec![false; glob.len() + 1];
    reach(&mut fits, &glob, 0);
    for c in name.chars() {
        let mut next = vec![false; glob.len() + 1];
        for (at, g) in glob.iter().enumerate() {
            if fits.get(at) == Some(&true) {
                match g {
                    '*' => reach(&mut next, &glob, at),
                    '?' => reach(&mut next, &glob, at + 1),
                    g if *g == c => reach(&mut next, &glob, at + 1),
                    _ => {}
                }
            }
        }
        fits = next;
    }
    fits.last() == Some(&true)
}

/// Marks a place in the pattern, and those that stars let one skip to.
fn reach(fits: &mut [bool], glob: &[char], mut at: usize) {
    while let Some(fit) = fits.get_mut(at) {
        *fit = true;
        if glob.get(at) != Some(&'*') {
            break;
        }
        at += 1;
    }
}

/// `0`, `-1`, `1:3` with both ends, `1:`, `:2`. A place beyond the end is empty.
fn slice(hosts: &[HostName], subscript: &str) -> Option<Vec<HostName>> {
    let place = |text: &str, default: usize| -> Option<usize> {
        let text = text.trim();
        match text.strip_prefix('-') {
            Some(back) => Some(hosts.len().saturating_sub(back.parse().ok()?)),
            None if text.is_empty() => Some(default),
            None => text.parse().ok(),
        }
    };
    let (first, last) = match subscript.split_once([':', '-']) {
        Some((first, last)) if !first.is_empty() || subscript.starts_with(':') => {
            (place(first, 0)?, place(last, hosts.len())?)
        }
        _ => {
            let only = place(subscript, usize::MAX).filter(|_| !subscript.is_empty())?;
            (only, only)
        }
    };
    let count = last.saturating_add(1).saturating_sub(first);
    Some(hosts.iter().skip(first).take(count).cloned().collect())
}

fn unknown(inventory: &Inventory, part: &str) -> PatternError {
    let has = |name: &str| named(inventory, name).is_some();
    let old = match part {
        "server" if has("master") => Some("master"),
        "agent" if has("node") => Some("node"),
        _ => None,
    };
    let groups = inventory.groups.keys().map(GroupName::as_str);
    let names = groups
        .clone()
        .chain(inventory.hosts.keys().map(HostName::as_str));
    let help = if let Some(old) = old {
        format!(
            "the inventory has the group `{old}` of an older k3s-ansible: rename it to `{part}`, or add `{part}` with `{old}` among its children"
        )
    } else if let Some(near) = nearest(part, names) {
        format!("did you mean `{near}`?")
    } else {
        format!(
            "groups are {}",
            groups.take(12).collect::<Vec<_>>().join(", ")
        )
    };
    PatternError {
        what: format!("no host or group is called `{part}`"),
        help,
    }
}

#[cfg(test)]
mod tests;
