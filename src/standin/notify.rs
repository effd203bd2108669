//! Tells systemd that the process is up.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;

/// Sends `READY=1`; without systemd nobody is told.
///
/// # Errors
/// When systemd does not listen.
pub(super) fn ready(env: &BTreeMap<String, String>) -> io::Result<()> {
    let Some(path) = env.get("NOTIFY_SOCKET") else {
        return Ok(());
    };
    UnixDatagram::unbound()?.send_to(b"READY=1", path)?;
    Ok(())
}
