//! Looks for secrets where none may be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;

/// Spellings of one or more secrets.
#[derive(Clone)]
pub(crate) struct Canary(Vec<String>);

impl Canary {
    /// Bare, and in base64 at each of the three alignments.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let mut spellings = Vec::new();
        for secret in secrets {
            spellings.push((*secret).to_owned());
            for (before, skip) in [("", 0), ("x", 2), ("xx", 3)] {
                let text = base64::engine::general_purpose::STANDARD_NO_PAD
                    .encode(format!("{before}{secret}"));
                spellings.push(text[skip..text.len() - 1].to_owned());
            }
        }
        Self(spellings)
    }

    /// Lines for `grep -F -f`.
    pub(crate) fn lines(&self) -> String {
        self.0.join("\n") + "\n"
    }

    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let found = |spelling: &String| {
            let spelling = spelling.as_bytes();
            bytes.windows(spelling.len()).any(|part| part == spelling)
        };
        self.0.iter().any(found)
    }

    /// Files below a folder that hold it.
    pub(crate) fn below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                found.extend(self.below(&path));
            } else if kind.is_file() && self.is_in(&std::fs::read(&path).unwrap()) {
                found.push(path.display().to_string());
            }
        }
        found
    }

    /// Looks at every process of this machine and its lab hosts, again and again until it is dropped.
    ///
    /// An agent is given its token in its environment by get.k3s.io's own unit: that one and its containerd may have it.
    pub(crate) async fn watch(&self, seen: &mut Watched) {
        loop {
            for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
                let argv = read("cmdline");
                if argv.is_empty() {
                    continue;
                }
                seen.processes += 1;
                let name = String::from_utf8_lossy(&argv).replace('\0', " ");
                if self.is_in(&argv) {
                    seen.found.insert(format!("argv: {name}"));
                }
                let may = name.contains("k3s agent") || name.starts_with("containerd");
                if !may && self.is_in(&read("environ")) {
                    seen.found.insert(format!("environment: {name}"));
                }
            }
            seen.rounds += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What a watch has seen.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) found: BTreeSet<String>,
    pub(crate) rounds: usize,
    pub(crate) processes: usize,
}

#[test]
fn a_canary_is_found_bare_and_encoded() {
    let canary = Canary::new(&["5ecret5ecret5ecret"]);
    for prefix in ["", "server:", "node:", "ab"] {
        let pair = base64::engine::general_purpose::STANDARD
            .encode(format!("{prefix}5ecret5ecret5ecret more"));
        assert!(canary.is_in(pair.as_bytes()), "{prefix}");
    }
    assert!(canary.is_in(b"a 5ecret5ecret5ecret b"));
    assert!(!canary.is_in(b"5ecret5ecret"));
}
