//! K3s, real or stood in for, on lab hosts: a few clusters beside one another, each on hosts of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use super::backend::{Backend, Desk, Ended, Held, Said, drawn, secret_file};
use super::scenario::{Datastore, Run, Scenario, Stage};
use super::{digest, lab_faults, lab_plan, secrets};
use crate::lab_canary::{Canary, Watched};
use crate::ssh_hosts::Lab;

const FOLDER: &str = "keyroll-lab-e2e";
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab");
/// Hosts of one cluster.
const HOSTS: usize = 4;
/// Clusters beside one another: the stand-in waits more than it works.
const LANES: usize = 4;

/// The hosts of all lanes.
pub(super) struct Labs {
    lab: Lab,
    stage: Stage,
    pub(super) real: Option<String>,
}

impl Labs {
    /// Raises them.
    ///
    /// # Errors
    /// Why there can be none.
    pub(super) fn raise(stage: Stage, real: Option<String>) -> Result<Self, String> {
        if real.is_none() && option_env!("CARGO_BIN_EXE_k3s-standin").is_none() {
            return Err("it was built without --features standin".to_owned());
        }
        let raising = Lab::try_raise(FOLDER, HOSTS * lanes(stage));
        let lab = runtime().block_on(raising)?;
        Ok(Self { lab, stage, real })
    }

    pub(super) fn lanes(&self) -> std::ops::Range<usize> {
        0..lanes(self.stage)
    }

    fn script(&self, name: &str) -> assert_cmd::Command {
        let mut script = assert_cmd::Command::new(format!("{SCRIPTS}/{name}"));
        script
            .env("LAB", self.lab.folder())
            .env(
                "LEASE_MS",
                if self.real.is_some() { "10000" } else { "1000" },
            )
            .env_remove("K3S_BIN")
            .timeout(Duration::from_mins(15));
        if let Some(standin) = option_env!("CARGO_BIN_EXE_k3s-standin") {
            script.env("STANDIN", standin);
        }
        if let Some(real) = &self.real {
            script.env("K3S_BIN", real);
        }
        script
    }

    /// Calls `lab.sh`.
    fn call(&self, args: &[&str]) -> Output {
        self.script("lab.sh").args(args).output().unwrap()
    }

