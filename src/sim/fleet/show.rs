//! `systemctl show`: the properties of units, in systemd's formats.

use std::fmt::Write as _;

use super::{Host, State, Unit};
use crate::model::HostTime;
use crate::sim::fault::Fault;
use crate::sim::world::timestamp;

/// With it moments are shown to the microsecond.
pub(super) const EXACT: &str = "--timestamp=us+utc";

/// Blocks of `Key=value`, separated by an empty line; a pattern matches loaded units only.
pub(super) fn show(host: &Host, words: &[&str]) -> String {
    let mut properties: Vec<&str> = Vec::new();
    let mut units: Vec<&str> = Vec::new();
    for word in words {
        if let Some(list) = word.strip_prefix("--property=") {
            properties.extend(list.split(','));
        } else if let Some(list) = word.strip_prefix("-p") {
            properties.extend(list.split(','));
        } else if !word.starts_with('-') {
            units.push(word);
        }
    }
    let mut blocks: Vec<(String, String)> = Vec::new();
    for unit in units {
        let suffix = if unit.contains('.') { "" } else { ".service" };
        let unit = format!("{unit}{suffix}");
        let name = match matches(&unit, &host.unit.name) {
            true => host.unit.name.clone(),
            false if unit.contains(['*', '?', '[']) => continue,
            false => unit,
        };
        if blocks.iter().all(|(known, _)| *known != name) {
            let block = block(host, &name, &properties, words.contains(&EXACT));
            blocks.push((name, block));
        }
    }
    let texts: Vec<String> = blocks.into_iter().map(|(_, text)| text).collect();
    texts.join("\n")
}

/// Whether a name matches a pattern with `*`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(tail))
            .is_some(),
    }
}

fn block(host: &Host, name: &str, properties: &[&str], is_exact: bool) -> String {
    let mut text = String::new();
    for key in properties {
        let known = (name == host.unit.name).then_some(host);
        let known = known.filter(|host| is_told(host, key));
        match (*key, known) {
            ("Id", _) => line(&mut text, key, name),
            ("EnvironmentFiles", Some(host)) => {
                for path in &host.unit.loaded.env_files {
                    line(&mut text, key, &format!("{path} (ignore_errors=yes)"));
                }
            }
            (_, Some(host)) => line(&mut text, key, &value(host, key, is_exact)),
            (_, None) => line(&mut text, key, absent(key)),
        }
    }
    text
}

/// Whether systemd still knows this of a unit whose text is gone: only how its process does.
fn is_told(host: &Host, key: &str) -> bool {
    let gone = host.has(Fault::UnitMissing) || host.has(Fault::UnitMasked);
    let of_text = matches!(
        key,
        "LoadState"
            | "UnitFileState"
            | "FragmentPath"
            | "DropInPaths"
            | "ExecStart"
            | "Environment"
            | "EnvironmentFiles"
            | "Type"
    );
    let masked = matches!(key, "LoadState" | "UnitFileState") && host.has(Fault::UnitMasked);
    !(gone && of_text) || masked
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{key}={value}").ok();
}

fn absent(key: &str) -> &'static str {
    match key {
        "LoadState" => "not-found",
        "ActiveState" => "inactive",
        "SubState" => "dead",
        "MainPID"
        | "NRestarts"
        | "ExecMainStartTimestampMonotonic"
        | "ActiveEnterTimestampMonotonic" => "0",
        "NeedDaemonReload" => "no",
        "Result" => "success",
        _ => "",
    }
}

fn value(host: &Host, key: &str, is_exact: bool) -> String {
    let unit = &host.unit;
    let moment = |at: Option<HostTime>| at.map(if is_exact { exact } else { long });
    let (active, sub) = unit.state.words();
    match key {
        "LoadState" | "UnitFileState" if host.has(Fault::UnitMasked) => "masked".to_owned(),
        "LoadState" => "loaded".to_owned(),
        "ExecMainStatus" => i32::from(unit.result == "exit-code").to_string(),
        "ActiveState" => active.to_owned(),
        "SubState" => sub.to_owned(),
        "MainPID" => unit.main_pid.to_string(),
        "NRestarts" => unit.n_restarts.to_string(),
        "InvocationID" if unit.state == State::Inactive => String::new(),
        "InvocationID" => unit.invocation.clone(),
        "ExecMainStartTimestamp" => moment(unit.started).unwrap_or_default(),
        "ExecMainStartTimestampMonotonic" => monotonic(host, unit.started),
        "ActiveEnterTimestamp" => moment(unit.ready).unwrap_or_default(),
        "ActiveEnterTimestampMonotonic" => monotonic(host, unit.ready),
        "NeedDaemonReload" => {
            let stale = unit.loaded.is_stale(&host.disk, &unit.fragment);
            if stale { "yes" } else { "no" }.to_owned()
        }
        "UnitFileState" => if unit.enabled { "enabled" } else { "disabled" }.to_owned(),
        "Result" => unit.result.clone(),
        "Type" => "notify".to_owned(),
        "FragmentPath" => unit.fragment.clone(),
        "DropInPaths" => unit.loaded.drop_ins.join(" "),
        "ExecStart" => exec(unit),
        "Environment" => unit.loaded.environment.join(" "),
        _ => String::new(),
    }
}

fn monotonic(host: &Host, at: Option<HostTime>) -> String {
    let since = at.map_or(0, |at| at.since(host.booted).as_micros());
    since.to_string()
}

fn exec(unit: &Unit) -> String {
    let path = unit.loaded.exec.first().map_or("", String::as_str);
    let argv = unit.loaded.exec.join(" ");
    let start = unit.started.map_or_else(|| "n/a".to_owned(), long);
    format!(
        "{{ path={path} ; argv[]={argv} ; ignore_errors=no ; start_time=[{start}] ; stop_time=[n/a] ; pid={} ; code=(null) ; status=0/0 }}",
        unit.main_pid
    )
}

/// As systemd prints a moment: `Sun 2026-11-22 04:20:22 UTC`.
fn long(at: HostTime) -> String {
    timestamp(at)
        .strftime("%a %Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// The same to the microsecond.
fn exact(at: HostTime) -> String {
    timestamp(at)
        .strftime("%a %Y-%m-%d %H:%M:%S.%6f UTC")
        .to_string()
}
