//! Each request as shell text. The functions that it calls are in `prelude.sh`.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use super::quote;
use crate::secret::Content;
use crate::wire::{
    CHANGE, Change, Command, Folder, Guard, Holds, Owner, Query, Request, WriteFile,
};

/// Seconds that a look at a file may take on the host.
const LOOK_S: u64 = 30;

/// What cannot be said in a script, such as a path with a NUL. The text goes to standard error.
type Refusal = &'static str;

/// Appends one request, between `begin` and its markers.
pub(super) fn append(script: &mut Vec<u8>, at: usize, request: &Request, nonce: &str) {
    script.extend_from_slice(b"b\n");
    let start = script.len();
    let made = match request {
        Request::Guard(guard) => {
            look_again(guard).map(|text| script.extend_from_slice(text.as_bytes()))
        }
        Request::Query(Query::Run(command)) | Request::Change(Change::Run(command)) => {
            run(script, command)
        }
        Request::Query(query) => look(query).map(|text| script.extend_from_slice(text.as_bytes())),
        Request::Change(Change::WriteFile(file)) => write_file(script, file, nonce),
        Request::Change(change) => {
            change_paths(change).map(|text| script.extend_from_slice(text.as_bytes()))
        }
    };
    if let Err(why) = made {
        script.truncate(start);
        script.extend_from_slice(format!("r '{why}'").as_bytes());
    }
    script.extend_from_slice(format!("\na {at}\n").as_bytes());
    if matches!(request, Request::Change(_) | Request::Guard(_)) {
        script.extend_from_slice(b"[ \"$s\" = 0 ] || e\n");
    }
}

/// How long a request may take on the host, at most.
pub(super) fn deadline(request: &Request) -> Duration {
    match request {
        Request::Query(Query::Run(command)) | Request::Change(Change::Run(command)) => {
            Duration::from_secs(seconds(command.timeout) + 5)
        }
        Request::Query(_) => Duration::from_secs(2 * (LOOK_S + 5)),
        Request::Guard(_) => Duration::from_secs(LOOK_S + 5),
        Request::Change(_) => CHANGE,
    }
}

