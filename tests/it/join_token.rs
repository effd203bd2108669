//! The script that makes a join token, as it is sent to a host, with a stand-in for the one program that it runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::process::Command;

const SCRIPT: &str = include_str!("../../src/steps/k3s_join_token/make.sh");
const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SECRET: &str = "abc123.0123456789abcdef";

/// A folder for the token, and a `k3s` that writes down what it is asked.
struct Desk(TempDir);

impl Desk {
    fn new(create: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let asked = desk.path("asked");
        let text = format!(
            "#!/bin/sh\nprintf '<%s>' \"$@\" >>{0}\necho >>{0}\ncase $2 in create) {create} ;; delete) echo gone ;; esac\n",
            asked.display()
        );
        std::fs::write(desk.path("k3s"), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(desk.path("k3s"), mode).unwrap();
        std::fs::create_dir(desk.path("root")).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn make(&self, file: &str) -> Output {
        self.make_told(file, &[]).await
    }

    async fn make_told(&self, file: &str, told: &[&str]) -> Output {
        std::fs::write(self.path("script"), SCRIPT).unwrap();
        Command::new("sh")
            .args(["-s", "--", "join-token"])
            .arg(self.path("k3s"))
            .arg("/data/admin.kubeconfig")
            .arg(self.path(file))
            .args(["7200s", "rack 4; $(id)"])
            .args(told)
            .stdin(std::fs::File::open(self.path("script")).unwrap())
            .stdout(Stdio::piped())
            .output()
            .await
            .unwrap()
    }

    fn asked(&self) -> String {
        std::fs::read_to_string(self.path("asked")).unwrap_or_default()
    }

    fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.path("root")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("0123456789abcdef"), "a secret: {text}");
    text
}

#[tokio::test]
async fn a_token_goes_into_its_file_and_its_id_is_said() {
    let token = format!("K10{HASH}::{SECRET}");
    let desk = Desk::new(&format!("echo {token}; echo level=info >&2"));
    std::fs::write(desk.path("root/join"), "an old one\n").unwrap();
    let output = desk.make("root/join").await;
    let words = said(&output);
    assert!(output.status.success(), "{words}");
    assert!(words.starts_with("join token abc123 is in "), "{words}");
    let file = desk.path("root/join");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), token + "\n");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(desk.left(), ["join"]);
    assert_eq!(
        desk.asked(),
        "<token><create><--kubeconfig=/data/admin.kubeconfig><--ttl=7200s><--description=rack 4; $(id)>\n"
    );
}

#[tokio::test]
async fn k3s_is_told_of_an_unusual_data_directory() {
    let desk = Desk::new("echo nothing of use");
    let output = desk.make_told("root/join", &["--data-dir=/a b"]).await;
    assert!(!output.status.success());
    assert!(
        desk.asked()
            .starts_with("<token><create><--data-dir=/a b><--kubeconfig="),
        "{}",
        desk.asked()
    );
}

#[tokio::test]
async fn where_nothing_can_be_written_no_token_is_made() {
    let desk = Desk::new(&format!("echo K10{HASH}::{SECRET}"));
    let output = desk.make("nowhere/join").await;
    let words = said(&output);
    assert!(!output.status.success());
    assert!(words.contains("no join token was made"), "{words}");
    assert_eq!(desk.asked(), "");
}

#[tokio::test]
async fn what_k3s_refuses_leaves_nothing() {
    let desk = Desk::new("echo 'the API is away' >&2; exit 1");
    let output = desk.make("root/join").await;
    let words = said(&output);
    assert!(!output.status.success());
    assert!(words.contains("the API is away") && words.contains("K3s made no join token"));
    assert_eq!(desk.left(), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_not_kept_and_not_shown() {
    let desk = Desk::new(&format!("echo {SECRET}"));
    let output = desk.make("root/join").await;
    let words = said(&output);
    assert!(!output.status.success());
    assert!(words.contains("the same command looks, and revokes it"));
    assert_eq!(desk.left(), [""; 0]);
}

#[tokio::test]
async fn a_token_that_cannot_take_its_place_is_revoked() {
    let desk = Desk::new(&format!("echo K10{HASH}::{SECRET}"));
    std::fs::create_dir(desk.path("root/join")).unwrap();
    let output = desk.make("root/join").await;
    let words = said(&output);
    assert!(!output.status.success());
    assert!(
        words.contains("the join token abc123 is revoked again"),
        "{words}"
    );
    let asked = desk.asked();
    let last = asked.lines().last().unwrap();
    assert_eq!(
        last,
        "<token><delete><--kubeconfig=/data/admin.kubeconfig><abc123>"
    );
    assert_eq!(desk.left(), ["join"]);
}

#[tokio::test]
async fn a_run_that_is_ended_says_what_it_may_have_left() {
    let desk = Desk::new(&format!("echo K10{HASH}::{SECRET}; kill -s TERM $PPID"));
    let output = desk.make("root/join").await;
    let words = said(&output);
    assert!(!output.status.success());
    assert!(
        words.contains("a join token for \"rack 4; $(id)\" may have been made"),
        "{words}"
    );
    assert_eq!(desk.left(), [""; 0]);
}
