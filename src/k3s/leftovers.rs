//! Where copies of a token are left behind, and how a host is searched for them by value.
//!
//! The values are lines on standard input and stay in the shell's memory; of a file that holds one only its path and
//! line numbers come back, never its text.

use camino::{Utf8Path, Utf8PathBuf};

/// Scripts, cloud-init data, shell histories, settings: searched in this order.
pub const PLACES: [&str; 9] = [
    "/var/lib/cloud/instance",
    "/root",
    "/home",
    "/etc",
    "/oem",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/var/spool/cron",
    "/opt",
];

/// Files that are looked at, at most.
const MOST_FILES: usize = 20_000;

/// Larger files hold no settings.
const LARGEST_KIB: usize = 1024;

/// Shorter values are not searched for: half of all files would hold them.
pub const SHORTEST: usize = 8;

/// `sh -c SCRIPT sh SKIP MOST KIB PLACE…`: prints `LINE<tab>PATH` for each copy, `more` when there were too many files,
/// and `done` at its end. A line is 0 in a file that is no text.
pub const SCRIPT: &str = r#"
skip=$1 most=$2 kib=$3
shift 3
values=$(cat)
set -f
look() {
    printf '%s\n' "$values" | grep -lsFf - -- "$@" | while IFS= read -r file; do
        lines=$(printf '%s\n' "$values" | grep -nFf - -- "$file" 2>/dev/null | head -n 9 | cut -d: -f1)
        for line in ${lines:-0}; do
            case $line in *[!0-9]*) line=0 ;; esac
            printf '%s\t%s\n' "$line" "$file"
        done
    done
}
find -H "$@" -xdev -path "$skip" -prune -o -type f -size "-${kib}k" -print 2>/dev/null | {
    count=0
    set --
    while IFS= read -r file; do
        count=$((count + 1))
        if [ "$count" -gt "$most" ]; then
            echo more
            break
        fi
        set -- "$@" "$file"
        if [ $# -ge 200 ]; then
            look "$@"
            set --
        fi
    done
    if [ $# -gt 0 ]; then look "$@"; fi
}
echo done
"#;

/// The command that searches a host; K3s's own data is left out.
#[must_use]
pub fn argv(data_dir: &Utf8Path) -> Vec<String> {
    let limits = [MOST_FILES, LARGEST_KIB].map(|limit| limit.to_string());
    ["sh", "-c", SCRIPT, "sh", data_dir.as_str()]
        .map(str::to_owned)
        .into_iter()
        .chain(limits)
        .chain(PLACES.map(str::to_owned))
        .collect()
}

/// One copy of a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    /// Which file.
    pub path: Utf8PathBuf,
    /// Which line, from 1; 0 in a file that is no text.
    pub line: u32,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// By path and line.
    pub copies: Vec<Copy>,
    /// Whether every file was looked at.
    pub complete: bool,
}

impl Found {
    /// Reads what the script printed.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let copy = |line: &str| {
            let (number, path) = line.split_once('\t')?;
            Some(Copy {
                path: path.into(),
                line: number.parse().ok()?,
            })
        };
        let mut copies: Vec<Copy> = text.lines().filter_map(copy).collect();
        copies.sort();
        copies.dedup();
        let says = |word: &str| text.lines().any(|line| line == word);
        Self {
            copies,
            complete: says("done") && !says("more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_colons_and_cut_searches_are_read() {
        let found = Found::parse("12\t/etc/a:3:b\n0\t/root/x\n12\t/etc/a:3:b\ndone\n");
        let paths: Vec<_> = found
            .copies
            .iter()
            .map(|copy| (copy.path.as_str(), copy.line))
            .collect();
        assert_eq!(paths, [("/etc/a:3:b", 12), ("/root/x", 0)]);
        assert!(found.complete);
        assert!(!Found::parse("12\t/etc/a\n").complete);
        assert!(!Found::parse("more\ndone\n").complete);
    }
}
