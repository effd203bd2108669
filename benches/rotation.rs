//! How long `where` and whole rotations of simulated fleets take, and how much memory: 3+97 and 5+995, or the sizes that
//! are named (`cargo bench --bench rotation -- 5+9995`).

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark has no one to report an error to"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "what is measured is the process as a user starts it"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often the memory of a run is looked at; its high-water mark only grows.
const LOOK: Duration = Duration::from_millis(20);

fn main() {
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg.contains('+'))
        .collect();
    if named.is_empty() {
        for size in ["3+97", "5+995"] {
            both(size);
        }
    }
    for size in &named {
        both(size);
    }
}

fn both(size: &str) {
    measure(&["where"], size);
    measure(&["run", "@rotate-token"], size);
}

/// Runs the built binary, so that the journal and the screen count as well.
fn measure(command: &[&str], size: &str) {
    let hosts: usize = size
        .split('+')
        .map(|part| part.parse::<usize>().expect("SERVERS+AGENTS"))
        .sum();
    let state = tempfile::tempdir().expect("a temporary folder");
    let started = Instant::now();
    let mut run = Command::new(env!("CARGO_BIN_EXE_keyroll"))
        .args(command)
        .arg(format!("--inventory=sim:{size}"))
        .arg("--state-dir")
        .arg(state.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a run");
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    let end = loop {
        if let Some(end) = run.try_wait().expect("an end") {
            break end;
        }
        peak = peak.max(high_water(&status).unwrap_or(0));
        std::thread::sleep(LOOK);
    };
    let took = started.elapsed();
    let command = command.join(" ");
    assert!(end.success(), "{command} of {size} ends with {end}");
    let each = took / u32::try_from(hosts).expect("fewer hosts");
    let peak = peak / 1024;
    println!("{command} {size}: {took:.2?} ({each:.2?} a host), at most {peak} MiB");
}

/// `VmHWM` in KiB.
fn high_water(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
