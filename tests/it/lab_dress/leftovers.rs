//! Copies of the token in files that K3s does not read: named by path and line over real ssh, never shown, never changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::NEW;
use super::rig::{Rig, below};

/// Where they are planted.
const HOST: &str = "h6";
/// What is searched there.
const TOPS: [&str; 5] = ["root", "home/ops", "oem", "opt", "var/lib/cloud/instance"];

fn plant(disk: &Path) {
    let put = |path: &str, bytes: &[u8]| {
        let path = disk.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let join = format!("#!/bin/sh\ncurl -sfL https://get.k3s.io | K3S_TOKEN={NEW} sh -\n");
    put("root/join.sh", join.as_bytes());
    let cloud =
        format!("#cloud-config\nruncmd:\n - K3S_TOKEN={NEW} sh install.sh\n - again {NEW}\n");
    put("var/lib/cloud/instance/user-data.txt", cloud.as_bytes());
    put(
        "home/ops/.bash_history",
        format!("ls\nexport K3S_TOKEN={NEW}\n").as_bytes(),
    );
    put("oem/90_custom.yaml", format!("token: {NEW}\n").as_bytes());
    put(
        "opt/program",
        &[b"\0\x01\xff", NEW.as_bytes(), b"\0"].concat(),
    );
    put(
        "opt/big.log",
        format!("{}{NEW}\n", "line\n".repeat(500_000)).as_bytes(),
    );
    put("opt/big.tar", &vec![0; 2 << 20]);
    put("opt/huge.log", "line\n".repeat(2000).as_bytes());
    let huge = fs::OpenOptions::new()
        .write(true)
        .open(disk.join("opt/huge.log"));
    huge.unwrap().set_len(300 << 20).unwrap();
    put("root/locked", format!("{NEW}\n").as_bytes());
    fs::set_permissions(disk.join("root/locked"), fs::Permissions::from_mode(0o000)).unwrap();
    put("root/two\nlines", NEW.as_bytes());
    std::os::unix::fs::symlink("/root/join.sh", disk.join("root/link.sh")).unwrap();
}

fn digest(disk: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for top in TOPS {
        below(disk, &disk.join(top), &mut |path, held| {
            let times = fs::symlink_metadata(disk.join(&path[1..])).unwrap();
            all.push(format!("{path} {held:?} {:?}", times.modified().unwrap()));
        });
    }
    all
}

pub(super) fn are_found(rig: &Rig) {
    let disk = rig.disk(HOST);
    plant(&disk);
    let before = digest(&disk);
    let began = Instant::now();
    let (exit, said) = rig.keyroll(&["doctor", "--hosts", "--json"]);
    assert!(
        began.elapsed() < Duration::from_secs(90),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(exit, 0, "{said}");
    let said: Value = serde_json::from_str(&said).unwrap();
    let found = said["findings"].as_array().unwrap().iter();
    let left = found.filter(|it| {
        ["token-left-behind", "leftovers-not-searched"].contains(&it["name"].as_str().unwrap())
    });
    let left: Vec<(&str, &str)> = left
        .map(|it| (it["place"].as_str().unwrap(), it["what"].as_str().unwrap()))
        .collect();
    let expected = [
        "/home/ops/.bash_history:2 holds a copy of the token",
        "/oem/90_custom.yaml:1 holds a copy of the token",
        "/opt/big.log:500001 holds a copy of the token",
        "/opt/program holds a copy of the token",
        "/root/join.sh:2 holds a copy of the token",
        "/root/locked:1 holds a copy of the token",
        "/var/lib/cloud/instance/user-data.txt:3 holds a copy of the token",
        "/var/lib/cloud/instance/user-data.txt:4 holds a copy of the token",
        "/opt/huge.log is too large",
        "there were too many files, one has a line break in its name, or it took too long",
    ];
    assert_eq!(left, expected.map(|what| (HOST, what)));
    assert_eq!(digest(&disk), before);
    for top in [
        "root/join.sh",
        "root/locked",
        "root/two\nlines",
        "root/link.sh",
        "opt/huge.log",
    ] {
        fs::remove_file(disk.join(top)).unwrap();
    }
}
