//! systemd units: the state of one, and which of them run K3s.

use std::collections::HashMap;

use camino::Utf8PathBuf;

use super::started::{BootClock, Stamp};
use super::{Fact, FactError, ran, said, succeeded, unreadable};
use crate::k3s::install::{Manager, UnitText};
use crate::model::HostTime;
use crate::wire::{Command, Query, Ran, Response};

const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,MainPID,NRestarts,InvocationID,\
ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,ActiveEnterTimestamp,ActiveEnterTimestampMonotonic,\
Type,NeedDaemonReload,UnitFileState,Result,FragmentPath,DropInPaths,\
ExecStart,Environment,EnvironmentFiles";

/// The state of one unit, now.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Such as `k3s.service`.
    pub name: String,
}

/// All units that run `k3s server` or `k3s agent`, running or not; where there is none, what else runs under such a
/// name. [`Unmanaged`] on a host without systemd.
#[derive(Debug, Clone, Copy)]
pub struct Units;

/// The host's own clock, now.
#[derive(Debug, Clone, Copy)]
pub struct HostClock;

impl Fact for HostClock {
    type Value = HostTime;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Run(Command::new(["date", "+%s.%N"]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<HostTime, FactError> {
        clock(ran(responses, 0, "the host's clock")?)
    }
}

fn clock(date: &Ran) -> Result<HostTime, FactError> {
    let said = date.stdout.text();
    let time = micros(said.trim()).map(HostTime);
    time.ok_or_else(|| unreadable("the host's clock", format!("`date` said {said:?}")))
}
const WHAT: &str = "the state of the K3s unit";

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, …
    pub load_state: String,
    /// `active`, `activating`, `failed`, `inactive`, …
    pub active_state: String,
    /// `running`, `start`, `auto-restart`, `dead`, …
    pub sub_state: String,
    /// 0 when it does not run.
    pub main_pid: u32,
    /// Restarts by systemd itself since somebody last started it.
    pub n_restarts: u64,
    /// Changes with every start.
    pub invocation: String,
    /// When its main process started; `None` when it never did.
    pub started: Option<HostTime>,
    /// When its process said that it is ready; `None` when it never did, or its kind of unit does not say so.
    pub ready: Option<HostTime>,
    /// The host's clock when it was asked.
    pub now: HostTime,
    /// `success`, `exit-code`, `timeout`, …
    pub result: String,
    /// Whether unit files were changed since systemd read them.
    pub needs_reload: bool,
    /// `enabled`, `disabled`, `masked`, …
    pub file_state: String,
    /// What it runs and where that is written.
    pub text: UnitText,
}

impl UnitState {
    /// Whether its main process is up and said so.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    /// Whether its command says `server` or `agent`, as K3s's own does.
    #[must_use]
    pub fn names_a_kind(&self) -> bool {
        let mut words = self.text.argv.iter().skip(1);
        words.any(|word| word == "server" || word == "agent")
    }

    /// `activating (auto-restart), restarted 4 times`.
    #[must_use]
    pub fn words(&self) -> String {
        let times = if self.n_restarts == 0 {
            String::new()
        } else {
            format!(", restarted {} times", self.n_restarts)
        };
        format!("{} ({}){times}", self.active_state, self.sub_state)
    }
}

impl Fact for Unit {
    type Value = UnitState;

    fn queries(&self) -> Vec<Query> {
        show(&[&self.name])
    }

    fn parse(&self, responses: &[Response]) -> Result<UnitState, FactError> {
        let mut blocks = blocks(responses)?;
        let found = blocks
            .iter()
            .position(|unit| unit.text.id == self.name)
            .unwrap_or(0);
        if blocks.is_empty() {
            Err(unreadable(
                format!("the state of {}", self.name),
                "systemctl said nothing",
            ))
        } else {
            Ok(blocks.swap_remove(found))
        }
    }
}

/// A host whose services systemd does not run, and what `systemctl` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmanaged(pub String);

impl Fact for Units {
    type Value = Result<Vec<UnitState>, Unmanaged>;

