//! Commands that the model knows, by their argument vectors.

use std::time::Duration;

use super::perform::{Reply, Trouble, ran};
use super::{Fleet, Host, copy, join_tokens, journal, k3s, leftovers, show, systemctl};
use crate::model::HostTime;
use crate::sim::call::Call;
use crate::sim::fault::Fault;
use crate::sim::world::Files as _;
use crate::wire::{Become, Command, Response};

/// How a script begins that shows units.
const SHOW: &str = "shown=$(systemctl show ";
/// How a script begins that lets some lines of a command's output through.
const FILTER: &str = "\"$@\" | grep -e ";

/// How a script begins that leaves in a file whether a command was answered well, or with K3s's own 500.
const ASK: &str = "file=$1; words=$2; unit=$3; shift 3;";
/// A script that says who called sudo.
const SUDO_UID: &str = r#"echo "${SUDO_UID-}""#;
/// How a script begins that says who logged in.
const WHO: &str = "u=${SUDO_USER:-";

const K3S: [&str; 2] = ["k3s", "/usr/local/bin/k3s"];

impl Fleet {
    pub(super) fn run(
        &mut self,
        at: usize,
        r#become: &Become,
        command: &Command,
    ) -> Result<Reply, Trouble> {
        let words: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        let argv = without_env(&words);
        let mut reply = match argv {
            ["systemctl", rest @ ..] => self.systemctl(at, rest),
            ["sh", "-s", "--", "copy-sqlite", rest @ ..] => self.copy_database(at, rest),
            ["sh", "-s", "--", "join-token", rest @ ..] => self.make_join_token(at, rest),
            // systemd's words, and what the kernel says of the processes: its clocks agree here.
            ["sh", "-c", script, "sh", rest @ ..] if script.starts_with(SHOW) => {
                self.systemctl(at, &[&["show", show::EXACT][..], rest].concat())
            }
            // Ends the main process and then the unit, as one script.
            ["sh", "-c", script, "sh", unit] if script.ends_with("exec systemctl stop \"$1\"") => {
                self.systemctl(at, &["kill", unit]);
                self.systemctl(at, &["stop", unit])
            }
            ["sh", "-c", script, "sh", file, words, _, ..] if script.starts_with(ASK) => {
                return self.asked(at, r#become, command, (file, words));
            }
            ["sh", "-c", script, "sh", ..] if script.starts_with(FILTER) => {
                return self.filtered(at, r#become, command, script);
            }
            [binary, ..] if K3S.contains(binary) || self.is_binary(at, binary) => {
                let rest: Vec<String> = argv.iter().skip(1).map(|arg| (*arg).to_owned()).collect();
                match Call::parse(&rest) {
                    Some(call) => self.k3s(at, &call, command).map(Some)?,
                    None => None,
                }
            }
            ["sleep", seconds] => seconds.parse().ok().map(|seconds| Reply {
                takes: Duration::from_secs_f64(seconds),
                ..Reply::at_once(ran(0, "", ""))
            }),
            _ => {
                let host = self.hosts.get(at);
                let response = host.and_then(|host| {
                    small(host, argv, r#become, self.now)
                        .or_else(|| leftovers::search(host, argv, command))
                        .or_else(|| journal::search(host, argv))
                });
                response.map(Reply::at_once)
            }
        };
        let restarts = matches!(argv, ["systemctl", "restart", ..]);
        let host = self.hosts.get_mut(at).filter(|_| restarts);
        if host.is_some_and(|host| host.spend(Fault::CutRestart)) {
            return Err(Trouble::Cut);
        }
        if reply.is_none() && self.unknown_ok {
            self.assumed.insert(command.argv.join(" "));
            reply = Some(Reply::at_once(ran(0, "", "")));
        }
        let mut reply = reply.ok_or_else(|| Trouble::Unmodelled(command.argv.join(" ")))?;
        if reply.takes > command.timeout {
            reply.takes = command.timeout;
            reply.response = timed_out();
        }
        Ok(reply)
    }

    /// The lines of a command's output that begin with one of the words that `grep` is given.
    fn filtered(
        &mut self,
        at: usize,
        r#become: &Become,
        command: &Command,
        script: &str,
    ) -> Result<Reply, Trouble> {
        let inner = Command {
            argv: command.argv.iter().skip(4).cloned().collect(),
            ..command.clone()
        };
        let mut reply = self.run(at, r#become, &inner)?;
        if let Response::Ran(ran) = &mut reply.response {
            let words = script.split("-e '^").skip(1);
            let words: Vec<&str> = words.filter_map(|rest| rest.split('\'').next()).collect();
            let begins = |line: &&str| words.iter().any(|word| line.starts_with(word));
            let text = ran.stdout.text().into_owned();
            let kept: String = text
                .lines()
                .filter(begins)
                .flat_map(|line| [line, "\n"])
                .collect();
            if !ran.timed_out {
                ran.status = i32::from(kept.is_empty());
            }
            ran.stdout = kept.as_str().into();
        }
        Ok(reply)
    }

    /// A command whose answer is left in a file, where one is named; another failure than 500 is the script's.
    fn asked(
        &mut self,
        at: usize,
        r#become: &Become,
        command: &Command,
        (file, words): (&str, &str),
    ) -> Result<Reply, Trouble> {
        let inner = Command {
            argv: command.argv.iter().skip(7).cloned().collect(),
            ..command.clone()
        };
        let mut reply = self.run(at, r#become, &inner)?;
        let Response::Ran(said) = &reply.response else {
            return Ok(reply);
        };
        let is_refused = said.stderr.text().contains("token error ID");
        // The journal has another reason beside the number of that fault.
        let is_of_token = !said.stderr.text().contains(k3s::PASSING);
        if said.status != 0 && !is_refused {
            return Ok(reply);
        }
        if file.is_empty() {
            reply.response = ran(0, "", "");
            return Ok(reply);
        }
        if !is_of_token {
            return Ok(reply);
        }
        let text = format!("{words} {}\n", if is_refused { "no" } else { "yes" });
        let written = self.hosts.get_mut(at).map(|host| {
            let full = host.has(Fault::DiskFull);
            !full && host.disk.write(file, text.as_bytes(), 0o600).is_ok()
        });
        reply.response = if written == Some(true) {
            ran(0, "", "")
        } else {
            ran(1, "", format!("cannot create {file}"))
        };
        Ok(reply)
    }

    /// Whether the unit runs this program.
    fn is_binary(&self, at: usize, program: &str) -> bool {
        let host = self.hosts.get(at);
        host.and_then(|host| host.unit.loaded.exec.first())
            .is_some_and(|known| known == program)
    }

    fn systemctl(&mut self, at: usize, words: &[&str]) -> Option<Reply> {
        match words {
            ["show", rest @ ..] => {
                let host = self.hosts.get(at)?;
                Some(Reply::at_once(ran(0, show::show(host, rest), "")))
            }
            ["is-active", units @ ..] => {
                let host = self.hosts.get(at)?;
                let words: Vec<&str> = units.iter().map(|unit| active(host, unit)).collect();
                let status = if words.contains(&"active") { 0 } else { 3 };
                let text: String = words.iter().flat_map(|word| [word, "\n"]).collect();
                Some(Reply::at_once(ran(status, text, "")))
            }
            _ => systemctl::parse(words).map(|verb| self.order(at, verb)),
        }
    }
}

/// Of a unit that is not K3s's, systemd's own mark says whether it is.
fn active<'a>(host: &'a Host, unit: &str) -> &'a str {
    let mark = format!("/run/systemd/units/invocation:{unit}");
    if host.unit.name == unit {
        host.unit.state.words().0
    } else if host.disk.stat(&mark).is_some() {
        "active"
    } else {
        "inactive"
    }
}

pub(super) fn timed_out() -> Response {
    match ran(124, "", "") {
        Response::Ran(mut ran) => {
            ran.timed_out = true;
            Response::Ran(ran)
        }
        other => other,
    }
}

fn without_env<'a, 'b>(argv: &'b [&'a str]) -> &'b [&'a str] {
    let mut rest = argv.strip_prefix(&["env"]).unwrap_or(argv);
    while let (true, [first, others @ ..]) = (rest.len() < argv.len(), rest) {
        if !first.contains('=') {
            break;
        }
        rest = others;
    }
    rest
}

/// Commands of the base system; `None` when there is no model of one.
fn small(host: &Host, argv: &[&str], r#become: &Become, now: HostTime) -> Option<Response> {
    let said = |text: String| Some(ran(0, text + "\n", ""));
    match argv {
        ["true"] => Some(ran(0, "", "")),
        ["false"] => Some(ran(1, "", "")),
        ["echo", words @ ..] => said(words.join(" ")),
        ["hostname"] | ["uname", "-n"] => said(host.name.as_str().to_owned()),
        ["id", "-u"] => said(
            if *r#become == Become::Root {
                "0"
            } else {
                "1000"
            }
            .to_owned(),
        ),
        ["date", "+%s.%N"] => {
            let time = host.time(now).0;
            said(format!(
                "{}.{:09}",
                time / 1_000_000,
                time % 1_000_000 * 1000
            ))
        }
        ["date", "+%s"] => said((host.time(now).0 / 1_000_000).to_string()),
        ["df", "-Pk", path] => Some(free(host, path)),
        ["cat", path] => Some(match host.title(path).or_else(|| host.disk.text(path)) {
            Some(text) => ran(0, text, ""),
            None => ran(1, "", format!("cat: {path}: No such file or directory\n")),
        }),
        ["test", "-w", path] => {
            let there = host.disk.stat(&host.disk.resolve(path)).is_some();
            let locked = host.disk.etc_read_only && path.starts_with("/etc/");
            Some(ran(i32::from(!there || locked), "", ""))
        }
        ["readlink", "-f", path] => said(host.disk.resolve(path)),
        ["sh", "-c", script, "sh", uid] if script.starts_with(WHO) => Some(who(host, uid)),
        ["sh", "-c", SUDO_UID] => {
            let environ = host.disk.text("/proc/self/environ").unwrap_or_default();
            let mut words = environ.split('\0');
            let uid = words.find_map(|word| word.strip_prefix("SUDO_UID="));
            Some(ran(0, format!("{}\n", uid.unwrap_or_default()), ""))
        }
        ["lsattr", "-d", _] => Some(ran(127, "", "sh: lsattr: not found\n")),
        ["test", "-e", path] => {
            let there = host.disk.stat(&host.disk.resolve(path)).is_some();
            Some(ran(i32::from(!there), "", ""))
        }
        ["journalctl", words @ ..] => journal::read(host, words),
        _ => copy::look(host, argv).or_else(|| join_tokens::look(host, argv)),
    }
}

