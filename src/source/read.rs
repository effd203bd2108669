//! Reads a text from a file: whole, UTF-8, of bounded size.

use std::path::Path;

use miette::NamedSource;

use super::{Problem, SourceText, mask};

const MOST_BYTES: u64 = 16 << 20;

/// A text as it is for parsing, and as it may be shown.
#[derive(Clone)]
pub struct Source {
    /// As it is. May hold secrets.
    pub text: zeroize::Zeroizing<String>,
    /// The same with values of secret keys masked, byte for byte as long.
    pub shown: SourceText,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.shown.name()).finish()
    }
}

impl Source {
    /// Takes a text under the name that people know it by. Keys in `open` are no secrets.
    #[must_use]
    pub fn new(name: &str, text: impl Into<String>, open: &[&str]) -> Self {
        let text = zeroize::Zeroizing::new(text.into());
        let shown = std::sync::Arc::new(NamedSource::new(name, mask(&text, open)));
        Self { text, shown }
    }
}

/// Reads a file. `what` says what it should be: `playbook`, `inventory`.
///
/// # Errors
/// When it is missing, unreadable, a directory, too large, not UTF-8, or holds a NUL.
pub fn read_file(what: &'static str, path: &Path, open: &[&str]) -> Result<Source, Problem> {
    let name = path.display().to_string();
    let unreadable = |why: std::io::Error| {
        let problem = Problem::new(
            "source::unreadable",
            format!("the {what} `{name}` cannot be read: {why}"),
        );
        if why.kind() == std::io::ErrorKind::NotFound {
            problem.help("check the path, and the directory that you are in")
        } else {
            problem.help("check who may read it")
        }
    };
    let state = std::fs::metadata(path).map_err(unreadable)?;
    if state.is_dir() {
        return Err(Problem::new(
            "source::directory",
            format!("the {what} `{name}` is a directory"),
        )
        .help("name a file in it"));
    }
    if state.len() > MOST_BYTES {
        return Err(Problem::new(
            "source::too-large",
            format!("the {what} `{name}` is larger than 16 MiB"),
        )
        .help(format!("is it really a {what}?")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    text_of(&name, bytes, open)
}

fn text_of(name: &str, bytes: Vec<u8>, open: &[&str]) -> Result<Source, Problem> {
    let (text, good) = match String::from_utf8(bytes) {
        Ok(text) => {
            let good = text.find('\0');
            (text, good)
        }
        Err(bad) => {
            let good = bad.utf8_error().valid_up_to();
            (
                String::from_utf8_lossy(bad.as_bytes()).into_owned(),
                Some(good),
            )
        }
    };
    let source = Source::new(name, text, open);
    let Some(offset) = good else {
        return Ok(source);
    };
    let nul = source.text.as_bytes().get(offset) == Some(&0);
    let (code, what) = if nul {
        ("source::nul", "the text holds a NUL byte")
    } else {
        ("source::not-utf8", "the text is not UTF-8")
    };
    Err(Problem::new(code, what)
        .at(&source.shown, (offset, 1))
        .label("here")
        .help("save the file as UTF-8 text"))
}
