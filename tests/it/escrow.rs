//! What is kept off the hosts, as people run it: real age keys and files, fetched snapshots, and files that somebody damaged.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use assert_cmd::Command;
use camino::Utf8Path;
use keyroll::clock::Clock;
use keyroll::escrow::{Identity, Recipients, Vault};
use keyroll::model::{HostName, RunId};
use keyroll::op::custody::{Custody as _, Found, Parcel, Rotation, Source};
use keyroll::transport::sim::SimTransport;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::lab_canary::Canary;

/// Makes a key; the identity, and the recipient that belongs to it.
pub(crate) fn key(file: &Utf8Path) -> (Identity, String) {
    let key = age::x25519::Identity::generate();
    let text = format!("# a key\n{}\n", key.to_string().expose_secret());
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    (Identity::read(file).unwrap(), key.to_public().to_string())
}

/// A folder with a key in it.
struct Desk {
    folder: TempDir,
    recipient: String,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let (_, recipient) = key(Utf8Path::from_path(&file).unwrap());
        Self { folder, recipient }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn keyroll(&self, args: &[&str]) -> Output {
        Command::cargo_bin("keyroll")
            .unwrap()
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("KEYROLL_STATE_DIR", self.path("state"))
            .timeout(Duration::from_mins(2))
            .args(args)
            .output()
            .unwrap()
    }

    fn rotate(&self, fleet: &str, more: &[&str]) -> Output {
        self.keyroll(
            &[
                &[
                    "run",
                    "@rotate-token",
                    "-i",
                    fleet,
                    "--escrow-to",
                    &self.recipient,
                ],
                more,
            ]
            .concat(),
        )
    }

    fn show(&self, run: &str) -> Output {
        self.keyroll(&["escrow", "show", run, "--identity", &self.text("key")])
    }

    /// The one folder that is kept.
    fn kept(&self) -> PathBuf {
        let mut all = std::fs::read_dir(self.path("state/escrow")).unwrap();
        let only = all.next().unwrap().unwrap().path();
        assert!(all.next().is_none());
        only
    }

