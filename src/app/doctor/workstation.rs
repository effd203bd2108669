//! This machine: ssh and its settings, and keyroll's own folder with its locks.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;

use super::{Found, HERE};
use crate::app::trouble::Trouble;
use crate::app::{Desk, places};
use crate::cli::Aim;
use crate::exit::Exit;
use crate::steps::findings::Finding;

/// How long ssh may take to say what it is.
const DEADLINE: Duration = Duration::from_secs(10);

/// Of a lock.
const OLD: Duration = Duration::from_hours(24);

/// The oldest OpenSSH that keyroll was tried with.
const TRIED: u32 = 8;

pub(super) fn look(desk: &Desk, aim: &Aim, found: &mut Found) -> Result<(), Trouble> {
    found.looked_at.push(HERE.to_owned());
    let mut findings = Vec::new();
    findings.extend(ssh(aim)?);
    let state = places::state(desk, aim.view.state_dir.as_ref())?;
    findings.extend(folder(&state));
    findings.extend(locks(&state));
    let here = findings.into_iter().map(|it| (HERE.to_owned(), it));
    found.findings.extend(here);
    Ok(())
}

fn ssh(aim: &Aim) -> Result<Option<Finding>, Trouble> {
    let Some((_, version)) = run(&["-V"])? else {
        let what = "no `ssh` can be run: it is not on the PATH";
        return Ok(Some(Finding::of("ssh-missing", what)));
    };
    let config = aim.view.reach.ssh_config.as_ref();
    let mut words = vec!["-G"];
    words.extend(config.into_iter().flat_map(|file| ["-F", file.as_str()]));
    words.push("localhost");
    if let Some((false, said)) = run(&words)? {
        let line = said.lines().next().unwrap_or_default();
        let what = format!("ssh says: {line}");
        return Ok(Some(Finding::of("ssh-config-unreadable", what)));
    }
    Ok(major(&version)
        .filter(|major| *major < TRIED)
        .map(|_| Finding::of("ssh-old", format!("this is {}", version.trim()))))
}

/// The number in `OpenSSH_9.2p1 …`; `None` for another ssh.
fn major(version: &str) -> Option<u32> {
    let rest = version.split("OpenSSH_").nth(1)?;
    rest.split('.').next()?.parse().ok()
}

/// Whether ssh ended well, and what it said on stderr; `None` when there is none.
fn run(words: &[&str]) -> Result<Option<(bool, String)>, Trouble> {
    let broken = |why: String| {
        Trouble::said(
            Exit::Internal,
            format!("ssh cannot be asked: {why}"),
            "run `ssh -V` by hand",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(error.to_string()))?;
    runtime.block_on(async {
        let child = tokio::process::Command::new("ssh")
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        match tokio::time::timeout(DEADLINE, child).await {
            Ok(Ok(ended)) => {
                let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                Ok(Some((ended.status.success(), said)))
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Ok(Err(error)) => Err(broken(error.to_string())),
            Err(_) => Err(broken(format!(
                "it did not end within {}s",
                DEADLINE.as_secs()
            ))),
        }
    })
}

/// The folder, or what it will be made in.
fn folder(state: &Utf8Path) -> Option<Finding> {
    let there = state.ancestors().find(|path| path.exists())?;
    let writable = there.is_dir() && tempfile::tempfile_in(there).is_ok();
    if !writable {
        let what = format!("nothing can be written below {there}");
        return Some(Finding::of("state-not-writable", what));
    }
    let mode = state.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        let what = format!("{state} has mode {mode:04o}");
        Finding::of("state-readable", what).next(format!("chmod 700 {state}"))
    })
}

/// Locks of processes that are still there after a day.
fn locks(state: &Utf8Path) -> Vec<Finding> {
    let Ok(entries) = state.join("locks").read_dir_utf8() else {
        return Vec::new();
    };
    let paths = entries.flatten().map(camino::Utf8DirEntry::into_path);
    paths.filter_map(|path| lock(&path)).collect()
}

fn lock(path: &Utf8Path) -> Option<Finding> {
    let changed = path.metadata().ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(changed).ok()?;
    let holder = std::fs::read_to_string(path).ok()?;
    let process = holder.strip_prefix("process ")?.split(',').next()?;
    let lives = Utf8Path::new("/proc").join(process).exists();
    (lives && age > OLD).then(|| {
        let hours = age.as_secs() / 3600;
        Finding::of(
            "lock-old",
            format!("{holder} has held {path} for {hours} hours"),
        )
        .next(format!("see what it does: ps -fp {process}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    fn name(finding: Option<&Finding>) -> Option<&'static str> {
        finding.map(|finding| finding.name)
    }

    #[test]
    fn versions_of_openssh_are_read_and_others_passed_over() {
        assert_eq!(major("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0"), Some(9));
        assert_eq!(major("OpenSSH_for_Windows"), None);
        assert_eq!(major("dropbear"), None);
    }

    #[test]
    fn a_folder_that_others_can_read_or_nobody_can_write_is_named() {
        let (_kept, path) = scratch();
        assert_eq!(name(folder(&path.join("not/yet")).as_ref()), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(name(folder(&path).as_ref()), Some("state-readable"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(name(folder(&path).as_ref()), None);
        let file = path.join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(name(folder(&file).as_ref()), Some("state-not-writable"));
    }

    #[test]
    fn only_an_old_lock_of_a_living_process_is_named() {
        let (_kept, path) = scratch();
        let locks_folder = path.join("locks");
        std::fs::create_dir(&locks_folder).unwrap();
        let held = locks_folder.join("a.lock");
        std::fs::write(&held, format!("process {}, run x", std::process::id())).unwrap();
        assert_eq!(locks(&path).len(), 0);
        let long_ago = SystemTime::now() - OLD * 3;
        let set = |path: &Utf8Path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(long_ago).unwrap();
        };
        set(&held);
        assert_eq!(name(locks(&path).first()), Some("lock-old"));
        std::fs::write(&held, "process 4194999, run x").unwrap();
        set(&held);
        assert_eq!(locks(&path).len(), 0);
    }
}
