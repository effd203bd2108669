//! Reads a text from a file: whole, UTF-8, of bounded size.

use std::io::Read as _;
use std::path::Path;

use miette::NamedSource;

use super::{Problem, SourceText, mask};

const BYTE_ORDER_MARK: char = '\u{feff}';
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
        let mut text = zeroize::Zeroizing::new(text.into());
        if text.starts_with(BYTE_ORDER_MARK) {
            text.remove(0);
        }
        let shown = std::sync::Arc::new(NamedSource::new(name, harmless(&mask(&text, open))));
        Self { text, shown }
    }
}

/// The text without control characters, which a terminal would obey, byte for byte as long.
fn harmless(text: &str) -> String {
    let dots = |c: char| match c {
        '\n' | '\r' | '\t' => (c, 1),
        c if c.is_control() => ('?', c.len_utf8()),
        c => (c, 1),
    };
    text.chars()
        .map(dots)
        .flat_map(|(c, count)| std::iter::repeat_n(c, count))
        .collect()
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
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // A device says that it is empty, and has no end.
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Problem::new(
            "source::too-large",
            format!("the {what} `{name}` is larger than 16 MiB"),
        )
        .help(format!("is it really a {what}?")));
    }
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

#[cfg(test)]
mod tests {
    use super::{Source, read_file, text_of};

    #[test]
    fn a_file_without_an_end_is_too_large() {
        let problem = read_file("inventory", std::path::Path::new("/dev/zero"), &[]);
        assert_eq!(problem.expect_err("no end").code, "source::too-large");
    }

    #[test]
    fn what_is_shown_is_as_long_as_the_text_and_holds_no_controls() {
        let text = "a: \u{1b}[31m\u{85}x\ntoken: secret\n";
        let source = Source::new("x.yml", text, &[]);
        assert_eq!(source.shown.inner().len(), text.len());
        assert_eq!(source.shown.inner(), "a: ?[31m??x\ntoken: ******\n");
    }

    #[test]
    fn a_byte_order_mark_does_not_count() {
        assert_eq!(
            Source::new("x.yml", "\u{feff}a: b", &[]).text.as_str(),
            "a: b"
        );
    }

    #[test]
    fn the_first_bad_byte_is_shown() {
        let problem = text_of("x.yml", b"a: \xff\n".to_vec(), &[]).expect_err("not UTF-8");
        assert_eq!(problem.position(), Some(("x.yml", 1, 4)));
        let problem = text_of("x.yml", b"a\n: \0\n".to_vec(), &[]).expect_err("a NUL");
        assert_eq!(problem.position(), Some(("x.yml", 2, 3)));
    }
}