    fn run(&self) -> String {
        let name = self
            .kept()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        name.rsplit_once('-').unwrap().0.to_owned()
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// The token that every such fleet has before its first rotation.
fn old(fleet: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    let sim =
        SimTransport::open(&keyroll::sim::spec::parse(fleet).unwrap(), Clock::real()).unwrap();
    sim.with(|fleet| fleet.first_secret().expose().to_owned())
}

#[test]
fn a_rotation_keeps_the_old_token_for_whoever_may_decrypt_it_and_for_nobody_else() {
    for fleet in ["sim:3+1", "sim:1+1"] {
        let desk = Desk::new();
        let done = desk.rotate(fleet, &["--escrow-identity", &desk.text("key")]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert!(
            said(&done).contains("the old token is kept, encrypted, in"),
            "{}",
            said(&done)
        );
        let kept = desk.kept();
        assert_eq!(mode(&kept), 0o700);
        for file in ["entry.json", "old.age", "restore.txt"] {
            assert_eq!(mode(&kept.join(file)), 0o600, "{file}");
        }
        let shown = desk.show(&desk.run());
        assert_eq!(shown.status.code(), Some(0), "{}", said(&shown));
        assert_eq!(
            said(&shown),
            format!("{}\n", old(fleet)),
            "nothing but the token"
        );
        let canary = Canary::new(&[&old(fleet)]);
        assert_eq!(canary.below(&desk.path("state")), Vec::<String>::new());
        assert!(!canary.is_in(said(&done).as_bytes()));
        let note = std::fs::read_to_string(kept.join("restore.txt")).unwrap();
        assert!(
            note.contains("/snapshots/before-rotation-") && note.contains("after-rotation-"),
            "{note}"
        );
        let list = desk.keyroll(&["escrow", "list"]);
        for part in [
            &desk.run(),
            &desk.recipient,
            "servers: server-1",
            "before-rotation-",
        ] {
            assert!(said(&list).contains(part), "{part}: {}", said(&list));
        }
        assert!(!canary.is_in(said(&list).as_bytes()));
        let json: serde_json::Value =
            serde_json::from_slice(&desk.keyroll(&["escrow", "list", "--json"]).stdout).unwrap();
        assert_eq!(json[0]["recipients"][0], desk.recipient.as_str());
    }
}

#[test]
fn the_playbooks_folder_is_used_and_a_dry_run_keeps_nothing() {
    let desk = Desk::new();
    let place = desk.text("kept");
    let variable = format!("escrow_dir={place}");
    let looked = desk.rotate("sim:1+1", &["-e", &variable, "--check"]);
    assert_eq!(looked.status.code(), Some(10), "{}", said(&looked));
    assert!(
        said(&looked).contains("keep the old token off the hosts"),
        "{}",
        said(&looked)
    );
    assert!(!desk.path("kept").exists());
    let done = desk.rotate("sim:1+1", &["-e", &variable]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(!desk.path("state/escrow").exists());
    let list = desk.keyroll(&["escrow", "list", "--dir", &place]);
    assert!(said(&list).contains(&desk.recipient), "{}", said(&list));
}

#[test]
fn a_snapshot_that_is_fetched_is_whole_and_paired_without_a_secret() {
    for (fleet, files) in [("sim:3+1", 2), ("sim:1+1", 4)] {
        let desk = Desk::new();
        let done = desk.rotate(fleet, &["--fetch-snapshot", &desk.text("backups")]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert_eq!(mode(&desk.path("backups")), 0o700);
        let index = std::fs::read_to_string(desk.path("backups/snapshots.jsonl")).unwrap();
        assert_eq!(index.lines().count(), files, "{index}");
        let entry: serde_json::Value =
            serde_json::from_slice(&std::fs::read(desk.kept().join("entry.json")).unwrap())
                .unwrap();
        for line in index.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let file = desk.path("backups").join(line["file"].as_str().unwrap());
            assert_eq!(mode(&file), 0o600);
            assert_eq!(
                file.metadata().unwrap().len(),
                line["size"].as_u64().unwrap()
            );
            assert_eq!(
                line["pairing"], entry["pairing"],
                "the pair is not told by the same digest"
            );
        }
        assert!(
            Canary::new(&[&old(fleet)])
                .below(&desk.path("backups"))
                .is_empty()
        );
        let names = std::fs::read_dir(desk.path("backups")).unwrap();
        assert_eq!(names.count(), files + 1, "a part was left");
    }
}

#[test]
fn a_folder_for_snapshots_that_others_can_enter_stops_the_rotation_before_the_rotate() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("backups")).unwrap();
    std::fs::set_permissions(desk.path("backups"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = desk.rotate("sim:1+1", &["--fetch-snapshot", &desk.text("backups")]);
    assert_eq!(done.status.code(), Some(4), "{}", said(&done));
    assert!(said(&done).contains("chmod 700"), "{}", said(&done));
    assert!(
        !said(&done).contains("changed  server-1: Re-encrypt"),
        "{}",
        said(&done)
    );
}

#[test]
fn a_rotation_of_real_hosts_needs_a_choice() {
    let desk = Desk::new();
    let hosts = "k3s_cluster:\n  children:\n    server:\n      hosts:\n        s1: {ansible_host: 127.0.0.1, ansible_port: 1}\n";
    std::fs::write(desk.path("hosts.yml"), hosts).unwrap();
    let line = |more: &[&str]| {
        let inventory = desk.text("hosts.yml");
        desk.keyroll(&[&["run", "@rotate-token", "-i", inventory.as_str()], more].concat())
    };
    for more in [&[][..], &["--yes"], &["--json"]] {
        let done = line(more);
        assert_eq!(done.status.code(), Some(2), "{more:?}: {}", said(&done));
        let words = said(&done);
        assert!(
            words.contains("--escrow-to") && words.contains("--no-escrow"),
            "{words}"
        );
    }
    for more in [
        &["--no-escrow"][..],
        &["--check"],
        &["--escrow-to", &desk.recipient],
    ] {
        let done = line(more);
        assert_eq!(done.status.code(), Some(7), "{more:?}: {}", said(&done));
    }
}

#[test]
fn whom_nobody_can_encrypt_to_is_told_without_a_secret() {
    let desk = Desk::new();
    let refused = |to: &str, more: &[&str]| {
        let done = desk.keyroll(
            &[
                &["run", "@rotate-token", "-i", "sim:1+0", "--escrow-to", to],
                more,
            ]
            .concat(),
        );
        assert_eq!(done.status.code(), Some(2), "{to}: {}", said(&done));
        said(&done)
    };
    assert!(refused("age1nonsense", &[]).contains("no age recipient"));
    assert!(refused("ssh-ed25519 AAAA", &[]).contains("age-keygen"));
    assert!(refused("/none/there", &[]).contains("No such file"));
    let secret = std::fs::read_to_string(desk.path("key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let words = refused(secret, &[]);
    assert!(
        words.contains("secret key") && !words.contains(secret),
        "{words}"
    );
    let words = refused(&desk.text("key"), &[]);
    assert!(
        words.contains("key:2") && !words.contains(secret),
        "{words}"
    );
    std::fs::write(
        desk.path("to"),
        format!("# whom\n{}\nage1x\n", desk.recipient),
    )
    .unwrap();
    assert!(refused(&desk.text("to"), &[]).contains("to:3"));
    std::fs::write(desk.path("to"), "# nobody\n").unwrap();
    assert!(refused(&desk.text("to"), &[]).contains("names no recipient"));
    let other = Desk::new();
    let words = refused(&other.recipient, &["--escrow-identity", &desk.text("key")]);
    assert!(words.contains("not encrypted to any key"), "{words}");
}

#[test]
fn what_somebody_damaged_is_named_and_never_taken_for_good() {
    let desk = Desk::new();
    let done = desk.rotate("sim:1+1", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let (run, kept) = (desk.run(), desk.kept());
    let other = Desk::new();
    let foreign = desk.keyroll(&["escrow", "show", &run, "--identity", &other.text("key")]);
    assert!(
        said(&foreign).contains("not encrypted to any key"),
        "{}",
        said(&foreign)
    );
    assert!(foreign.stdout.is_empty());

    let refused = |part: &str| {
        let shown = desk.show(&run);
        assert_ne!(shown.status.code(), Some(0));
        assert!(
            said(&shown).contains(part) && shown.stdout.is_empty(),
            "{part}: {}",
            said(&shown)
        );
    };
    let sealed = kept.join("old.age");
    let whole = std::fs::read(&sealed).unwrap();
    let restore = || std::fs::write(&sealed, &whole).unwrap();
    std::fs::write(&sealed, &whole[..whole.len() - 1]).unwrap();
    refused("is damaged");
    restore();
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("others can read");
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(desk.show(&run).status.code(), Some(0));
    let entry = kept.join("entry.json");
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, &text[..text.len() / 2]).unwrap();
    refused("entry.json:");
    let list = desk.keyroll(&["escrow", "list"]);
    assert_eq!(list.status.code(), Some(3), "{}", said(&list));
    std::fs::write(&entry, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    refused("format 9");
    std::fs::remove_file(&entry).unwrap();
    refused("cannot be read");
    let none = desk.show("20200101-000000-0000");
    assert!(said(&none).contains("nothing is kept"), "{}", said(&none));
}

#[test]
fn a_secret_key_that_others_can_read_is_not_used() {
    let desk = Desk::new();
    std::fs::set_permissions(desk.path("key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let shown = desk.show("any");
    assert_eq!(shown.status.code(), Some(2));
    assert!(said(&shown).contains("chmod 600"), "{}", said(&shown));
}

/// A vault that takes a snapshot of these bytes.
fn receiving(folder: &TempDir, bytes: &[u8]) -> (Vault, Parcel, Found) {
    let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("in")).unwrap();
    let vault = Vault {
        run: RunId("r".to_owned()),
        place: path.join("unused"),
        recipients: Recipients::default(),
        identity: None,
        snapshots: Some(path),
    };
    let parcel = Parcel {
        rotation: Rotation {
            tag: "cea98305".to_owned(),
            pairing: "ab".to_owned(),
        },
        begins: "before-".to_owned(),
        source: Source::In("/snapshots".into()),
    };
    let found = Found {
        host: HostName::new("s1").unwrap(),
        path: "/snapshots/before-1".into(),
        name: "before-1".to_owned(),
        size: bytes.len() as u64,
        digest: format!("{:x}", Sha256::digest(bytes)),
    };
    (vault, parcel, found)
}

#[test]
fn half_a_snapshot_is_gone_on_with_and_a_false_one_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let (vault, parcel, found) = receiving(&folder, &bytes);
    vault
        .receive(&parcel, &found)
        .unwrap()
        .append(&bytes[..700_001])
        .unwrap();
    assert_eq!(vault.has(&parcel), Ok(false), "half of it is none of it");
    let mut rest = vault.receive(&parcel, &found).unwrap();
    assert_eq!(rest.have(), 700_001);
    rest.append(&bytes[700_001..]).unwrap();
    let place = rest.finish().unwrap();
    assert_eq!(std::fs::read(&place).unwrap(), bytes);
    assert_eq!(vault.has(&parcel), Ok(true));
    let other = Parcel {
        rotation: Rotation {
            tag: "cea98305".to_owned(),
            pairing: "of another token".to_owned(),
        },
        ..parcel.clone()
    };
    assert_eq!(vault.has(&other), Ok(false));
    let taken = vault.receive(&other, &found).err().unwrap();
    assert!(taken.what.contains("is there already"), "{taken}");
    std::fs::write(&place, &bytes[1..]).unwrap();
    assert_eq!(vault.has(&parcel), Ok(false), "it was cut off");

    let folder = tempfile::tempdir().unwrap();
    let (vault, parcel, found) = receiving(&folder, &bytes);
    let mut bent = vault.receive(&parcel, &found).unwrap();
    bent.append(&bytes[1..]).unwrap();
    bent.append(&[7]).unwrap();
    let error = bent.finish().unwrap_err();
    assert!(
        error.what.contains("did not come over as it is on s1"),
        "{error}"
    );
    assert_eq!(
        vault.receive(&parcel, &found).unwrap().have(),
        0,
        "nothing of it is taken for a beginning"
    );
    let index = folder.path().join("in/snapshots.jsonl");
    std::fs::write(index, "{}\n").unwrap();
    let error = vault.has(&parcel).unwrap_err();
    assert!(error.what.contains("snapshots.jsonl:1:"), "{error}");
}
