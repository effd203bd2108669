//! The table as people read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use super::Cell;

/// Prints a row at once: a line for each way.
pub(super) fn row(name: &str, cells: &[(&str, Result<Cell, &str>)], with_words: bool) {
    let mut text = String::new();
    for (way, cell) in cells {
        let cell = match cell {
            Ok(cell) => cell,
            Err(why) => {
                writeln!(text, "{name:26} | {way:17} | not applicable: {why}").unwrap();
                continue;
            }
        };
        let Cell {
            points,
            played,
            proven,
            told,
            refused,
            words,
            wrong: _,
        } = cell;
        write!(
            text,
            "{name:26} | {way:17} | {played:3} of {points:3} | proven {proven:3}"
        )
        .unwrap();
        write!(text, " | refused {:3}", played - proven).unwrap();
        text += &list(" by ", refused);
        text += &list(" | told on the way: ", told);
        text.push('\n');
        for words in words.iter().filter(|_| with_words) {
            writeln!(text, "   {words}").unwrap();
        }
    }
    // At once, and where it is seen without being asked for.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

fn list(before: &str, names: &BTreeMap<String, usize>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let each = names.iter().map(|(name, count)| format!("{name} {count}"));
    format!("{before}{}", each.collect::<Vec<_>>().join(", "))
}
