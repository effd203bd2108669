//! Where state and sockets live, and what a run is called.

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::Desk;
use super::trouble::Trouble;
use crate::model::RunId;

/// Where journals and locks are kept.
pub(super) fn state(desk: &Desk, given: Option<&Utf8PathBuf>) -> Result<Utf8PathBuf, Trouble> {
    let around = &desk.surroundings;
    let absolute = |path: &&Utf8PathBuf| path.is_absolute();
    let custom = around
        .xdg_state_home
        .as_ref()
        .filter(absolute)
        .map(|path| path.join("keyroll"));
    let home = || {
        around
            .home
            .as_ref()
            .filter(absolute)
            .map(|home| home.join(".local/state/keyroll"))
    };
    given.cloned().or(custom).or_else(home).ok_or_else(|| {
        Trouble::usage(
            "there is no home to keep journals in",
            "name a folder with --state-dir",
        )
    })
}

/// Where ssh's sockets live: short, and the owner's alone.
pub(super) fn sockets(desk: &Desk, state: &Utf8PathBuf) -> Utf8PathBuf {
    let runtime = desk
        .surroundings
        .xdg_runtime_dir
        .as_ref()
        .filter(|path| path.is_absolute());
    runtime.map_or_else(|| state.join("ssh"), |path| path.join("keyroll"))
}

/// A name that sorts by time and that no second run of the same second has.
pub(super) fn run_id() -> RunId {
    let mut bytes = [0_u8; 2];
    // Without randomness the process number serves: a clash then fails when the journal is made.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = std::process::id()
            .to_le_bytes()
            .first_chunk()
            .copied()
            .unwrap_or_default();
    }
    let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    RunId(format!("{time}-{:04x}", u16::from_be_bytes(bytes)))
}

/// This process, in words that another workstation understands.
pub(super) fn process() -> String {
    let system = rustix::system::uname();
    let here = system.nodename().to_string_lossy();
    format!("process {} on {here}", std::process::id())
}

/// The command line of this process, and the same without `--check`.
pub(super) fn command_lines() -> (String, String) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let line = |args: &mut dyn Iterator<Item = &String>| {
        let words = std::iter::once("keyroll").chain(args.map(String::as_str));
        shlex::try_join(words).unwrap_or_else(|_| "keyroll run".to_owned())
    };
    let again = line(&mut args.iter());
    let really = line(
        &mut args
            .iter()
            .filter(|word| *word != "--check" && *word != "-C"),
    );
    (again, really)
}
