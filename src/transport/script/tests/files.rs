//! Requests about files.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::{file, folder, perform, ran, write};
use crate::secret::Content;
use crate::wire::{
    Change, FileKind, Folder, FoundFile, Guard, Holds, Owner, Query, Request, Response,
};

fn entries(folder: &Utf8Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_written_file_is_whole_has_its_mode_and_leaves_nothing_beside_it() {
    let (_dir, folder) = folder();
    let path = folder.join("sub dir/it's $HOME");
    let mut first = file(&path, b"\0one\xff\n");
    first.make_parent = true;
    let mut second = file(&path, b"");
    second.owner = Owner::Like(path.clone());
    second.mode = 0o600;
    assert_eq!(perform(vec![write(first.clone())]), [Response::Done]);
    assert_eq!(std::fs::read(&path).unwrap(), b"\0one\xff\n");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(
        std::fs::metadata(folder.join("sub dir"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o700
    );
    assert_eq!(perform(vec![write(second)]), [Response::Done]);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    assert_eq!(entries(&folder.join("sub dir")), ["it's $HOME"]);
}

#[test]
fn a_write_keeps_the_owner_of_the_file_it_is_like() {
    let (_dir, folder) = folder();
    let model = folder.join("model");
    std::fs::write(&model, "").unwrap();
    // Only root can give a file away; another user's file is then simply his own.
    std::os::unix::fs::chown(&model, Some(65534), Some(65534)).ok();
    let mut copy = file(&folder.join("copy"), b"x");
    copy.owner = Owner::Like(model.clone());
    assert_eq!(perform(vec![write(copy)]), [Response::Done]);
    let ids = |name: &str| {
        let meta = std::fs::metadata(folder.join(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(ids("copy"), ids("model"));
}

#[test]
fn a_write_that_cannot_end_leaves_the_old_file_and_no_temporary() {
    let (_dir, folder) = folder();
    std::fs::create_dir(folder.join("target")).unwrap();
    std::fs::write(folder.join("target/kept"), "").unwrap();
    let responses = perform(vec![write(file(&folder.join("target"), b"x"))]);
    assert!(ran(responses.first()).status != 0);
    assert_eq!(entries(&folder), ["target"]);
    let missing = perform(vec![write(file(&folder.join("none/file"), b"x"))]);
    assert!(matches!(missing.first(), Some(Response::Failed(_))));
}

#[test]
fn a_write_replaces_a_link_and_not_what_it_leads_to() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("real"), "real").unwrap();
    std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
    assert_eq!(
        perform(vec![write(file(&folder.join("link"), b"new"))]),
        [Response::Done]
    );
    assert_eq!(std::fs::read(folder.join("real")).unwrap(), b"real");
    assert_eq!(std::fs::read(folder.join("link")).unwrap(), b"new");
}

#[test]
fn paths_are_renamed_and_removed() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("-a b"), "x").unwrap();
    std::fs::create_dir(folder.join("sub")).unwrap();
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/x"), "").unwrap();
    let rename = |from: &str, to: &str| {
        Request::Change(Change::Rename {
            from: folder.join(from),
            to: folder.join(to),
        })
    };
    let remove = |name: &str| {
        Request::Change(Change::Remove {
            path: folder.join(name),
        })
    };
    let done = perform(vec![
        rename("-a b", "b"),
        rename("b", "sub/c"),
        remove("sub/c"),
        remove("sub"),
        remove("sub"),
    ]);
    assert_eq!(done, vec![Response::Done; 5]);
    assert_eq!(entries(&folder), ["full"]);
    assert!(matches!(
        perform(vec![remove("full")]).first(),
        Some(Response::Failed(_))
    ));
    assert!(matches!(
        perform(vec![rename("gone", "x")]).first(),
        Some(Response::Failed(_))
    ));
}

#[test]
fn files_are_read_up_to_their_limit_and_missing_ones_are_none() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("five"), "12345").unwrap();
    let look = |name: &str, limit| {
        Request::Query(Query::Read {
            path: folder.join(name),
            limit,
        })
    };
    let responses = perform(vec![
        look("five", 5),
        look("five", 4),
        look("none", 5),
        look("", 5),
    ]);
    assert_eq!(
        responses.first(),
        Some(&Response::Content(Some(Content::from("12345"))))
    );
    assert_eq!(
        ran(responses.get(1)).stderr.text(),
        "the file is longer than 4 bytes"
    );
    assert_eq!(responses.get(2), Some(&Response::Content(None)));
    assert!(matches!(responses.get(3), Some(Response::Failed(_))));
}

