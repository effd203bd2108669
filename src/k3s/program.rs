//! The k3s binary, which unpacks itself below a data directory before it does anything.
//!
//! Where that is it takes from `--data-dir` among its own arguments, and else from its usual configuration file; some
//! versions heed no drop-ins there, and none knows the arguments of the unit (k3s: `cmd/k3s/main.go`). A `k3s kubectl`
//! that is not told would unpack all of it once more, about 200 MB. A variable `K3S_DATA_DIR` would come before all that
//! in newer versions; keyroll's scripts unset it.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::install::DATA_DIR;

/// The k3s binary of a host, and where it has unpacked itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Program {
    /// Path or name.
    pub path: Utf8PathBuf,
    /// The data directory of the unit that runs it.
    pub data_dir: Utf8PathBuf,
}

impl Program {
    /// The argument by which it is told of its data directory, where that is not the usual one.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        (self.data_dir != DATA_DIR).then(|| format!("--data-dir={}", self.data_dir))
    }

    /// The words of a `k3s kubectl` with these arguments.
    #[must_use]
    pub fn kubectl<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        std::iter::once(self.path.to_string())
            .chain(self.told())
            .chain(["kubectl".to_owned()])
            .chain(words.into_iter().map(str::to_owned))
            .collect()
    }
}

impl From<&str> for Program {
    /// One with the usual data directory.
    fn from(path: &str) -> Self {
        Self {
            path: path.into(),
            data_dir: DATA_DIR.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_is_told_of_an_unusual_data_directory() {
        let usual = Program::from("k3s");
        assert_eq!(
            usual.kubectl(["get", "nodes"]).join(" "),
            "k3s kubectl get nodes"
        );
        let other = Program {
            data_dir: "/data/k3s".into(),
            ..usual
        };
        let words = "k3s --data-dir=/data/k3s kubectl get nodes";
        assert_eq!(other.kubectl(["get", "nodes"]).join(" "), words);
    }
}
