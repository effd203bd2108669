//! Unit text: where a token stands in it, found by its value, since only systemd knows what it makes of the text.

use super::{Quote, Slot};

/// The slot of a token in the text of a unit.
///
/// # Errors
/// With why it cannot be edited there: the token must stand once, whole, in a setting of this name (`ExecStart`,
/// `Environment`). What stands in comments does not count.
pub fn slot(text: &str, setting: &str, token: &str) -> Result<Slot, &'static str> {
    if token.trim() != token {
        return Err(super::BLANK_ENDS);
    }
    let mut found = text
        .match_indices(token)
        .filter(|(at, _)| !token.is_empty() && !is_comment(text, *at));
    let Some((start, _)) = found.next() else {
        return Err("not written there as systemd shows it");
    };
    if found.next().is_some() {
        return Err("written there more than once");
    }
    let end = start + token.len();
    if setting_of(text, start) != Some(setting) {
        return Err("written in another setting");
    }
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let after = text.get(end..).and_then(|text| text.chars().next());
    let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "'\"=".contains(c));
    if !is_edge(before) || !is_edge(after) || after == Some('=') {
        return Err("part of a longer word there");
    }
    Ok(Slot {
        range: start..end,
        quote: Quote::Bare,
    })
}

/// The line around a byte.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let start = text
        .get(..at)
        .and_then(|head| head.rfind('\n'))
        .map_or(0, |at| at + 1);
    let rest = text.get(start..).unwrap_or_default();
    (start, rest.split('\n').next().unwrap_or_default())
}

/// systemd passes over comment lines, between continued lines too.
fn is_comment(text: &str, at: usize) -> bool {
    line_at(text, at).1.trim_start().starts_with(['#', ';'])
}

/// The name of the setting whose value a byte belongs to, however many lines it goes on for.
fn setting_of(text: &str, at: usize) -> Option<&str> {
    let (mut start, mut line) = line_at(text, at);
    while start > 0 {
        let (above_start, above) = line_at(text, start - 1);
        let is_comment = above.trim_start().starts_with(['#', ';']);
        // A comment does not end what goes on around it, but what is above it decides.
        if is_comment {
            let goes_on = continued_above(text, above_start);
            if !goes_on {
                break;
            }
        } else if !above.trim_end_matches('\r').ends_with('\\') {
            break;
        }
        (start, line) = (above_start, above);
    }
    let line = if line.trim_start().starts_with(['#', ';']) {
        return None;
    } else {
        line
    };
    line.split_once('=').map(|(name, _)| name.trim())
}

/// Whether the nearest line above that is no comment goes on.
fn continued_above(text: &str, mut start: usize) -> bool {
    while start > 0 {
        let (above_start, above) = line_at(text, start - 1);
        if !above.trim_start().starts_with(['#', ';']) {
            return above.trim_end_matches('\r').ends_with('\\');
        }
        start = above_start;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<&str, &'static str> {
        slot(text, "ExecStart", "sekret").map(|slot| &text[slot.range])
    }

    #[test]
    fn a_token_is_found_however_the_line_goes_on() {
        for text in [
            "[Service]\nExecStart=/usr/local/bin/k3s server --token sekret\n",
            "ExecStart=-@/bin/k3s k3s server '--token=sekret'\n",
            "ExecStart=+/bin/k3s server \\\n\t'--token' \\\n\t'sekret' \\\n",
            "ExecStart=/bin/k3s server \\\r\n  --token \\\r\n  sekret\r\n",
            "# sekret\nExecStart=/bin/k3s \\\n# why: sekret\n  ; more\n  server -t \"sekret\"",
        ] {
            assert_eq!(written(text), Ok("sekret"), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_surely_the_token_is_not_edited() {
        for (text, why) in [
            (
                "ExecStart=/bin/k3s server -t sek%%ret\n",
                "not written there as systemd shows it",
            ),
            (
                "# ExecStart=k3s -t sekret\nExecStart=k3s -t \"s\\x65kret\"\n",
                "not written there as systemd shows it",
            ),
            (
                "ExecStartPre=/bin/x sekret\nExecStart=k3s -t sekret\n",
                "written there more than once",
            ),
            (
                "ExecStartPre=/bin/x \\\n  sekret\n",
                "written in another setting",
            ),
            (
                "ExecStart=k3s\n\n[Install]\nAlias=sekret\n",
                "written in another setting",
            ),
            ("sekret", "written in another setting"),
            ("ExecStart=k3s -t sekret2\n", "part of a longer word there"),
            (
                "ExecStart=k3s --data-dir /sekret\n",
                "part of a longer word there",
            ),
            ("ExecStart=k3s -t sekret\\\n", "part of a longer word there"),
            ("ExecStart=k3s sekret=1\n", "part of a longer word there"),
        ] {
            assert_eq!(written(text), Err(why), "{text:?}");
        }
        assert!(slot("ExecStart=x", "ExecStart", "").is_err());
    }
}
