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

/// The same unit with other stamps of the wall clock.
fn stamped(started: &str, ready: &str) -> UnitState {
    let shown = AGENT
        .replace("Sun 2026-11-22 04:03:55", started)
        .replace("Sun 2026-11-22 04:03:57", ready);
    Unit {
        name: "k3s-agent.service".to_owned(),
    }
    .parse(&answers(&shown))
    .unwrap()
}

fn start_of(started: &str, ready: &str) -> (i64, i64) {
    let start = stamped(started, ready).start.unwrap();
    (start.from.0, start.until.0)
}

const SECOND: i64 = 1_795_320_235_000_000;

#[test]
fn where_systemd_tells_microseconds_a_start_is_the_same_at_every_look() {
    let unit = stamped(
        "Sun 2026-11-22 04:03:55.700001",
        "Sun 2026-11-22 04:03:57.900001",
    );
    assert_eq!(unit.started, Some(HostTime(SECOND + 700_001)));
    assert_eq!(unit.ready, Some(HostTime(SECOND + 2_900_001)));
    let start = unit.start.unwrap();
    assert_eq!(start.from, HostTime(SECOND + 700_001));
    assert_eq!(start.until, HostTime(SECOND + 2_900_001));
}

#[test]
fn of_whole_seconds_a_start_is_as_long_as_it_can_have_been() {
    let start = start_of("Sun 2026-11-22 04:03:55", "Sun 2026-11-22 04:03:57");
    assert_eq!(start, (SECOND, SECOND + 2_999_999));
}

#[test]
fn a_clock_that_was_stepped_since_does_not_move_a_start() {
    let year_ago = "Sat 2025-11-22 04:03:55.5";
    let (from, until) = start_of(year_ago, "Sat 2025-11-22 04:03:57.7");
    assert_eq!(from, SECOND - 365 * 86_400_000_000 + 500_000);
    assert_eq!(until, from + 2_200_000);
}

#[test]
fn a_clock_that_was_stepped_during_a_start_makes_it_as_long_as_it_can_have_been() {
    // An hour back: what was written after the step seems older than the process.
    let back = start_of("Sun 2026-11-22 05:03:55.0", "Sun 2026-11-22 04:03:57.2");
    let hour = 3_600_000_000;
    assert_eq!(back, (SECOND, SECOND + hour + 2_200_000));
    let forth = start_of("Sun 2026-11-22 03:03:55.0", "Sun 2026-11-22 04:03:57.2");
    assert_eq!(forth, (SECOND - hour, SECOND + 2_200_000));
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
fn a_failed_unit_that_would_not_start_again_is_a_leftover() {
    let failed = AGENT
        .replace("k3s-agent.service", "k3s.service")
        .replace("ActiveState=active", "ActiveState=failed")
        .replace("MainPID=400", "MainPID=0");
    let leftover = failed.replace("UnitFileState=enabled", "UnitFileState=disabled");
    let ids = |shown: &[&str]| {
        let found = Units.parse(&answers(&shown.join("\n"))).unwrap().unwrap();
        let ids: Vec<String> = found.into_iter().map(|unit| unit.text.id).collect();
        ids.join(" ")
    };
    assert_eq!(ids(&[AGENT, &leftover]), "k3s-agent.service");
    assert_eq!(ids(&[AGENT, &failed]), "k3s-agent.service k3s.service");
    // Alone, it is the one.
    assert_eq!(ids(&[&leftover]), "k3s.service");
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