#[test]
fn a_stat_tells_kind_mode_size_and_times() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("f"), "123").unwrap();
    std::os::unix::fs::symlink("f", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("broken")).unwrap();
    let look = |name: &str, follow| {
        Request::Query(Query::Stat {
            path: folder.join(name),
            follow,
        })
    };
    let responses = perform(vec![
        look("f", true),
        look("link", false),
        look("link", true),
        look("broken", true),
        look("", true),
    ]);
    let real = std::fs::metadata(folder.join("f")).unwrap();
    let stat = |at: usize| match responses.get(at) {
        Some(Response::Stat(Some(stat))) => stat.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (stat(0).kind, stat(0).size, stat(0).uid),
        (FileKind::File, 3, real.uid())
    );
    assert_eq!(
        stat(0).mtime.0,
        real.mtime() * 1_000_000 + real.mtime_nsec() / 1000
    );
    assert_eq!(stat(1).kind, FileKind::Symlink("f".into()));
    assert_eq!(stat(2).kind, FileKind::File);
    assert_eq!(responses.get(3), Some(&Response::Stat(None)));
    assert_eq!(stat(4).kind, FileKind::Directory);
}

#[test]
fn a_folder_is_listed_sorted_with_hidden_and_odd_names() {
    let (_dir, folder) = folder();
    let names = ["-n", ".hidden", "a\nb", "z"];
    for name in names {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let look = |path: Utf8PathBuf| Request::Query(Query::List { path });
    let responses = perform(vec![
        look(folder.clone()),
        look(folder.join("none")),
        look(folder.join("z")),
    ]);
    assert_eq!(
        responses.first(),
        Some(&Response::List(Some(names.map(String::from).into())))
    );
    assert_eq!(responses.get(1), Some(&Response::List(None)));
    assert!(matches!(responses.get(2), Some(Response::Failed(_))));
}

#[test]
fn a_guard_lets_only_what_it_expects_be_changed() {
    let (_dir, folder) = folder();
    let (path, staged) = (folder.join("it's"), folder.join(".it's.keyroll-new"));
    std::fs::create_dir(folder.join("d")).unwrap();
    let guarded = |path: &Utf8Path, holds: Holds| {
        std::fs::write(&staged, "new").unwrap();
        std::fs::write(folder.join("it's"), b"old\0\xff").unwrap();
        let guard = Request::Guard(Guard {
            path: path.to_owned(),
            holds,
        });
        let (from, to) = (staged.clone(), folder.join("it's"));
        let answers = perform(vec![guard, Request::Change(Change::Rename { from, to })]);
        let flipped = std::fs::read(folder.join("it's")).unwrap() == b"new";
        match answers.as_slice() {
            [Response::Done, Response::Done] => {
                assert!(flipped);
                None
            }
            [Response::Moved(what)] => {
                assert!(!flipped);
                Some(what.clone())
            }
            other => panic!("{other:?}"),
        }
    };
    let names = |names: &[&str]| Holds::Names(names.iter().map(|n| (*n).to_owned()).collect());
    let bytes = |bytes: &[u8]| Holds::Bytes(Content::new(bytes));
    assert_eq!(guarded(&path, bytes(b"old\0\xff")), None);
    assert!(
        guarded(&path, bytes(b"old\0"))
            .unwrap()
            .ends_with("was changed since it was looked at")
    );
    assert!(
        guarded(&folder.join("x"), bytes(b""))
            .unwrap()
            .contains("was removed")
    );
    assert_eq!(guarded(&folder.join("x"), Holds::Nothing), None);
    assert!(guarded(&path, Holds::Nothing).unwrap().contains("was made"));
    assert_eq!(guarded(&folder.join("d"), names(&[])), None);
    assert_eq!(guarded(&folder.join("gone"), names(&[])), None);
    for name in ["-n", ".hidden", "a b", "z"] {
        std::fs::write(folder.join("d").join(name), "").unwrap();
    }
    assert_eq!(
        guarded(&folder.join("d"), names(&["-n", ".hidden", "a b", "z"])),
        None
    );
    assert!(
        guarded(&folder.join("d"), names(&["a b"]))
            .unwrap()
            .contains("came or went")
    );
}

/// An ACL that lets user 12345 read; `mask` bounds it.
fn acl(mask: u16) -> Vec<u8> {
    const ALL: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, ALL),
        (0x02, 4, 12345),
        (0x04, 4, ALL),
        (0x10, mask, ALL),
        (0x20, 0, ALL),
    ];
    let bytes = entries.iter().flat_map(|(tag, bits, id)| {
        [
            &tag.to_le_bytes()[..],
            &bits.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    });
    2_u32.to_le_bytes().into_iter().chain(bytes).collect()
}

fn attribute(path: &Utf8Path, name: &str) -> Vec<u8> {
    let mut buffer = vec![0; 256];
    let len = rustix::fs::getxattr(path.as_str(), name, &mut buffer[..]).unwrap();
    buffer[..len].to_vec()
}