/// Name and groups of a user, by the files of the host.
fn who(host: &Host, uid: &str) -> Response {
    let rows = |path| host.disk.text(path).unwrap_or_default();
    let (users, groups) = (rows("/etc/passwd"), rows("/etc/group"));
    let user = users.lines().find_map(|row| {
        let mut cells = row.split(':');
        let name = cells.next()?;
        (cells.nth(1) == Some(uid)).then_some(name)
    });
    let Some(name) = user else {
        return ran(1, "", "");
    };
    let is_in = |row: &&str| {
        let members = row.rsplit(':').next().unwrap_or_default();
        members.split(',').any(|member| member == name)
    };
    let own = groups.lines().filter(is_in);
    let own: Vec<&str> = own.filter_map(|row| row.split(':').next()).collect();
    ran(0, format!("{name}\n{}\n", own.join(" ")), "")
}

fn free(host: &Host, path: &str) -> Response {
    if !host.disk.is_directory(path) && host.disk.stat(&host.disk.resolve(path)).is_none() {
        return ran(1, "", format!("df: {path}: No such file or directory\n"));
    }
    let (used, left, percent) = if host.has(Fault::DiskFull) {
        (20_000_000, 0, 100)
    } else {
        (4_000_000, 16_000_000, 20)
    };
    let table = format!(
        "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda1         20000000 {used:>8} {left:>9} {percent:>7}% /\n"
    );
    ran(0, table, "")
}
