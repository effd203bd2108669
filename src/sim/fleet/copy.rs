//! Files of a host that are copied off it: pieces and digests.

use sha2::{Digest as _, Sha256};

use super::Host;
use super::perform::ran;
use crate::secret::Content;
use crate::sim::world::Files as _;
use crate::wire::{Ran, Response};

/// `dd` and `sha256sum` of one file; `None` for other commands.
pub(super) fn look(host: &Host, argv: &[&str]) -> Option<Response> {
    let read = |path: &str| host.disk.read(path);
    let missing = |program: &str, path: &str| {
        ran(
            1,
            "",
            format!("{program}: {path}: No such file or directory\n"),
        )
    };
    match argv {
        ["sha256sum", path] => Some(match read(path) {
            Some(bytes) => ran(0, format!("{:x}  {path}\n", Sha256::digest(bytes)), ""),
            None => missing("sha256sum", path),
        }),
        ["dd", path, size, skip, "count=1"] => {
            let path = path.strip_prefix("if=")?;
            let size: usize = size.strip_prefix("bs=")?.parse().ok()?;
            let skip: usize = skip.strip_prefix("skip=")?.parse().ok()?;
            let Some(bytes) = read(path) else {
                return Some(missing("dd", path));
            };
            let piece = bytes.chunks(size.max(1)).nth(skip).unwrap_or_default();
            Some(Response::Ran(Ran {
                status: 0,
                stdout: Content::new(piece),
                stderr: Content::default(),
                timed_out: false,
            }))
        }
        _ => None,
    }
}