    /// Calls `k3s.sh`, which must succeed.
    fn k3s(&self, args: &[&str], input: &str) -> String {
        let mut script = self.script("k3s.sh");
        let done = script.args(args).write_stdin(input).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "k3s.sh {args:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    }
}

fn lanes(stage: Stage) -> usize {
    let wish = super::wish("KEYROLL_E2E_LANES").map(|text| text.parse().unwrap());
    if stage == Stage::Real {
        1
    } else {
        wish.unwrap_or(LANES)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// One scenario's cluster.
pub(super) struct Cluster<'a> {
    pub(super) labs: &'a Labs,
    pub(super) desk: Desk,
    first: usize,
    runtime: tokio::runtime::Runtime,
    /// What waits beside this cluster ends with it.
    alive: Arc<()>,
    /// What happens once keyroll has said some words.
    later: RefCell<Vec<Later>>,
}

/// Words, and what happens once keyroll has said them.
type Later = (&'static str, Box<dyn FnOnce()>);

impl<'a> Cluster<'a> {
    pub(super) fn raise(labs: &'a Labs, lane: usize, scenario: &Scenario) -> Self {
        let topology = &scenario.cluster;
        assert!(
            topology.hosts().len() <= HOSTS,
            "it wants more than {HOSTS} hosts"
        );
        let cluster = Self {
            labs,
            desk: Desk::new(topology, drawn("old")),
            first: lane * HOSTS + 1,
            runtime: runtime(),
            alive: Arc::new(()),
            later: RefCell::default(),
        };
        for number in cluster.first..cluster.first + HOSTS {
            let host = format!("h{number}");
            for call in [
                ["start", &host].as_slice(),
                &["link", &host, "up"],
                &["resume", &host],
            ] {
                let done = labs.call(call);
                let said = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "lab.sh {call:?}: {said}");
            }
        }
        let name = format!("lane-{lane}");
        let folder = labs.lab.file("clusters").join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        secret_file(&folder.join("token"), &cluster.desk.old);
        labs.k3s(
            &["install", &name],
            &lab_plan::plan(topology, cluster.first),
        );
        let inventory = labs.k3s(&["inventory", &name], "");
        std::fs::write(cluster.inventory(), inventory).unwrap();
        std::fs::copy(cluster.lab_file("ssh_config"), cluster.ssh_config()).unwrap();
        cluster
    }

    /// The lab's name of a host.
    pub(super) fn place(&self, host: &str) -> String {
        let hosts = self.desk.topology.hosts();
        let at = hosts.iter().position(|known| known == host).unwrap();
        format!("h{}", self.first + at)
    }

    /// Where a host's disk is seen from here.
    pub(super) fn disk(&self, host: &str) -> PathBuf {
        self.labs
            .lab
            .file("run")
            .join(self.place(host))
            .join("root")
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.desk.file("lab.yml")
    }

    /// A file of the lab.
    pub(super) fn lab_file(&self, name: &str) -> PathBuf {
        self.labs.lab.file(name)
    }

    /// This scenario's own.
    pub(super) fn ssh_config(&self) -> PathBuf {
        self.desk.file("ssh_config")
    }

    /// A call of `lab.sh` about a host, to be made beside everything else: the verb, and what follows the host.
    pub(super) fn call_later(&self, host: &str, words: &[&str]) -> assert_cmd::Command {
        let mut script = self.labs.script("lab.sh");
        script
            .args(&words[..1])
            .arg(self.place(host))
            .args(&words[1..]);
        script
    }

    /// Does something beside everything else as soon as another file is at a path.
    pub(super) fn when_replaced(
        &self,
        host: &str,
        path: &str,
        then: impl FnOnce() + Send + 'static,
    ) {
        let file = self.disk(host).join(path.trim_start_matches('/'));
        let inode = move || std::fs::metadata(&file).ok().map(|meta| meta.ino());
        let first = inode();
        self.when(move || inode().is_some_and(|now| first != Some(now)), then);
    }

    /// Does something beside everything else as soon as a thing is so, unless this cluster is gone by then.
    pub(super) fn when(
        &self,
        is_so: impl Fn() -> bool + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) {
        let alive = Arc::downgrade(&self.alive);
        std::thread::spawn(move || {
            while !is_so() {
                if alive.upgrade().is_none() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            then();
        });
    }

    /// Does something once keyroll has said some words, while it waits for nobody.
    pub(super) fn once_said(&self, words: &'static str, then: impl FnOnce() + 'static) {
        self.later.borrow_mut().push((words, Box::new(then)));
    }

    /// keyroll says a line.
    pub(super) fn hears(&self, line: &str) {
        let mut later = self.later.borrow_mut();
        for (_, then) in later.extract_if(.., |(words, _)| line.contains(*words)) {
            then();
        }
    }

    /// Something in a host that must work.
    pub(super) fn shell(&self, host: &str, script: &str) {
        let said = self.command(host, &["sh", "-ec", script], "");
        assert_eq!(said.status, 0, "{host}: {script}: {}{}", said.out, said.err);
    }
}

impl Backend for Cluster<'_> {
    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn keyroll(&self, run: &Run) -> Ended {
        let limit = Duration::from_mins(if self.is_quick() { 6 } else { 40 });
        self.runtime.block_on(async {
            let run_all = tokio::time::timeout(limit, self.follow(run));
            if !run.watched {
                return run_all.await.unwrap();
            }
            let canary = Canary::new(&[&self.desk.old, &self.desk.new]);
            let mut watched = Watched::default();
            let mut ended = tokio::select! {
                ended = run_all => ended.unwrap(),
                () = canary.watch(&mut watched) => unreachable!(),
            };
            assert!(watched.rounds > 20 && watched.processes > 500);
            ended.leaks.extend(watched.found);
            ended.leaks.extend(secrets::left(self, &canary));
            ended
        })
    }

    fn command(&self, host: &str, argv: &[&str], stdin: &str) -> Said {
        let mut script = self.labs.script("lab.sh");
        script.args(["in", &self.place(host)]).args(argv);
        let done = script.write_stdin(stdin).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            status: done.status.code().unwrap_or(-1),
            out: text(&done.stdout),
            err: text(&done.stderr),
        }
    }

    fn read(&self, host: &str, path: &str) -> Option<Held> {
        let file = self.disk(host).join(path.trim_start_matches('/'));
        let text = std::fs::read_to_string(&file).ok()?;
        let meta = std::fs::metadata(&file).unwrap();
        Some(Held {
            text,
            mode: meta.mode() & 0o7777,
            group: meta.gid(),
        })
    }

    fn write(&self, host: &str, path: &str, text: &str) {
        let argv = ["sh", "-ec", "umask 077; cat >\"$0\"", path];
        let said = self.command(host, &argv, text);
        assert_eq!(said.status, 0, "{host}: {path}: {}", said.err);
    }

    fn remove(&self, host: &str, path: &str) {
        self.shell(host, &format!("rm {path}"));
    }

    fn fault(&self, host: &str, name: &str) {
        lab_faults::inflict(self, host, name);
    }

    fn heal(&self, host: &str) {
        lab_faults::heal(self, host);
    }

    fn power(&self, host: &str, what: &str) {
        let place = self.place(host);
        let calls: &[&[&str]] = match what {
            "off" => &[&["kill", &place]],
            "on" => &[&["start", &place]],
            "rebooted" => &[&["kill", &place], &["start", &place]],
            "frozen" => &[&["pause", &place]],
            "thawed" => &[&["resume", &place]],
            "unplugged" => &[&["link", &place, "down"]],
            "plugged" => &[&["link", &place, "up"]],
            _ => panic!("the lab has no `power: {what}`"),
        };
        for call in calls {
            let done = self.labs.call(call);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "lab.sh {call:?}: {said}");
        }
        if matches!(what, "on" | "rebooted") {
            lab_faults::settled(self, host);
        }
    }

    /// The stand-in starts at once, and waits that are long are for starts.
    fn wait(&self, seconds: u64) {
        let is_long = seconds >= 20;
        let seconds = if self.is_quick() && is_long {
            seconds / 2
        } else {
            seconds
        };
        std::thread::sleep(Duration::from_secs(seconds));
    }

    fn everything(&self) -> BTreeMap<String, String> {
        digest::of(self)
    }
}

/// Why a stage does not play a scenario that it could play otherwise.
pub(super) fn lacks(stage: Stage, scenario: &Scenario) -> Option<String> {
    if stage == Stage::Standin && super::results::wish("KEYROLL_E2E").is_none() {
        let why = scenario.spare.as_ref();
        return why.map(|why| format!("{why}; KEYROLL_E2E=all plays it"));
    }
    let external = scenario.cluster.datastore() == Datastore::External;
    let named = super::results::wish("K3S_DATASTORE").is_some();
    (stage == Stage::Real && external && !named)
        .then(|| "K3S_DATASTORE names no database server".to_owned())
}
