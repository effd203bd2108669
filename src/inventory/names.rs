//! Host entries: `web[01:20].example.org`, `db-[a:c]`, `server-1:2222`.

use std::net::Ipv6Addr;

use crate::model::HostName;

const MOST_HOSTS: u64 = 100_000;

/// The hosts of one entry, and the port when it names one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) hosts: Vec<HostName>,
    pub(super) port: Option<u16>,
}

/// Writes an entry out. The error says what is wrong with it.
pub(super) fn expand(entry: &str) -> Result<Expanded, String> {
    let (pattern, port) = split_port(entry)?;
    let mut texts = Vec::new();
    write_out(pattern, &mut texts)?;
    let hosts = texts
        .iter()
        .map(|text| HostName::new(text).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    Ok(Expanded { hosts, port })
}

/// A port follows the last colon, unless there are several, those of ranges apart: an IPv6 address, which is in brackets
/// before a port.
fn split_port(entry: &str) -> Result<(&str, Option<u16>), String> {
    let (name, port) = match (address_and_port(entry), entry.rsplit_once(':')) {
        (Some(both), _) => both,
        (None, Some((name, port))) if !has_colon(name) && !port.contains(']') => (name, port),
        _ => return Ok((entry, None)),
    };
    let number = port.parse().ok().filter(|port| *port > 0);
    let number = number.ok_or_else(|| format!("`{port}` is not a port"))?;
    Ok((name, Some(number)))
}

/// The two parts of `[2001:db8::1]:22`.
pub(super) fn address_and_port(entry: &str) -> Option<(&str, &str)> {
    let both = entry.strip_prefix('[')?.split_once("]:")?;
    both.0.parse::<Ipv6Addr>().is_ok().then_some(both)
}

/// Whether there is a colon outside of ranges.
fn has_colon(name: &str) -> bool {
    let outside = |part: &str| match part.split_once(']') {
        Some((_, behind)) => behind.contains(':'),
        None => part.contains(':'),
    };
    name.split('[').any(outside)
}

fn write_out(pattern: &str, into: &mut Vec<String>) -> Result<(), String> {
    let Some((before, rest)) = pattern.split_once('[') else {
        into.push(pattern.to_owned());
        return Ok(());
    };
    let (range, after) = rest
        .split_once(']')
        .ok_or_else(|| format!("`{pattern}` opens a range and does not close it"))?;
    let mut tails = Vec::new();
    write_out(after, &mut tails)?;
    for item in items(range)? {
        for tail in &tails {
            into.push(format!("{before}{item}{tail}"));
        }
        if into.len() as u64 > MOST_HOSTS {
            return Err(format!(
                "`{pattern}` stands for more than {MOST_HOSTS} hosts"
            ));
        }
    }
    Ok(())
}

fn items(range: &str) -> Result<Vec<String>, String> {
    let bad = || format!("`[{range}]` is not a range such as `[01:20]` or `[a:c]`");
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, 1),
        [first, last, step] => (*first, *last, step.parse().map_err(|_| bad())?),
        _ => return Err(bad()),
    };
    if step == 0 {
        return Err(bad());
    }
    numbers(first, last, step)
        .or_else(|| letters(first, last, step))
        .filter(|items| !items.is_empty())
        .ok_or_else(bad)
}

fn numbers(first: &str, last: &str, step: usize) -> Option<Vec<String>> {
    let first = if first.is_empty() { "0" } else { first };
    let width = if first.starts_with('0') {
        first.len()
    } else {
        0
    };
    let (from, to): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    if to.checked_sub(from)? > MOST_HOSTS {
        return None;
    }
    Some(
        (from..=to)
            .step_by(step)
            .map(|n| format!("{n:0width$}"))
            .collect(),
    )
}

fn letters(first: &str, last: &str, step: usize) -> Option<Vec<String>> {
    let letter = |text: &str| text.parse::<char>().ok().filter(char::is_ascii_alphabetic);
    let (from, to) = (letter(first)?, letter(last)?);
    Some((from..=to).step_by(step).map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn names(entry: &str) -> Vec<String> {
        let expanded = expand(entry).expect("an entry");
        expanded.hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_range_keeps_its_leading_zeros() {
        assert_eq!(names("web[08:11]"), ["web08", "web09", "web10", "web11"]);
        assert_eq!(names("web[8:10]"), ["web8", "web9", "web10"]);
        assert_eq!(names("n[0:4:2].x"), ["n0.x", "n2.x", "n4.x"]);
    }

    #[test]
    fn letters_and_two_ranges_multiply() {
        assert_eq!(names("[a:b][1:2]"), ["a1", "a2", "b1", "b2"]);
    }

    #[test]
    fn a_port_is_split_off_but_not_from_an_address() {
        assert_eq!(expand("h1:2222").expect("an entry").port, Some(2222));
        assert_eq!(names("fe80::1"), ["fe80::1"]);
        let address = expand("[fe80::1]:2222").expect("an entry");
        assert_eq!(
            (names("[fe80::1]:2222"), address.port),
            (names("fe80::1"), Some(2222))
        );
        assert_eq!(expand("n[1:2]:2222").expect("an entry").port, Some(2222));
        assert_eq!(names("n[1:2]:2222"), ["n1", "n2"]);
    }

    #[test]
    fn a_bad_range_says_so() {
        for entry in [
            "w[1:",
            "w[3:1]",
            "w[]",
            "w[1:3:0]",
            "w[1]",
            "w[1:99999999]",
            "h:0",
            "h:x",
            "[fe80::1]:x",
            "-oProxyCommand=x",
        ] {
            assert!(expand(entry).is_err(), "{entry}");
        }
    }
}