    fn queries(&self) -> Vec<Query> {
        show(&[
            "k3s.service",
            "k3s-agent.service",
            "k3s*.service",
            "rke2-server.service",
            "rke2-agent.service",
        ])
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let shown = ran(responses, 2, WHAT)?;
        if shown.status != 0 && !shown.timed_out {
            return Ok(Err(Unmanaged(said(shown))));
        }
        let mut all: Vec<UnitState> = Vec::new();
        for unit in blocks(responses)? {
            if !all.iter().any(|other| other.text.id == unit.text.id) {
                all.push(unit);
            }
        }
        let (mut found, others): (Vec<UnitState>, Vec<UnitState>) =
            all.into_iter().partition(UnitState::names_a_kind);
        // A second unit that neither runs nor would start is a leftover.
        let alive =
            |unit: &UnitState| unit.active_state != "inactive" || unit.file_state == "enabled";
        if found.iter().any(alive) {
            found.retain(alive);
        } else if found.is_empty() {
            found.extend(others.into_iter().filter(|unit| unit.main_pid > 0));
        }
        Ok(Ok(found))
    }
}

/// systemd's words, and when the first process and those of the units started by the clock that counts from boot.
const SHOW: &str = r#"shown=$(systemctl show "$@") || exit
printf '%s\n' "$shown"
for pid in 1 $(printf '%s\n' "$shown" | sed -n 's/^MainPID=\([1-9][0-9]*\)$/\1/p'); do
  printf '\nStarted=%s\n' "$(cat "/proc/$pid/stat" 2>/dev/null)"
done"#;

fn show(units: &[&str]) -> Vec<Query> {
    let argv = ["env", "TZ=UTC", "sh", "-c", SHOW, "sh", PROPERTIES]
        .iter()
        .chain(units);
    vec![
        // In this order the time between the two makes a process seem younger, never older than its file.
        Query::read("/proc/uptime"),
        Query::Run(Command::new(["date", "+%s.%N"])),
        Query::Run(Command::new(argv.map(|word| (*word).to_owned()))),
    ]
}

fn blocks(responses: &[Response]) -> Result<Vec<UnitState>, FactError> {
    let shown = succeeded(responses, 2, WHAT)?;
    let HostTime(now) = clock(ran(responses, 1, "the host's clock")?)?;
    let Some(Response::Content(Some(uptime))) = responses.first() else {
        return Err(unreadable("/proc/uptime", "there is no such file"));
    };
    let uptime = uptime.text().split_whitespace().next().and_then(micros);
    let booted = uptime
        .map(|uptime| now - uptime)
        .ok_or_else(|| unreadable("/proc/uptime", "it is no number"))?;
    let text = shown.stdout.text();
    let clock = BootClock::read(&text, booted);
    Ok(text
        .split("\n\n")
        .filter(|block| block.contains("Id="))
        .map(|block| state(block, now, &clock))
        .collect())
}

fn state(block: &str, now: i64, clock: &BootClock) -> UnitState {
    // Backwards, so that of two lines with one key the first counts.
    let pairs = block.lines().rev().filter_map(|line| line.split_once('='));
    let properties: HashMap<&str, &str> = pairs.collect();
    let get = |key: &str| properties.get(key).copied().unwrap_or_default().to_owned();
    let main_pid = get("MainPID").parse().unwrap_or(0);
    let stamp = |key: &str| {
        let exact = get(&format!("{key}Monotonic")).parse::<i64>().ok();
        let monotonic = exact.filter(|micros| *micros > 0)?;
        Some(Stamp {
            monotonic,
            wall: get(key),
        })
    };
    let started = stamp("ExecMainStartTimestamp");
    let moment = |stamp: Stamp| clock.moment(&stamp, started.as_ref(), main_pid);
    let ready = stamp("ActiveEnterTimestamp").filter(|_| get("Type").starts_with("notify"));
    let drop_ins = get("DropInPaths");
    let texts =
        std::iter::once(get("FragmentPath")).chain(drop_ins.split_whitespace().map(str::to_owned));
    UnitState {
        load_state: get("LoadState"),
        active_state: get("ActiveState"),
        sub_state: get("SubState"),
        main_pid,
        n_restarts: get("NRestarts").parse().unwrap_or(0),
        invocation: get("InvocationID"),
        started: started.clone().map(moment),
        ready: ready.map(moment),
        now: HostTime(now),
        result: get("Result"),
        needs_reload: get("NeedDaemonReload") == "yes",
        file_state: get("UnitFileState"),
        text: UnitText {
            id: get("Id"),
            argv: argv(&get("ExecStart")),
            environment: environment(&get("Environment")),
            environment_files: environment_files(block).map(|(path, _)| path).collect(),
            required_files: environment_files(block)
                .filter_map(|(path, optional)| (!optional).then_some(path))
                .collect(),
            texts: texts
                .filter(|path| !path.is_empty())
                .map(Utf8PathBuf::from)
                .collect(),
            manager: Manager::Systemd,
        },
    }
}

fn micros(seconds: &str) -> Option<i64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part.parse().ok()?)
}