#[test]
fn a_write_keeps_acl_and_attributes_and_a_narrower_mode_closes_the_acl() {
    const ACL: &str = "system.posix_acl_access";
    let (_dir, folder) = folder();
    let path = folder.join("config.yaml");
    for (mode, mask) in [(0o640, 4), (0o600, 0)] {
        std::fs::write(&path, "old").unwrap();
        let set = |name: &str, value: &[u8]| {
            rustix::fs::setxattr(path.as_str(), name, value, rustix::fs::XattrFlags::empty())
                .unwrap();
        };
        set("user.note", b"by hand");
        set(ACL, &acl(4));
        let mut edited = file(&path, b"new");
        (edited.owner, edited.mode) = (Owner::Like(path.clone()), mode);
        std::fs::create_dir(folder.join(".config.yaml.keyroll-tmp.left")).unwrap();
        assert_eq!(perform(vec![write(edited)]), [Response::Done]);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let bits = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((bits, attribute(&path, ACL)), (mode, acl(mask)));
        assert_eq!(attribute(&path, "user.note"), b"by hand");
        assert_eq!(entries(&folder), ["config.yaml"]);
        std::fs::remove_file(&path).unwrap();
    }
}

fn found(responses: &[Response]) -> &[FoundFile] {
    match responses {
        [Response::Files(files)] => files,
        other => panic!("no files: {other:?}"),
    }
}

#[test]
fn many_files_are_read_at_once_byte_by_byte_with_what_stat_says() {
    let (_dir, folder) = folder();
    let drop_ins = folder.join("it's.d");
    std::fs::create_dir(&drop_ins).unwrap();
    let bytes = b"\0a\n+\xff\0\n\n".as_slice();
    std::fs::write(folder.join("plain"), bytes).unwrap();
    std::fs::write(folder.join("long"), [b'x'; 65]).unwrap();
    std::os::unix::fs::symlink("plain", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    for name in ["10-a.yaml", ".20 b.YML", "notes.txt", "30.yaml.bak"] {
        std::fs::write(drop_ins.join(name), name).unwrap();
    }
    let names = ["plain", "long", "link", "dangling", "none", "it's.d"];
    let query = Query::Files {
        paths: names.iter().map(|name| folder.join(name)).collect(),
        folders: [&drop_ins, &folder.join("missing")]
            .map(|path| Folder {
                path: path.clone(),
                endings: vec![".yaml".to_owned(), ".yml".to_owned()],
            })
            .to_vec(),
        limit: 64,
    };
    let responses = perform(vec![Request::Query(query)]);
    let content = |path: &str| {
        let file = found(&responses)
            .iter()
            .find(|file| file.path == folder.join(path));
        file.map(|file| {
            file.content
                .as_ref()
                .map(|content| content.bytes().to_vec())
        })
    };
    assert_eq!(content("plain"), Some(Some(bytes.to_vec())));
    assert_eq!(content("link"), Some(Some(bytes.to_vec())));
    for path in ["long", "dangling", "it's.d"] {
        assert_eq!(content(path), Some(None), "{path}");
    }
    assert_eq!(content("none"), None);
    assert_eq!(
        content("it's.d/.20 b.YML"),
        Some(Some(b".20 b.YML".to_vec()))
    );
    assert_eq!(found(&responses).len(), 7);
    let link = found(&responses)
        .iter()
        .find(|file| file.path == folder.join("link"));
    let stat = link.and_then(|file| file.stat.clone()).unwrap();
    assert_eq!(stat.kind, FileKind::Symlink("plain".into()));
    let plain = found(&responses)
        .iter()
        .find(|file| file.path == folder.join("plain"));
    assert_eq!(
        plain.and_then(|file| file.stat.clone()).unwrap().size,
        bytes.len() as u64
    );
}

#[test]
fn environments_of_units_are_those_of_their_processes() {
    let (_dir, folder) = folder();
    let own = std::process::id();
    let systemctl = format!(
        "#!/bin/sh\necho MainPID={own}\necho\necho MainPID=0\necho\necho MainPID=999999999\n"
    );
    std::fs::write(folder.join("systemctl"), systemctl).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("systemctl"), mode).unwrap();
    let query = Query::Environments {
        units: vec!["k3s*.service".to_owned()],
        limit: 1 << 20,
    };
    let batch = super::batch(vec![Request::Query(query)]);
    let script = super::render(&batch, &super::nonce(), None).text;
    let mut text = format!("PATH={folder}:$PATH\n").into_bytes();
    text.extend_from_slice(&script);
    let (stdout, stderr) = super::feed("sh", &text);
    let heard = super::read(&batch, &super::nonce(), &stdout, &stderr);
    let files = found(&heard.responses);
    let real = std::fs::read(format!("/proc/{own}/environ")).unwrap();
    assert_eq!(files[0].path, format!("/proc/{own}/environ"));
    assert_eq!(files[0].content.as_ref().unwrap().bytes(), real);
    assert!(files[1..].iter().all(|file| file.content.is_none()));
}
