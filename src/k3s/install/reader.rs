//! Files and folders of a host as far as they are known, and which else must be.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Fault, Known, Wanted};
use crate::k3s::surface::Position;

/// Hands out what is known, and notes what is not.
pub(super) struct Reader<'a> {
    pub(super) known: &'a Known,
    pub(super) wanted: Wanted,
    pub(super) read: Wanted,
    pub(super) faults: Vec<Fault>,
    pub(super) remarks: Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, path: &Utf8Path) -> Option<String> {
        let Some(file) = self.known.files.get(path) else {
            self.wanted.files.insert(path.to_owned());
            return None;
        };
        self.read.files.insert(path.to_owned());
        let bytes = file.as_ref()?.bytes();
        let (at, what) = match std::str::from_utf8(bytes) {
            Ok(text) => match text.find('\0') {
                None => return Some(text.to_owned()),
                Some(at) => (at, "a NUL byte, which no text has"),
            },
            Err(error) => (error.valid_up_to(), "bytes that are not UTF-8 text"),
        };
        let at = Position::of_byte(bytes, at);
        self.fault(
            "unreadable-file",
            format!("{path}:{at}: here are {what}"),
            format!("repair {path}"),
        );
        None
    }

    /// The files that a pattern of an `EnvironmentFile=` stands for; a path that is no pattern stands for itself.
    pub(super) fn expand(&mut self, written: &Utf8Path) -> Vec<Utf8PathBuf> {
        let (Some(folder), Some(pattern)) = (written.parent(), written.file_name()) else {
            return vec![written.to_owned()];
        };
        if !written.as_str().contains(['*', '?', '[']) {
            return vec![written.to_owned()];
        }
        if folder.as_str().contains(['*', '?', '[']) || pattern.contains('[') {
            self.fault(
                "environment-file-pattern",
                format!("the EnvironmentFile {written} is a pattern that keyroll does not follow"),
                "name the files one by one",
            );
            return Vec::new();
        }
        let pattern: Vec<char> = pattern.chars().collect();
        self.read.folders.insert(folder.to_owned());
        let names = self.folder(folder).into_iter();
        let fits = |name: &String| {
            let hidden = name.starts_with('.') && pattern.first() != Some(&'.');
            !hidden && fits(&pattern, &name.chars().collect::<Vec<_>>())
        };
        names.filter(fits).map(|name| folder.join(name)).collect()
    }

    pub(super) fn folder(&mut self, path: &Utf8Path) -> Vec<String> {
        let Some(names) = self.known.folders.get(path) else {
            self.wanted.folders.insert(path.to_owned());
            return Vec::new();
        };
        names.clone()
    }

    pub(super) fn is_absent(&self, path: &Utf8Path) -> bool {
        matches!(self.known.files.get(path), Some(None))
    }

    pub(super) fn fault(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        let fault = Fault {
            name,
            what: what.into(),
            next: next.into(),
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            (0..=name.len()).any(|from| fits(rest, name.get(from..).unwrap_or_default()))
        }
        (Some(('?', rest)), Some((_, behind))) => fits(rest, behind),
        (Some((c, rest)), Some((d, behind))) => c == d && fits(rest, behind),
        (_, _) => false,
    }
}