/// `{ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server ; ignore_errors=no ; … }`
fn argv(exec: &str) -> Vec<String> {
    let words = exec
        .split_once("argv[]=")
        .and_then(|(_, rest)| rest.split_once(" ; ignore_errors="));
    words
        .map(|(words, _)| words.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

fn environment(line: &str) -> Vec<(String, String)> {
    let words =
        shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect());
    words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// Each file, and whether it may be missing: `/etc/default/k3s (ignore_errors=yes)`.
fn environment_files(block: &str) -> impl Iterator<Item = (Utf8PathBuf, bool)> {
    let lines = block
        .lines()
        .filter_map(|line| line.strip_prefix("EnvironmentFiles="));
    let file = |line: &str| {
        let (path, optional) = match line.rsplit_once(" (") {
            Some((path, flags)) => (path, flags.contains("ignore_errors=yes")),
            None => (line, true),
        };
        (Utf8PathBuf::from(path), optional)
    };
    lines.filter(|line| !line.is_empty()).map(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    fn answers(show: &str) -> Vec<Response> {
        let ran = |text: &str| answer(0, text, "");
        vec![
            Response::Content(Some("1000.25 1900.00\n".into())),
            ran("1795321234.500000000\n"),
            ran(show),
        ]
    }

    // The middle part is as recorded in agent-precedence.
    const AGENT: &str = "Type=notify\nId=k3s-agent.service\nLoadState=loaded\nMainPID=400\nResult=success\nNRestarts=2\n\
        ExecMainStartTimestamp=Sun 2026-11-22 04:03:55 UTC\nExecMainStartTimestampMonotonic=1500000\n\
        ActiveEnterTimestamp=Sun 2026-11-22 04:03:57 UTC\nActiveEnterTimestampMonotonic=3700000\n\
        ExecStart={ path=/usr/local/bin/k3s-cg ; argv[]=/usr/local/bin/k3s-cg agent ; ignore_errors=no ; start_time=[Sun 2026-11-22 04:20:22 UTC] ; stop_time=[n/a] ; pid=400 ; code=(null) ; status=0/0 }\n\
        Environment=PATH=/opt/k3s/bin:/usr/bin \"A=b c\"\n\
        EnvironmentFiles=/etc/default/k3s-agent (ignore_errors=yes)\nEnvironmentFiles=/etc/systemd/system/k3s-agent.service.env (ignore_errors=yes)\n\
        ActiveState=active\nSubState=running\nFragmentPath=/etc/systemd/system/k3s-agent.service\nDropInPaths=\n\
        UnitFileState=enabled\nNeedDaemonReload=no\nInvocationID=45d4b0666ba943f79d2946eaeab951f4\n";

    #[test]
    fn a_recorded_unit_is_read() {
        let unit = Unit {
            name: "k3s-agent.service".to_owned(),
        }
        .parse(&answers(AGENT))
        .unwrap();
        assert!(unit.is_active() && !unit.needs_reload);
        assert_eq!((unit.n_restarts, unit.main_pid), (2, 400));
        assert_eq!(unit.text.argv, ["/usr/local/bin/k3s-cg", "agent"]);
        assert_eq!(
            unit.text.environment,
            [
                ("PATH".into(), "/opt/k3s/bin:/usr/bin".into()),
                ("A".into(), "b c".into())
            ]
        );
        assert_eq!(unit.text.environment_files.len(), 2);
        assert_eq!(unit.text.texts, ["/etc/systemd/system/k3s-agent.service"]);
        assert_eq!(unit.now, HostTime(1_795_321_234_500_000));
        assert_eq!(unit.started, Some(HostTime(1_795_320_235_750_000)));
        assert_eq!(unit.ready, Some(HostTime(1_795_320_237_950_000)));
    }

    #[test]
    fn where_nothing_else_tells_the_second_of_the_wall_clock_counts() {
        let shown = AGENT.replace("04:03:55", "04:20:22");
        let unit = Unit {
            name: "k3s-agent.service".to_owned(),
        }
        .parse(&answers(&shown))
        .unwrap();
        assert_eq!(unit.started, Some(HostTime(1_795_321_222_999_999)));
    }

    /// As of a board that booted with an old time and got the right one after K3s had started.
    fn stepped(first: u32, own: u32) -> UnitState {
        let stat = |pid: u32, ticks: u32| {
            format!(
                "\nStarted={pid} (k3s) x) S 1 {} {ticks} 1 2\n",
                "0 ".repeat(17).trim()
            )
        };
        let shown =
            AGENT.replace("Sun 2026-11-22", "Sat 2025-11-01") + &stat(1, first) + &stat(400, own);
        Unit {
            name: "k3s-agent.service".to_owned(),
        }
        .parse(&answers(&shown))
        .unwrap()
    }

    #[test]
    fn after_a_step_of_the_clock_the_process_itself_tells_when_it_started() {
        let unit = stepped(2, 150);
        assert_eq!(unit.started, Some(HostTime(1_795_320_235_750_000)));
        assert_eq!(unit.ready, Some(HostTime(1_795_320_237_950_000)));
    }

    #[test]
    fn a_suspended_machine_is_no_trouble_to_the_process() {
        // 100 s of sleep before the start, which systemd's clock leaves out.
        let unit = stepped(0, 10_150);
        assert_eq!(unit.started, Some(HostTime(1_795_320_335_750_000)));
        assert_eq!(unit.ready, Some(HostTime(1_795_320_337_950_000)));
    }

    #[test]
    fn in_a_container_the_uptime_is_not_the_one_that_processes_count_from() {
        let unit = stepped(3_000, 3_150);
        assert_eq!(unit.started, Some(HostTime(1_761_969_835_999_999)));
    }

    #[test]
    fn only_units_that_run_k3s_are_found_and_each_once() {
        let absent = "Id=k3s.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n";
        let killall = "Id=k3s-killall.service\nLoadState=loaded\nActiveState=inactive\nExecStart={ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no ; x }\n";
        let found = Units
            .parse(&answers(&[absent, AGENT, AGENT, killall].join("\n")))
            .unwrap()
            .unwrap();
        assert_eq!(
            found
                .iter()
                .map(|unit| unit.text.id.as_str())
                .collect::<Vec<_>>(),
            ["k3s-agent.service"]
        );
    }

    #[test]
    fn what_else_runs_under_such_a_name_is_found_where_nothing_runs_k3s() {
        let wrapped = AGENT.replace("argv[]=/usr/local/bin/k3s-cg agent", "argv[]=/opt/start");
        let found = Units.parse(&answers(&wrapped)).unwrap().unwrap();
        assert_eq!(found[0].text.argv, ["/opt/start"]);
        let ended = wrapped.replace("MainPID=400", "MainPID=0");
        assert_eq!(Units.parse(&answers(&ended)).unwrap().unwrap(), []);
    }

    #[test]
    fn a_host_without_systemd_is_told_apart() {
        let mut without = answers("");
        without[2] = answer(127, "", "env: 'systemctl': No such file");
        let said = Units.parse(&without).unwrap().unwrap_err();
        assert!(said.0.contains("No such file"));
    }

    proptest::proptest! {
        #[test]
        fn fuzz_systemctl_show(
            lines in proptest::collection::vec("(Id|ExecStart|Environment|EnvironmentFiles|DropInPaths|FragmentPath|NRestarts|ExecMainStartTimestampMonotonic|)=?[\\PC\\x00;={} \"'\\\\]{0,40}", 0..12),
            uptime in "[0-9.]{0,24}", clock in "[0-9.\n]{0,24}",
        ) {
            let mut said = answers(&lines.join("\n"));
            said[0] = Response::Content(Some(uptime.as_str().into()));
            Units.parse(&said).ok();
            if let Response::Ran(ran) = &mut said[1] {
                ran.stdout = clock.as_str().into();
            }
            Units.parse(&said).ok();
        }
    }
}
