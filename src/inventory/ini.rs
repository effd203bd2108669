//! Inventories in Ansible's INI: `[group]`, `[group:children]`, `[group:vars]`, `host key=value`.

use super::names::address_and_port;
use super::raw::{Raw, Var, VarMap};
use crate::source::{Scalar, SourceSpan};

/// What the lines below a heading are.
enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
    /// After a bad heading, whose lines would only echo it.
    Unknown,
}

/// Reads the text into `raw`.
pub(super) fn read(raw: &mut Raw<'_>) {
    let mut section = Section::Hosts("ungrouped".to_owned());
    let mut offset = 0;
    let source = raw.source;
    for line in source.text.split_inclusive('\n') {
        let content = without_comment(line).trim();
        let start = offset + line.find(content).unwrap_or_default();
        offset += line.len();
        if content.is_empty() {
            continue;
        }
        let at = SourceSpan::from((start, content.len()));
        let heading = content.strip_prefix('[');
        // As in Ansible, `[2001:db8::1]:22` is a host.
        if let Some(heading) = heading.filter(|_| address_and_port(content).is_none()) {
            section = self::heading(heading, at, raw);
            continue;
        }
        match &section {
            Section::Hosts(group) => host(group, content, at, raw),
            Section::Children(group) => {
                raw.group(content, at);
                raw.group(group, at).children.insert(content.to_owned(), at);
            }
            Section::Vars(group) => variable(group, content, at, raw),
            Section::Unknown => {}
        }
    }
}

/// `#` and `;` begin a comment at the start of a line, `#` also after a blank.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    line.split_once(" #").map_or(line, |(content, _)| content)
}

fn heading(text: &str, at: SourceSpan, raw: &mut Raw<'_>) -> Section {
    let Some(name) = text.strip_suffix(']') else {
        raw.problem(
            "inventory::heading",
            "this heading is not closed",
            at,
            "end it with `]`",
        );
        return Section::Unknown;
    };
    let (group, kind) = name.split_once(':').unwrap_or((name, "hosts"));
    raw.group(group, at);
    match kind {
        "hosts" => Section::Hosts(group.to_owned()),
        "children" => Section::Children(group.to_owned()),
        "vars" => Section::Vars(group.to_owned()),
        kind => {
            let what = format!("a heading cannot end with `:{kind}`");
            raw.problem(
                "inventory::heading",
                what,
                at,
                "write `[group]`, `[group:children]` or `[group:vars]`",
            );
            Section::Unknown
        }
    }
}

fn host(group: &str, line: &str, at: SourceSpan, raw: &mut Raw<'_>) {
    let Some(words) = shlex::split(line) else {
        return raw.problem(
            "inventory::quotes",
            "a quote is not closed",
            at,
            "close it on the same line",
        );
    };
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return };
    let mut vars = VarMap::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            let what = format!("`{name}` is followed by a word without `=`");
            raw.problem(
                "inventory::word",
                what,
                at,
                "write variables as `key=value`, one host a line",
            );
            continue;
        };
        let start = line.find(&format!("{key}=")).unwrap_or_default();
        let len = line
            .get(start..)
            .and_then(|l| l.split_whitespace().next())
            .map_or(0, str::len);
        let at = SourceSpan::from((at.offset() + start, len));
        vars.insert(key.to_owned(), var(value, at, raw));
    }
    let at = SourceSpan::from((at.offset(), name.len().min(at.len())));
    raw.add_hosts(group, &name, at, vars);
}

fn variable(group: &str, line: &str, at: SourceSpan, raw: &mut Raw<'_>) {
    let Some((key, value)) = line.split_once('=') else {
        return raw.problem(
            "inventory::word",
            "a variable is `key=value`",
            at,
            "write `key=value`",
        );
    };
    let value = value.trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let text = raw.source.shown.clone();
    let var = match unquoted {
        Some(quoted) => Var {
            value: quoted.into(),
            text,
            at,
        },
        None => var(value, at, raw),
    };
    raw.group(group, at).vars.insert(key.trim().to_owned(), var);
}

/// Numbers and booleans are typed, as Ansible's INI types them.
fn var(value: &str, at: SourceSpan, raw: &Raw<'_>) -> Var {
    let value = minijinja::Value::from_serialize(Scalar::plain(value).resolve());
    let text = raw.source.shown.clone();
    Var { value, text, at }
}
