//! What is kept off the hosts, as people run it: real keys and files, and files that somebody damaged.

mod fetched;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use assert_cmd::Command;
use camino::Utf8Path;
use keyroll::clock::Clock;
use keyroll::escrow::Identity;
use keyroll::transport::sim::SimTransport;
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
        self.keyroll(&[
            "escrow",
            "show",
            run,
            "--show",
            "--identity",
            &self.text("key"),
        ])
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
    let sim = SimTransport::open(
        &keyroll::sim::spec::parse(fleet).unwrap(),
        Clock::starting_at(jiff::Timestamp::now(), 1),
    )
    .unwrap();
    sim.with(|fleet| fleet.first_secret().expose().to_owned())
}

#[test]
fn a_rotation_keeps_the_old_token_for_whoever_may_decrypt_it_and_for_nobody_else() {
    for fleet in ["sim:3+1", "sim:1+1"] {
        let desk = Desk::new();
        let done = desk.rotate(fleet, &["--escrow-identity", &desk.text("key")]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert!(
            said(&done).contains("the old token is kept, encrypted, in")
                && said(&done).contains("decrypted once, as a test"),
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
        let dir = format!("--dir {} --show", desk.text("state/escrow"));
        assert!(note.contains(&dir) && !note.contains("@ESCROW"), "{note}");
        let servers = if fleet == "sim:3+1" { 3 } else { 1 };
        let line = format!("     server-{servers}: /etc/rancher/k3s/config.yaml\n");
        assert!(note.contains(&line), "{note}");
        let list = desk.keyroll(&["escrow", "list"]);
        for part in [&desk.run(), &desk.recipient, "servers: server-1"] {
            assert!(said(&list).contains(part), "{part}: {}", said(&list));
        }
        assert!(!canary.is_in(said(&list).as_bytes()));
        let json: serde_json::Value =
            serde_json::from_slice(&desk.keyroll(&["escrow", "list", "--json"]).stdout).unwrap();
        assert_eq!(json[0]["recipients"][0], desk.recipient.as_str());
        assert_eq!(json[0]["to_come"], serde_json::Value::Null);
        // Each by its whole name, the one of etcd too, which K3s gives the rest of its name.
        for snapshot in json[0]["snapshots"].as_array().unwrap() {
            let path = snapshot[1].as_str().unwrap();
            assert!(
                !path.ends_with('-') && note.contains(&format!("{path}\n")),
                "{path}: {note}"
            );
        }
        assert!(!note.contains("begins with /"), "{note}");
    }
}

#[test]
fn a_snapshot_of_before_an_earlier_rotation_is_said_to_need_that_ones_token() {
    let desk = Desk::new();
    let fleet = format!("sim:1+0?datastore=etcd&state={}", desk.text("fleet.json"));
    let first = desk.rotate(&fleet, &[]);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let run = desk.run();
    // Runs are named by the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = desk.rotate(&fleet, &[]);
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    let list = said(&desk.keyroll(&["escrow", "list"]));
    let words = format!("(not with this token: with the one that run {run} kept)");
    let with = |part: &str| list.lines().filter(|line| line.contains(part)).count();
    assert_eq!(with(&words), 1, "{list}");
    let marked = list.lines().find(|line| line.contains(&words)).unwrap();
    assert!(marked.contains("/snapshots/before-rotation-"), "{list}");
    assert!(
        list.lines()
            .any(|line| line.contains("/snapshots/after-rotation-") && !line.contains("not with")),
        "{list}"
    );
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

/// An inventory of one host that nobody can reach.
fn unreachable(desk: &Desk) -> String {
    let hosts = "k3s_cluster:\n  children:\n    server:\n      hosts:\n        s1: {ansible_host: 127.0.0.1, ansible_port: 1}\n";
    std::fs::write(desk.path("hosts.yml"), hosts).unwrap();
    desk.text("hosts.yml")
}

#[test]
fn a_rotation_of_real_hosts_needs_a_choice_where_nobody_can_be_asked() {
    let desk = Desk::new();
    let inventory = unreachable(&desk);
    let line = |more: &[&str]| {
        desk.keyroll(&[&["run", "@rotate-token", "-i", inventory.as_str()], more].concat())
    };
    // Nobody can be asked here.
    for more in [&[][..], &["--yes"], &["--json"], &["--yes", "--json"]] {
        let done = line(more);
        assert_eq!(done.status.code(), Some(2), "{more:?}: {}", said(&done));
        let words = said(&done);
        assert!(
            words.contains("--escrow-to") && words.contains("--no-escrow"),
            "{words}"
        );
    }
    for more in [
        &["--no-escrow", "--yes"][..],
        &["--check", "--yes"],
        &["--escrow-to", &desk.recipient, "--yes"],
    ] {
        let done = line(more);
        assert_eq!(done.status.code(), Some(7), "{more:?}: {}", said(&done));
    }
}

#[test]
fn a_playbook_that_does_not_do_what_an_option_is_for_is_refused() {
    let desk = Desk::new();
    let book = "- hosts: server\n  tasks:\n    - debug: { msg: hello }\n";
    std::fs::write(desk.path("book.yml"), book).unwrap();
    let folder = desk.text("backups");
    for more in [
        ["--escrow-to", &desk.recipient],
        ["--fetch-snapshot", &folder],
    ] {
        let book = desk.text("book.yml");
        let done = desk.keyroll(&[&["run", &book, "-i", "sim:1+0"], &more[..]].concat());
        assert_eq!(done.status.code(), Some(2), "{}", said(&done));
        assert!(
            said(&done).contains("no task of this playbook"),
            "{}",
            said(&done)
        );
    }
    let both = ["--no-escrow", "--escrow-to", &desk.recipient];
    let done = desk.keyroll(&[&["run", "@rotate-token", "-i", "sim:1+0"], &both[..]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
}

#[test]
fn whom_nobody_can_encrypt_to_is_told_without_a_secret() {
    let desk = Desk::new();
    let refused = |to: &str, more: &[&str]| {
        let named = ["run", "@rotate-token", "-i", "sim:1+0", "--escrow-to", to];
        let done = desk.keyroll(&[&named, more].concat());
        assert_eq!(done.status.code(), Some(2), "{to}: {}", said(&done));
        said(&done)
    };
    assert!(refused("age1nonsense", &[]).contains("no age recipient"));
    assert!(refused("ssh-ed25519 AAAA", &[]).contains("no ssh-ed25519"));
    assert!(refused("ecdsa-sha2-nistp256 AAAA", &[]).contains("no recipient"));
    assert!(refused("@/none/there", &[]).contains("No such file"));
    assert!(refused("@/dev/zero", &[]).contains("is no file"));
    let words = refused("/some/recipients", &[]);
    assert!(words.contains("@FILE"), "{words}");
    let secret = std::fs::read_to_string(desk.path("key")).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    for (to, place) in [
        (secret.to_owned(), "--escrow-to"),
        (format!("@{}", desk.text("key")), "key:2"),
    ] {
        let words = refused(&to, &[]);
        assert!(
            words.contains("secret key") && words.contains(place) && !words.contains(secret),
            "{words}"
        );
    }
    let file = desk.path("to");
    let named = format!("@{}", desk.text("to"));
    std::fs::write(&file, format!("# whom\n{}\nage1x\n", desk.recipient)).unwrap();
    assert!(refused(&named, &[]).contains("to:3"));
    std::fs::write(&file, "# nobody\n").unwrap();
    assert!(refused(&named, &[]).contains("names no recipient"));
    std::fs::write(&file, b"age1\xff").unwrap();
    assert!(refused(&named, &[]).contains("no text, from byte 4"));
    let other = Desk::new();
    let words = refused(&other.recipient, &["--escrow-identity", &desk.text("key")]);
    assert!(words.contains("not encrypted to any key"), "{words}");
}

/// A key that ssh-keygen makes; its public half.
fn ssh_key(desk: &Desk, name: &str, args: &[&str]) -> String {
    let mut made = Command::new("ssh-keygen");
    made.args(["-q", "-C", "me@here", "-f"])
        .arg(desk.path(name))
        .args(args)
        .assert()
        .success();
    let public = std::fs::read_to_string(desk.path(&format!("{name}.pub"))).unwrap();
    public.trim().to_owned()
}

#[test]
fn ssh_keys_can_be_recipients_and_one_with_a_passphrase_is_named() {
    let desk = Desk::new();
    let first = ssh_key(&desk, "ed", &["-t", "ed25519", "-N", ""]);
    let second = ssh_key(&desk, "rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
    std::fs::write(desk.path("to"), format!("{second}\n\n# me\n{first}\n")).unwrap();
    let done = desk.rotate(
        "sim:1+1",
        &["--escrow-to", &format!("@{}", desk.text("to"))],
    );
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(
        said(&done).contains("not test-decrypted"),
        "{}",
        said(&done)
    );
    for key in ["key", "ed", "rsa"] {
        let args = ["escrow", "show", &desk.run(), "--show", "--identity"];
        let shown = desk.keyroll(&[&args[..], &[&desk.text(key)]].concat());
        assert_eq!(said(&shown), format!("{}\n", old("sim:1+1")), "{key}");
    }
    let list = said(&desk.keyroll(&["escrow", "list"]));
    let bare = first.strip_suffix(" me@here").unwrap();
    assert!(list.contains(&format!("to {bare}\n")), "{list}");
    ssh_key(&desk, "locked", &["-t", "ed25519", "-N", "secret"]);
    let args = ["escrow", "show", &desk.run(), "--identity"];
    let shown = desk.keyroll(&[&args[..], &[&desk.text("locked")]].concat());
    assert_eq!(shown.status.code(), Some(2));
    assert!(
        said(&shown).contains("with a passphrase"),
        "{}",
        said(&shown)
    );
}

#[test]
fn show_says_what_is_kept_and_the_token_only_when_asked_for_it() {
    let desk = Desk::new();
    let done = desk.rotate("sim:3+1", &[]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let run = desk.run();
    let canary = Canary::new(&[&old("sim:3+1")]);
    let shown = desk.keyroll(&["escrow", "show", &run]);
    assert_eq!(shown.status.code(), Some(0), "{}", said(&shown));
    assert!(said(&shown).contains("servers: server-1, server-2, server-3"));
    let key = desk.text("key");
    let opened = desk.keyroll(&["escrow", "show", &run, "--identity", &key]);
    let words = said(&opened);
    assert!(
        words.contains("decrypts it: a bare secret") && words.contains("digest"),
        "{words}"
    );
    assert!(!canary.is_in(words.as_bytes()));
    let alone = desk.keyroll(&["escrow", "show", &run, "--show"]);
    assert_eq!(alone.status.code(), Some(2), "{}", said(&alone));
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
    std::fs::write(&sealed, &whole[..whole.len() - 1]).unwrap();
    refused("is damaged");
    std::fs::File::create(&sealed)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    refused("bytes, and what it should be has at most");
    std::fs::remove_file(&sealed).unwrap();
    std::fs::create_dir(&sealed).unwrap();
    refused("is no file");
    std::fs::remove_dir(&sealed).unwrap();
    refused("cannot be read");
    std::fs::write(&sealed, &whole).unwrap();
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
    std::fs::write(&entry, text.replace("age1", "\\u001b[2Jage1")).unwrap();
    let list = desk.keyroll(&["escrow", "list"]);
    assert!(!said(&list).contains('\u{1b}') && said(&list).contains("[2Jage1"));
    std::fs::remove_file(&entry).unwrap();
    refused("cannot be read");
    let none = desk.show("20200101-000000-0000");
    assert!(said(&none).contains("nothing is kept"), "{}", said(&none));
}

#[test]
fn a_secret_key_that_others_can_read_or_that_is_none_is_not_used() {
    let desk = Desk::new();
    std::fs::set_permissions(desk.path("key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let shown = desk.show("any");
    assert_eq!(shown.status.code(), Some(2));
    assert!(said(&shown).contains("chmod 600"), "{}", said(&shown));
    std::fs::set_permissions(desk.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    for (text, part) in [
        ("# none\n", "holds no secret key"),
        ("word\n", "key:1: this is no age secret key"),
        ("age-encryption.org/v1\n", "is itself encrypted"),
        ("-----BEGIN NOTHING-----\n", "no ssh key that can be used"),
    ] {
        std::fs::write(desk.path("key"), text).unwrap();
        let shown = desk.show("any");
        assert_eq!(shown.status.code(), Some(2), "{text}");
        assert!(said(&shown).contains(part), "{part}: {}", said(&shown));
    }
}
