//! Snapshots that were brought off the hosts: whole, paired, and nobody else's.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use keyroll::escrow::{Recipients, Vault};
use keyroll::model::{HostName, RunId};
use keyroll::op::custody::{Custody as _, Found, Parcel, Rotation, Source};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{Desk, mode, old, said};
use crate::lab_canary::Canary;

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
        // The snapshots themselves are the model's, which has the token in them as it is.
        assert!(!Canary::new(&[&old(fleet)]).is_in(index.as_bytes()));
        let names = std::fs::read_dir(desk.path("backups")).unwrap();
        assert_eq!(names.count(), files + 1, "a part was left");
    }
}

#[test]
fn a_folder_for_snapshots_that_others_can_enter_stops_the_run_before_it_begins() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("backups")).unwrap();
    std::fs::set_permissions(desk.path("backups"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = desk.text("backups");
    let done = desk.rotate("sim:3+1", &["--fetch-snapshot", &folder]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("chmod 700"), "{}", said(&done));
    std::fs::write(desk.path("file"), "").unwrap();
    let done = desk.rotate("sim:3+1", &["--fetch-snapshot", &desk.text("file")]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("is no folder"), "{}", said(&done));
}

/// A vault that takes a snapshot of these bytes.
fn receiving(folder: &TempDir, bytes: &[u8]) -> (Vault, Parcel, Found) {
    let path = Utf8PathBuf::from_path_buf(folder.path().join("in")).unwrap();
    let vault = Vault {
        run: RunId("r".to_owned()),
        place: path.join("unused"),
        recipients: Recipients::default(),
        identity: None,
        snapshots: Some(path),
        declined: false,
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

/// sqlite's own log: seven frames, and two commits.
const LOG: &[u8] = include_bytes!("../../facts/state.db-wal");

#[test]
fn a_log_of_sqlite_whose_frames_are_damaged_is_thrown_away() {
    let fetched = |bytes: &[u8], name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (vault, parcel, mut found) = receiving(&folder, bytes);
        found.name = name.to_owned();
        let mut part = vault.receive(&parcel, &found).unwrap();
        part.append(&bytes[..1500]).unwrap();
        // It is gone on with, from what is here.
        let mut part = vault.receive(&parcel, &found).unwrap();
        part.append(&bytes[1500..]).unwrap();
        let finished = part.finish().map_err(|error| error.to_string());
        let names = std::fs::read_dir(folder.path().join("in")).unwrap();
        (finished.map(|_| ()), names.count())
    };
    let wal = "before-rotation-1-sqlite.wal";
    assert_eq!(fetched(LOG, wal), (Ok(()), 2));
    for at in [100, 2000] {
        let mut bent = LOG.to_vec();
        bent[at] ^= 1;
        let (finished, left) = fetched(&bent, wal);
        let said = finished.unwrap_err();
        assert!(said.contains("on s1 is no good: frame "), "{said}");
        assert_eq!(left, 0, "a part was left");
        assert_eq!(fetched(&bent, "before-rotation-1").0, Ok(()));
    }
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
