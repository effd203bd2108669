//! The fleet behind the wire, on virtual time.

use std::time::Duration;

use super::*;
use crate::sim::spec::parse;
use crate::wire::{Become, Change, Query};

fn clock() -> Clock {
    Clock::starting_at(Timestamp::from_second(1_795_320_000).unwrap(), 1)
}

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn batch(requests: Vec<Request>) -> Batch {
    Batch {
        r#become: Become::Root,
        requests,
    }
}

fn order(line: &str, timeout: u64) -> Request {
    let command = Command::new(line.split(' ')).within(Duration::from_secs(timeout));
    Request::Change(Change::Run(command))
}

fn status(response: &Response) -> (i32, bool) {
    match response {
        Response::Ran(ran) => (ran.status, ran.timed_out),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocking_restart_waits_for_ready() {
    let fleet = SimTransport::open(&parse("sim:3+1").unwrap(), clock()).unwrap();
    let begun = fleet.clock.now();
    let done = fleet
        .exec(
            &host("server-2"),
            &batch(vec![order("systemctl restart k3s", 60)]),
        )
        .await
        .unwrap();
    assert_eq!(status(&done[0]), (0, false));
    let took = fleet.clock.now().duration_since(begun).as_secs();
    assert!((4..21).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_blocking_restart_that_never_ends_is_cut_at_its_deadline() {
    let spec = parse("sim:3+1?fault=agent-1:never-returns").unwrap();
    let fleet = SimTransport::open(&spec, clock()).unwrap();
    let done = fleet
        .exec(
            &host("agent-1"),
            &batch(vec![order("systemctl restart k3s-agent", 60)]),
        )
        .await
        .unwrap();
    assert_eq!(status(&done[0]), (124, true));
}

#[tokio::test(start_paused = true)]
async fn a_failed_change_ends_its_batch_and_a_failed_query_does_not() {
    let fleet = SimTransport::open(&parse("sim:1+0").unwrap(), clock()).unwrap();
    let look = Request::Query(Query::Run(Command::new(["false"])));
    let requests = vec![look, order("false", 5), order("true", 5)];
    let done = fleet
        .exec(&host("server-1"), &batch(requests))
        .await
        .unwrap();
    assert_eq!(done.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_model_names_the_request() {
    let fleet = SimTransport::open(&parse("sim:1+0").unwrap(), clock()).unwrap();
    let error = fleet
        .exec(&host("server-1"), &batch(vec![order("apt update", 5)]))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "server-1: the simulated fleet does not know how to answer `apt update`"
    );
}

#[tokio::test(start_paused = true)]
async fn looking_changes_nothing() {
    let fleet = SimTransport::open(&parse("sim:3+2").unwrap(), clock()).unwrap();
    let look = Request::Query(Query::Run(Command::new([
        "k3s",
        "kubectl",
        "--request-timeout=10s",
        "get",
        "nodes",
        "-o",
        "json",
    ])));
    fleet
        .exec(
            &host("server-1"),
            &batch(vec![
                look,
                Request::Query(Query::read("/etc/rancher/k3s/config.yaml")),
            ]),
        )
        .await
        .unwrap();
    assert_eq!(fleet.changes(), 0);
    fleet
        .exec(
            &host("server-1"),
            &batch(vec![order("systemctl daemon-reload", 5)]),
        )
        .await
        .unwrap();
    assert_eq!(fleet.changes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kept_fleet_goes_on_from_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.json");
    let spec = parse(&format!("sim:3+2?state={}", path.display())).unwrap();
    let first = SimTransport::open(&spec, clock()).unwrap();
    first
        .exec(
            &host("agent-1"),
            &batch(vec![order("systemctl stop k3s-agent", 9)]),
        )
        .await
        .unwrap();
    first.clock.sleep(Duration::from_mins(5)).await;
    let before = first.with(|fleet| fleet.now());
    first.save().unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let second = SimTransport::open(&spec, clock()).unwrap();
    assert_eq!(second.with(|fleet| fleet.now()), before);
    let done = second
        .exec(
            &host("agent-1"),
            &batch(vec![order("systemctl is-active k3s-agent.service", 9)]),
        )
        .await
        .unwrap();
    assert_eq!(status(&done[0]).0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_garbled_state_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.json");
    std::fs::write(&path, "not json").unwrap();
    let spec = parse(&format!("sim:1+0?state={}", path.display())).unwrap();
    let error = SimTransport::open(&spec, clock()).err().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("fleet.json is not a kept fleet")
    );
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_hosts_are_raised_and_asked() {
    let fleet = SimTransport::open(&parse("sim:3+10000").unwrap(), clock()).unwrap();
    let look = batch(vec![Request::Query(Query::read(
        "/etc/systemd/system/k3s-agent.service.env",
    ))]);
    for number in [1, 5_000, 10_000] {
        let done = fleet
            .exec(&host(&format!("agent-{number}")), &look)
            .await
            .unwrap();
        assert!(matches!(&done[0], Response::Content(Some(_))));
    }
    assert_eq!(fleet.with(|fleet| fleet.hosts().len()), 10_003);
}

/// A fleet that is kept, opened with this string's beginning and end.
fn kept(folder: &tempfile::TempDir, size: &str, more: &str) -> Result<SimTransport, StateError> {
    let path = folder.path().join("fleet.json");
    let spec = parse(&format!("sim:{size}?state={}{more}", path.display())).unwrap();
    SimTransport::open(&spec, clock())
}

#[tokio::test(start_paused = true)]
async fn a_fault_strikes_a_kept_fleet_too_and_what_is_left_out_is_as_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = kept(&folder, "3+1", "&surface=env&k3s=v1.32.4+k3s1").unwrap();
    first.save().unwrap();
    let second = kept(&folder, "3+1", "&fault=server-2:disk-full").unwrap();
    let has = |fleet: &SimTransport| {
        fleet.with(|fleet| fleet.host(&host("server-2")).unwrap().faults.clone())
    };
    assert_eq!(has(&second), [crate::sim::fault::Fault::DiskFull]);
    second.save().unwrap();
    let third = kept(&folder, "3+1", "&fault=server-2:disk-full&surface=env").unwrap();
    assert_eq!(has(&third).len(), 1, "it is had once");
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_a_kept_fleet_is_marked_and_nothing_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    kept(&folder, "3+3", "").unwrap().save().unwrap();
    let table = [
        ("5+3", "", "5+3", "keeps a fleet of 3+3", "write sim:3+3"),
        ("3+3", "&seed=7", "seed=7", "`seed=1`", "leave `seed` out"),
        (
            "3+3",
            "&surface=env",
            "surface=env",
            "`surface=config`",
            "leave `surface` out",
        ),
        (
            "3+3",
            "&datastore=external",
            "datastore=external",
            "`datastore=etcd`",
            "leave `datastore` out",
        ),
        (
            "3+3",
            "&topology=split",
            "topology=split",
            "without `topology`",
            "leave `topology` out",
        ),
        (
            "3+3",
            "&installer=mixed",
            "installer=mixed",
            "without `installer`",
            "leave `installer` out",
        ),
        (
            "3+3",
            "&k3s=v1.32.4+k3s1",
            "k3s=v1.32.4+k3s1",
            "`k3s=v1.34.3+k3s1`",
            "leave `k3s` out",
        ),
    ];
    for (size, more, marked, what, help) in table {
        let Err(StateError::Other(error)) = kept(&folder, size, more) else {
            panic!("{size}{more} was taken")
        };
        let at = error.at.offset()..error.at.offset() + error.at.len();
        assert_eq!(&error.text[at], marked);
        assert!(
            error.what.contains(what) && error.what.contains("fleet.json"),
            "{error}"
        );
        assert!(error.help.starts_with(help), "{}", error.help);
        assert!(error.help.contains("remove that file"), "{}", error.help);
    }
    assert!(kept(&folder, "3+3", "&seed=1&datastore=etcd&port=6443").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_link_to_a_kept_fleet_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("far")).unwrap();
    std::os::unix::fs::symlink("far/real.json", folder.path().join("fleet.json")).unwrap();
    kept(&folder, "1+0", "").unwrap().save().unwrap();
    assert!(folder.path().join("far/real.json").is_file());
    assert!(folder.path().join("fleet.json").is_symlink());
}

#[test]
fn a_folder_that_is_not_there_is_found_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}/none/f.json", folder.path().display());
    let spec = parse(&format!("sim:1+0?state={path}")).unwrap();
    let error = SimTransport::open(&spec, clock()).err().unwrap();
    assert!(error.to_string().contains(&path), "{error}");
}