/// What a request sends beside its own words.
pub(super) fn contents(request: &Request) -> impl Iterator<Item = &Content> {
    let (first, second) = match request {
        Request::Query(Query::Run(command)) | Request::Change(Change::Run(command)) => {
            (command.stdin.as_ref(), command.fd3.as_ref())
        }
        Request::Change(Change::WriteFile(file)) => (Some(&file.content), None),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

/// Whole seconds, at least one: `timeout 0` means no deadline at all.
fn seconds(timeout: Duration) -> u64 {
    let rounded_up = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
    rounded_up.max(1)
}

/// sudo gives root what `/etc/environment` says, and kubectl takes a proxy for every address but loopback ones. Programs
/// differ in how they spell the variable.
const PAST_PROXIES: [&str; 3] = ["env", "NO_PROXY=*", "no_proxy=*"];

fn run(script: &mut Vec<u8>, command: &Command) -> Result<(), Refusal> {
    if command.argv.is_empty() {
        return Err("there is no program to run");
    }
    let past_proxies = PAST_PROXIES.into_iter().filter(|_| command.direct);
    let argv = quote::words(past_proxies.chain(command.argv.iter().map(String::as_str)))
        .ok_or("an argument holds a NUL byte")?;
    if contents_of(command) {
        script.extend_from_slice(b"p && ");
    }
    if let Some(body) = &command.fd3 {
        feed(script, body);
        script.extend_from_slice(b"{ exec 3<&0 </dev/null; ");
    }
    if let Some(input) = &command.stdin {
        feed(script, input);
    }
    script.extend_from_slice(format!("t {} {argv}", seconds(command.timeout)).as_bytes());
    if command.fd3.is_some() {
        script.extend_from_slice(b"; }");
    }
    Ok(())
}

fn contents_of(command: &Command) -> bool {
    command.stdin.is_some() || command.fd3.is_some()
}

/// A command that does not read its input is no mistake, so the printer's complaint is not kept.
fn feed(script: &mut Vec<u8>, content: &Content) {
    quote::print(script, content.bytes());
    script.extend_from_slice(b" 2>/dev/null | ");
}

fn look(query: &Query) -> Result<String, Refusal> {
    Ok(match query {
        Query::Run(_) => return Err("a command is not a look at a file"),
        Query::Files {
            paths,
            folders,
            limit,
        } => files(paths, folders, *limit)?,
        Query::Environments { units, limit } => {
            let units =
                quote::words(units.iter().map(String::as_str)).ok_or("a name holds a NUL byte")?;
            format!("h {} {units}", limit.saturating_add(1))
        }
        Query::Read { path, limit } => {
            format!(
                "t {LOOK_S} head -c {} {}",
                limit.saturating_add(1),
                absolute(path)?
            )
        }
        Query::Stat { path, follow } => {
            let path = absolute(path)?;
            let (option, target) = if *follow {
                (" -L", String::new())
            } else {
                (
                    "",
                    format!(" && if [ -L {path} ]; then t {LOOK_S} readlink {path}; fi"),
                )
            };
            format!("t {LOOK_S} stat{option} -c '%f %u %g %s %.9Y %.9Z' {path}{target}")
        }
        Query::List { path } => {
            let folder = Utf8PathBuf::from(format!("{}/", path.as_str().trim_end_matches('/')));
            format!(
                "t {LOOK_S} find {} -mindepth 1 -maxdepth 1 -print0",
                absolute(&folder)?
            )
        }
    })
}

/// Only a digest travels, so that a guard costs the same for every file.
fn look_again(guard: &Guard) -> Result<String, Refusal> {
    let path = absolute(&guard.path)?;
    Ok(match &guard.holds {
        Holds::Bytes(content) => format!("g {path} {}", digest(content.bytes())),
        Holds::Nothing => format!("n {path}"),
        Holds::Names(names) => {
            let lines: String = names
                .iter()
                .flat_map(|name| [name.as_str(), "\n"])
                .collect();
            format!("l {path} {}", digest(lines.as_bytes()))
        }
    })
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Each folder comes once, and its files as patterns that the shell expands: hidden names too, in any case.
fn files(paths: &[Utf8PathBuf], folders: &[Folder], limit: u64) -> Result<String, Refusal> {
    let mut words = vec!["y".to_owned(), limit.saturating_add(1).to_string()];
    for path in paths {
        words.push(absolute(path)?);
    }
    for folder in folders {
        let path = absolute(&folder.path)?;
        for ending in &folder.endings {
            let ending = pattern(ending)?;
            words.extend(["*", ".*"].map(|name| format!("{path}/{name}{ending}")));
        }
    }
    Ok(words.join(" "))
}

/// An ending as a shell pattern.
fn pattern(ending: &str) -> Result<String, Refusal> {
    let mut pattern = String::new();
    for c in ending.chars() {
        match c {
            'a'..='z' => pattern.extend(['[', c, c.to_ascii_uppercase(), ']']),
            '0'..='9' | '.' | '-' => pattern.push(c),
            _ => return Err("an ending has other characters than a-z, 0-9, dot and dash"),
        }
    }
    Ok(pattern)
}

fn change_paths(change: &Change) -> Result<String, Refusal> {
    Ok(match change {
        Change::Run(_) | Change::WriteFile(_) => return Err("not a change of paths alone"),
        Change::Rename { from, to } => {
            let (old, new) = (absolute(from)?, absolute(to)?);
            let (old_folder, new_folder) = (absolute(folder(from))?, absolute(folder(to))?);
            if old_folder == new_folder {
                format!("t 60 mv -fT {old} {new} && f {new_folder}")
            } else {
                format!(
                    "d {old_folder} {new_folder} && t 60 mv -fT {old} {new} && f {new_folder} && f {old_folder}"
                )
            }
        }
        Change::Remove { path } => format!("x {} {}", absolute(path)?, absolute(folder(path))?),
    })
}

/// The content goes to a file in a folder that nobody else can enter, since the file may have another's mode and ACL
/// from its first moment. What an earlier write left behind there when it was killed goes away.
fn write_file(script: &mut Vec<u8>, file: &WriteFile, nonce: &str) -> Result<(), Refusal> {
    let name: String = file
        .path
        .file_name()
        .ok_or("the path names no file")?
        .chars()
        .take(40)
        .collect();
    let folder_path = folder(&file.path);
    let suffix = nonce.get(..12).unwrap_or(nonce);
    let left = folder_path.join(format!(".{name}.keyroll-tmp."));
    let own = Utf8PathBuf::from(format!("{left}{suffix}"));
    let temp = absolute(&own.join("new"))?;
    let (path, dir, left, own) = (
        absolute(&file.path)?,
        absolute(folder_path)?,
        absolute(&left)?,
        absolute(&own)?,
    );
    let like = match &file.owner {
        Owner::Runner => "''".to_owned(),
        Owner::Like(other) => absolute(other)?,
    };
    let parent = if file.make_parent {
        format!("mkdir -p {dir} && f {} && ", absolute(folder(folder_path))?)
    } else {
        String::new()
    };
    let (mode, len) = (file.mode & 0o7777, file.content.bytes().len());
    let begin =
        format!("p && (umask 077; rm -rf {left}*; {parent}k {own} {temp} {mode:04o} {like} && ");
    script.extend_from_slice(begin.as_bytes());
    quote::print(script, file.content.bytes());
    let end = format!(" >>{temp} && w {temp} {path} {dir} {len}; s=$?; rm -rf {own}; exit $s)");
    script.extend_from_slice(end.as_bytes());
    Ok(())
}

fn folder(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(Utf8Path::new("/"))
}

fn absolute(path: &Utf8Path) -> Result<String, Refusal> {
    if !path.is_absolute() {
        return Err("the path is not absolute");
    }
    let word = quote::word(path.as_str()).ok_or("the path holds a NUL byte")?;
    Ok(word.into_owned())
}
