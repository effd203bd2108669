//! One master connection: started, checked and ended as a process of our own.

use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use openssh::Session;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::SshOptions;

/// What a local master may take to answer or to end.
pub(super) const LOCAL: Duration = Duration::from_secs(5);

/// What logging in may take after the connect: keys on slow hosts, jumps.
const LOGIN: Duration = Duration::from_secs(20);

/// A session through the master behind this socket.
pub(super) fn session(socket: &Utf8Path) -> Session {
    Session::resume_mux(socket.as_std_path().into(), None)
}

/// Whether a master answers at this socket. A socket that nobody answers is removed.
pub(super) async fn answers(socket: &Utf8Path) -> bool {
    if !socket.exists() {
        return false;
    }
    if matches!(timeout(LOCAL, session(socket).check()).await, Ok(Ok(()))) {
        return true;
    }
    // When it is gone already, all is well; when it cannot be removed, ssh says why.
    std::fs::remove_file(socket).ok();
    false
}

/// Starts a master and waits until it is logged in; it then lives in the background.
///
/// Fails with what ssh said. Dropping this kills an ssh that is not logged in yet.
pub(super) async fn start(args: &[String], options: &SshOptions) -> Result<(), String> {
    let spawned = Command::new(&options.program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.map_err(|why| format!("cannot start {}: {why}", options.program))?;
    let mut said = Vec::new();
    let Some(mut stderr) = child.stderr.take() else {
        return Err("ssh has no standard error".to_owned());
    };
    let limit = options.connect_timeout + LOGIN;
    match timeout(limit, logged_in(&mut child, &mut stderr, &mut said)).await {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => {
            // What it said last may still be in the pipe.
            timeout(LOCAL, stderr.read_to_end(&mut said)).await.ok();
        }
        Ok(Err(why)) => return Err(why.to_string()),
        Err(_) => {
            child.kill().await.ok();
            said.extend_from_slice(b"\nthe login timed out");
        }
    }
    Err(String::from_utf8_lossy(&said).into_owned())
}

/// Waits for the foreground process, which ends when the login succeeded; its pipe may stay open behind it.
async fn logged_in(
    child: &mut Child,
    stderr: &mut ChildStderr,
    said: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let mut open = true;
    loop {
        tokio::select! {
            read = stderr.read_buf(said), if open && said.len() < 64 << 10 => open = read? > 0,
            status = child.wait() => return Ok(status?.success()),
        }
    }
}

/// Ends the master behind this socket, and with it all its sessions.
pub(super) async fn stop(socket: &Utf8Path, options: &SshOptions) {
    let asked = Command::new(&options.program)
        .args(super::command::stop(socket.as_str()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    if let Ok(mut child) = asked {
        // A master that does not listen ends by itself when it is idle.
        timeout(LOCAL, child.wait()).await.ok();
    }
    std::fs::remove_file(socket).ok();
}
