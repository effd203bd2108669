//! Whether files can be replaced by a rename, found without trying.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Fact, FactError, ran, said, unreadable};
use crate::wire::{Command, Query, Ran, Response};

/// What keeps these files from being replaced; empty when nothing does.
#[derive(Debug, Clone)]
pub struct Replaceable(pub BTreeSet<Utf8PathBuf>);

/// Something that keeps a file from being replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Which file or directory.
    pub path: Utf8PathBuf,
    /// What it is: "immutable".
    pub what: &'static str,
    /// What to do next.
    pub next: String,
}

impl Replaceable {
    /// Each file and its directory, once.
    fn places(&self) -> BTreeSet<&Utf8Path> {
        let files = self.0.iter().map(Utf8PathBuf::as_path);
        files
            .clone()
            .chain(files.filter_map(Utf8Path::parent))
            .collect()
    }
}

impl Fact for Replaceable {
    type Value = Vec<Obstacle>;

    fn queries(&self) -> Vec<Query> {
        let ask = |words: &[&str], path: &Utf8Path| {
            Query::Run(Command::new(words.iter().copied().chain([path.as_str()])))
        };
        let places = self.places();
        let both = |path: &Utf8Path| [ask(&["test", "-w"], path), ask(&["lsattr", "-d"], path)];
        places.into_iter().flat_map(both).collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<Obstacle>, FactError> {
        let mut found = Vec::new();
        for (path, answers) in self.places().into_iter().zip(responses.chunks(2)) {
            let writable = ran(answers, 0, path.as_str())?;
            if writable.status > 1 {
                return Err(unreadable(path.as_str(), said(writable)));
            }
            // A file system without flags, or a host without lsattr, has nothing to say.
            let flags = ran(answers, 1, path.as_str())
                .map(flags)
                .unwrap_or_default();
            found.extend(obstacle(path, writable.status == 0, &flags));
        }
        Ok(found)
    }
}

/// `----i---------e------- /etc/x`
fn flags(ran: &Ran) -> String {
    let text = ran.stdout.text();
    let first = text.split_whitespace().next();
    first
        .filter(|_| ran.status == 0)
        .unwrap_or_default()
        .to_owned()
}

fn obstacle(path: &Utf8Path, is_writable: bool, flags: &str) -> Option<Obstacle> {
    let (what, next) = if flags.contains('i') {
        ("immutable", format!("chattr -i {path}"))
    } else if flags.contains('a') {
        ("append-only", format!("chattr -a {path}"))
    } else if is_writable {
        return None;
    } else {
        let next = format!("make {path} writable for root: see `findmnt -T {path}`");
        ("read-only, or on a read-only file system", next)
    };
    Some(Obstacle {
        path: path.to_owned(),
        what,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    fn said(status: i32, stdout: &str) -> Response {
        answer(status, stdout, "")
    }

    #[test]
    fn what_keeps_a_file_is_named() {
        let fact = Replaceable(BTreeSet::from(["/e/c".into()]));
        assert_eq!(fact.queries().len(), 4);
        let look = |answers: [Response; 4]| {
            let found = fact.parse(&answers).unwrap();
            found
                .into_iter()
                .map(|o| format!("{} {}", o.path, o.what))
                .collect::<Vec<_>>()
        };
        let fine = || said(0, "");
        let none = || said(127, "");
        assert_eq!(
            look([fine(), none(), fine(), said(0, "----------e--- /e/c")]),
            [""; 0]
        );
        assert_eq!(
            look([fine(), none(), said(1, ""), said(0, "----i-----e--- /e/c")]),
            ["/e/c immutable"]
        );
        assert_eq!(
            look([fine(), said(0, "-----a--- /e"), fine(), none()]),
            ["/e append-only"]
        );
        assert_eq!(
            look([said(1, ""), none(), fine(), none()]),
            ["/e read-only, or on a read-only file system"]
        );
        assert!(fact.parse(&[none(), none(), none(), none()]).is_err());
    }
}
