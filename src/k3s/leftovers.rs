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

/// Larger files are searched when they are text and not programs, up to 256 times as much in all.
const LARGE_KIB: usize = 1024;

/// Shorter values are not searched for: half of all files would hold them.
pub const SHORTEST: usize = 8;

/// `sh -c SCRIPT sh SKIP MOST KIB PLACE…`: prints `LINE<tab>PATH` for each copy, `left<tab>PATH` for a text that is too
/// large, `more` when there were too many files or one has a line break in its name, and `done` at its end. A line is 0
/// in a file that is no text.
pub const SCRIPT: &str = r#"
skip=$1 most=$2 kib=$3
shift 3
values=$(cat)
nl='
'
set -f
lines() {
    lines=$(printf '%s\n' "$values" | grep -nFf - -- "$1" 2>/dev/null | head -n 9 | cut -d: -f1)
    for line in ${lines:-0}; do
        case $line in *[!0-9]*) line=0 ;; esac
        printf '%s\t%s\n' "$line" "$1"
    done
}
look() {
    printf '%s\n' "$values" | grep -lsFf - -- "$@" | while IFS= read -r file; do lines "$file"; done
}
is_text() {
    [ "$(head -c 4096 -- "$1" | tr -d '\000' | wc -c)" -eq "$(head -c 4096 -- "$1" | wc -c)" ]
}
files() { find -H "$@" -print 2>/dev/null; }
files "$@" -xdev -path "$skip" -prune -o -type f -size "-${kib}k" ! -path "*$nl*" | {
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
files "$@" -xdev -path "$skip" -prune -o -type f ! -size "-${kib}k" ! -perm -100 ! -path "*$nl*" | {
    budget=$((kib * 256))
    count=0
    while IFS= read -r file; do
        count=$((count + 1))
        if [ "$count" -gt 200 ]; then
            echo more
            break
        fi
        is_text "$file" || continue
        size=$(($(wc -c <"$file") / 1024))
        if [ "$size" -gt "$budget" ]; then
            printf 'left\t%s\n' "$file"
        else
            budget=$((budget - size))
            look "$file"
        fi
    done
}
files "$@" -xdev -path "$skip" -prune -o -type f -path "*$nl*" | {
    read -r file && echo more
}
echo done
"#;

/// The command that searches a host; K3s's own data is left out.
#[must_use]
pub fn argv(data_dir: &Utf8Path) -> Vec<String> {
    let limits = [MOST_FILES, LARGE_KIB].map(|limit| limit.to_string());
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
    /// Texts that were too large to be searched.
    pub left: Vec<Utf8PathBuf>,
    /// Whether all others were looked at.
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
        let left = text.lines().filter_map(|line| line.strip_prefix("left\t"));
        let says = |word: &str| text.lines().any(|line| line == word);
        Self {
            copies,
            left: left.map(Utf8PathBuf::from).collect(),
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
        let large = Found::parse("left\t/opt/a log\ndone\n");
        assert_eq!((large.copies.len(), large.complete), (0, true));
        assert_eq!(large.left, ["/opt/a log"]);
        assert!(!Found::parse("more\ndone\n").complete);
    }
}
