//! What stands in a unit, as `systemctl show` writes it.

use camino::Utf8PathBuf;

/// `{ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server ; ignore_errors=no ; … }`
pub(super) fn argv(exec: &str) -> Vec<String> {
    let words = exec
        .split_once("argv[]=")
        .and_then(|(_, rest)| rest.split_once(" ; ignore_errors="));
    words
        .map(|(words, _)| words.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// `A=b "C=d e"`
pub(super) fn environment(line: &str) -> Vec<(String, String)> {
    let words =
        shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect());
    words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// Each file, and whether it may be missing: `/etc/default/k3s (ignore_errors=yes)`.
pub(super) fn environment_files(block: &str) -> impl Iterator<Item = (Utf8PathBuf, bool)> {
    let lines = block
        .lines()
        .filter_map(|line| line.strip_prefix("EnvironmentFiles="));
    let file = |line: &str| {
        let (path, optional) = match line.rsplit_once(" (") {
            Some((path, flags)) => (path, flags.contains("ignore_errors=yes")),
            None => (line, true),
        };
        (Utf8PathBuf::from(path), optional)
    };
    lines.filter(|line| !line.is_empty()).map(file)
}
