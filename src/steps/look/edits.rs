//! What a host's files become for another secret, and what must hold on it before they are replaced.

use camino::{Utf8Path, Utf8PathBuf};

use super::Seen;
use crate::k3s::surface::Surface;
use crate::secret::{Content, Secret};
use crate::wire::{Guard, Holds};

/// A file with its new bytes.
#[derive(Debug, Clone)]
pub struct Edit<'a> {
    /// The strongest surface in the file.
    pub surface: &'a Surface,
    /// The whole file with the other secret.
    pub content: Content,
}

impl Seen {
    /// The files that hold a token, each with its bytes for another secret, where the secret is not that already.
    #[must_use]
    pub fn edits(&self, secret: &Secret) -> Vec<Edit<'_>> {
        let mut edits: Vec<Edit<'_>> = Vec::new();
        let mut surfaces: Vec<&Surface> = self
            .install
            .surfaces
            .iter()
            .filter(|s| s.token.secret != *secret)
            .collect();
        // From the end of a file to its beginning, so that an edit does not move the next one's bytes.
        surfaces.sort_by_key(|surface| std::cmp::Reverse(surface.slot.range.start));
        for surface in surfaces {
            let before = edits
                .iter()
                .position(|edit| edit.surface.file == surface.file);
            let file = before
                .and_then(|at| edits.get(at))
                .map(|edit| &edit.content)
                .or_else(|| self.file(&surface.file));
            let Some(content) = file.and_then(|file| surface.edited(file, secret)) else {
                continue;
            };
            match before.and_then(|at| edits.get_mut(at)) {
                Some(edit) => edit.content = content,
                None => edits.push(Edit { surface, content }),
            }
        }
        // The winner comes last: until then the host starts as before.
        let wins = |edit: &Edit<'_>| {
            self.install
                .winner()
                .is_some_and(|winner| winner.file == edit.surface.file)
        };
        edits.sort_by_key(wins);
        edits
    }

    /// What must stay for K3s to start as it was judged here.
    #[must_use]
    pub fn guards(&self) -> Vec<Guard> {
        let sources = &self.install.sources;
        let file = |path: &Utf8PathBuf| {
            let holds = match self.known.files.get(path)? {
                Some(content) => Holds::Bytes(content.clone()),
                None => Holds::Nothing,
            };
            Some(guard(path, holds))
        };
        // A name that is not UTF-8 was read with losses and cannot be compared.
        let folder = |path: &Utf8PathBuf| {
            let names = self.known.folders.get(path)?;
            let whole = !names.iter().any(|name| name.contains('\u{fffd}'));
            whole.then(|| guard(path, Holds::Names(names.clone())))
        };
        let files = sources.files.iter().filter_map(file);
        files
            .chain(sources.folders.iter().filter_map(folder))
            .collect()
    }

    /// A surface that is about to be replaced must still hold what was read. `server/token` is not asked: K3s itself
    /// writes it in a rotate.
    #[must_use]
    pub fn unchanged(&self, surface: &Surface) -> Option<Guard> {
        let content = self.file(&surface.file)?.clone();
        let own = surface.file == self.install.data("server/token");
        (!own).then(|| guard(&surface.file, Holds::Bytes(content)))
    }
}

fn guard(path: &Utf8Path, holds: Holds) -> Guard {
    Guard {
        path: path.to_owned(),
        holds,
    }
}
