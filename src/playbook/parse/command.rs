//! `command` in Ansible's free form: `command: uptime -p`, or `cmd:` instead of `argv:`.

use std::sync::Arc;

use crate::source::{Entry, Kind, Node, Scalar};

/// Begins a stand-in for an expression while words are split; a character of no language.
const MARK: char = '\u{e000}';

/// The arguments with a free form written out as `argv`. What cannot be split stays as it is, to be refused.
pub(super) fn written_out(node: &Arc<Node>) -> Arc<Node> {
    let written = match &node.kind {
        Kind::Scalar(_) => argv(node).map(|argv| vec![argv]),
        Kind::Map(entries) if node.get("argv").is_none() => {
            entries.iter().map(entry_written_out).collect()
        }
        _ => None,
    };
    written.map_or_else(
        || node.clone(),
        |entries| Arc::new(Node::new(node.at, Kind::Map(entries))),
    )
}

fn entry_written_out(entry: &Entry) -> Option<Entry> {
    if entry.key == "cmd" {
        return argv(&entry.value);
    }
    Some(Entry {
        key: entry.key.clone(),
        at: entry.at,
        value: entry.value.clone(),
    })
}

fn argv(node: &Node) -> Option<Entry> {
    let word = |text: String| {
        let scalar = Scalar { text, plain: false };
        Arc::new(Node::new(node.at, Kind::Scalar(scalar)))
    };
    let words = split(node.text()?)?.into_iter().map(word).collect();
    Some(Entry {
        key: "argv".to_owned(),
        at: node.at,
        value: Arc::new(Node::new(node.at, Kind::List(words))),
    })
}

/// Words as a shell splits them; an expression stays whole, whatever blanks it holds.
fn split(text: &str) -> Option<Vec<String>> {
    let mut expressions = Vec::new();
    let mut marked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, later) = after.split_once("}}")?;
        marked.push_str(before);
        marked.push(MARK);
        expressions.push(format!("{{{{{inner}}}}}"));
        rest = later;
    }
    marked.push_str(rest);
    let mut expressions = expressions.into_iter();
    let words = shlex::split(&marked).filter(|words| !words.is_empty())?;
    let restore = |c: char| match c {
        MARK => expressions.next().unwrap_or_default(),
        c => c.to_string(),
    };
    let mut restore = restore;
    Some(
        words
            .iter()
            .map(|word| word.chars().map(&mut restore).collect())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = split("install -m 755 'a b' c").expect("words");
        assert_eq!(words, ["install", "-m", "755", "a b", "c"]);
        assert_eq!(split("echo 'open"), None);
        assert_eq!(split("  "), None);
    }

    #[test]
    fn an_expression_stays_whole() {
        let words = split("echo {{ a | default('x y') }}-{{ b }} {{c}}").expect("words");
        assert_eq!(words, ["echo", "{{ a | default('x y') }}-{{ b }}", "{{c}}"]);
        assert_eq!(split("echo {{ a"), None);
    }
}
