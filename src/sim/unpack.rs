//! What every call of the k3s binary does first: unpack itself below a data directory, unless it did so before
//! (k3s: cmd/k3s/main.go).

use std::collections::BTreeMap;
use std::io;

use super::settings;
use super::world::Files;

const USUAL: &str = "/var/lib/rancher/k3s";
/// Of what is unpacked; real K3s has about 200 MB there.
const PROGRAM: &str =
    "data/0f4d6c1a2b3e5968778695a4b3c2d1e0f0e1d2c3b4a5968778695a4b3c2d1e0f/bin/k3s";

/// Unpacks, where neither this data directory nor the usual one has it.
///
/// # Errors
/// When the disk is full or read-only.
pub fn below(data_dir: &str, files: &mut dyn Files) -> io::Result<()> {
    if is_below(USUAL, files) || is_below(data_dir, files) {
        return Ok(());
    }
    files.write(&format!("{data_dir}/{PROGRAM}"), b"unpacked\n", 0o755)
}

fn is_below(data_dir: &str, files: &dyn Files) -> bool {
    files.stat(&format!("{data_dir}/{PROGRAM}")).is_some()
}

/// The same for a call such as `k3s kubectl`, which does not know the unit: a variable says where, else its own
/// `--data-dir`, else the usual configuration file.
///
/// # Errors
/// As for [`below`].
pub fn for_call(
    told: Option<&str>,
    env: &BTreeMap<String, String>,
    files: &mut dyn Files,
) -> io::Result<()> {
    if is_below(USUAL, files) {
        return Ok(());
    }
    let of_env = env.get("K3S_DATA_DIR").filter(|path| !path.is_empty());
    let said = of_env.map(String::as_str).or(told).map(str::to_owned);
    let said = said.or_else(|| settings::configured_usually(files, "data-dir"));
    below(said.as_deref().unwrap_or(USUAL), files)
}
