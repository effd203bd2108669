//! `keyroll verify` as cron sees it: one colour, one number, and nothing left behind.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

/// What the simulated fleet of seed 1 has before any rotation.
const OLD: &str = "285c76da4ac086fea15e0d28a229a3c6";

fn keyroll(state: &Path, args: &[&str]) -> Output {
    let mut command = Command::cargo_bin("keyroll").unwrap();
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYROLL_STATE_DIR", state)
        .env("OLD", OLD)
        .env("NEVER", "0123456789abcdeffedcba9876543210")
        .timeout(Duration::from_mins(2));
    command.args(args).output().unwrap()
}

pub(crate) struct Place {
    folder: TempDir,
    fleet: String,
}

/// A fleet that is kept between commands.
pub(crate) fn place(shape: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("fleet.json");
    let fleet = format!("sim:{shape}state={}", kept.display());
    Place { folder, fleet }
}

impl Place {
    /// The same fleet, with nothing that goes wrong on purpose from now on.
    pub(crate) fn without_faults(mut self) -> Self {
        let (shape, options) = self.fleet.split_once('?').unwrap();
        let kept = options.split('&').filter(|it| !it.starts_with("fault="));
        self.fleet = format!("{shape}?{}", kept.collect::<Vec<_>>().join("&"));
        self
    }

    pub(crate) fn run(&self, args: &[&str]) -> (i32, String) {
        let args: Vec<&str> = args.iter().copied().chain(["-i", &self.fleet]).collect();
        let output = keyroll(self.folder.path(), &args);
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    }

    fn rotate(&self) {
        let (code, said) = self.run(&["run", "@rotate-token"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("proof: green"), "{said}");
    }
}

#[test]
fn a_fleet_that_was_never_rotated_is_yellow() {
    let place = place("1+1?");
    let (code, said) = place.run(&["verify"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("proof: yellow"), "{said}");
    assert!(said.contains("the old token was not probed"), "{said}");
    assert!(said.contains("CA keys"), "{said}");
    let (code, said) = place.run(&["verify", "--strict"]);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("--strict wants a green proof"), "{said}");
    assert!(said.contains("exit 8"), "{said}");
    assert_eq!(place.run(&["verify", "--strict", "-q"]).0, 8);
}

#[test]
fn a_rotated_fleet_is_green_when_the_old_token_is_named() {
    let place = place("1+1?");
    place.rotate();
    let (_, said) = place.run(&["where"]);
    let is_proven = |host: &str| {
        let mut lines = said.lines().filter(|line| line.starts_with(host));
        lines.all(|line| line.contains(" proven "))
    };
    assert!(is_proven("server-1") && is_proven("agent-1"), "{said}");
    let (code, said) = place.run(&["verify", "-q"]);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("yellow: ") && said.lines().count() == 1,
        "{said}"
    );
    let named = ["verify", "-q", "--strict", "--old-token-from", "env:OLD"];
    assert_eq!(place.run(&named), (0, "green\n".to_owned()));
    let never = ["verify", "-q", "--old-token-from", "env:NEVER"];
    let (code, said) = place.run(&never);
    assert_eq!(code, 0);
    assert!(
        said.starts_with("yellow: ") && said.contains("old in the last proven rotation"),
        "{said}"
    );
    let (_, said) = place.run(&["verify", "--json", "--old-token-from", "env:OLD"]);
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["summary"]["verdict"], "green");
    assert!(!said.contains(OLD));
}

#[test]
fn the_old_token_that_is_back_is_named_with_the_way_out() {
    let (code, said) = place("1+0?").run(&["verify", "--old-token-from", "env:OLD"]);
    assert_eq!(code, 8, "{said}");
    assert!(said.contains("server-1 runs with the old token"), "{said}");
    assert!(
        said.contains("next: rotate again: keyroll run @rotate-token"),
        "{said}"
    );
    assert!(
        !said.contains("which the running process does not"),
        "{said}"
    );
}

#[test]
fn it_leaves_nothing_behind() {
    let place = place("1+1?");
    place.rotate();
    let kept = place.folder.path().join("fleet.json");
    let (before, runs) = (
        std::fs::read(&kept).unwrap(),
        place.folder.path().join("runs"),
    );
    let journals = std::fs::read_dir(&runs).unwrap().count();
    assert_eq!(place.run(&["verify", "-q"]).0, 0);
    assert_eq!(std::fs::read(&kept).unwrap(), before);
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), journals);
}

#[test]
fn what_speaks_against_it_is_red_and_who_is_away_is_never_green() {
    let (code, said) = place("1+1?fault=agent-1:foreign-token&").run(&["verify", "-q"]);
    assert_eq!(code, 8, "{said}");
    assert!(said.starts_with("red: "), "{said}");
    let (code, said) = place("1+2?fault=agent-2:unreachable&").run(&["verify", "-q"]);
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("agent-2 cannot be reached"), "{said}");
    let (code, said) = place("1+2?").run(&["verify", "-q", "-l", "server"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("no proof came to agent-1 and agent-2"),
        "{said}"
    );
}

#[test]
fn the_first_server_is_restarted_twice_on_request() {
    let place = place("1+0?");
    let (code, said) = place.run(&["run", "@rotate-token", "-v", "--restart-twice"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        said.matches("restart k3s.service, so that").count(),
        2,
        "{said}"
    );
}
