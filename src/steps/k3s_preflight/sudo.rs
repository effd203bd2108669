//! sudo that keeps what is typed would keep the tokens that are sent through it (sudoers(5): `log_input`).
//!
//! Of the defaults for everybody and for a user the last one counts; those for whom a command is run as come after them, and
//! a tag of the rule itself wins over all.

use camino::{Utf8Path, Utf8PathBuf};

use crate::facts::Login;
use crate::steps::findings::Finding;

/// sudo's own settings, and where more of them are.
pub(super) const SUDOERS: &str = "/etc/sudoers";
pub(super) const MORE: &str = "/etc/sudoers.d";

/// A file of settings.
pub(super) type File = (Utf8PathBuf, String);

/// Whether sudo itself reads a file of this name.
pub(super) fn counts(name: &str) -> bool {
    !name.contains('.') && !name.ends_with('~')
}

/// What these settings would keep of what is sent as this user; `more` stands where they are included.
pub(super) fn judge(host: &str, main: &File, more: &[File], login: &Login) -> Option<Finding> {
    let lines = lines(main, more);
    let settings: Vec<(&Utf8Path, Setting)> = lines
        .iter()
        .filter_map(|(path, line)| Some((*path, setting(line, login)?)))
        .collect();
    let of = |wanted: Whom| {
        let mut fit = settings.iter().filter(move |(_, it)| it.whom == wanted);
        fit.next_back()
            .filter(|(_, it)| it.keeps)
            .map(|(path, _)| *path)
    };
    let name = login.name.as_deref().unwrap_or("USER");
    let keeps = |path: &Utf8Path, what: &str, next: String| {
        let what = format!(
            "sudo on {host} keeps what is sent through it ({what} in {path}): the new token would be kept too"
        );
        Finding::of("sudo-keeps-input", what).next(next)
    };
    let out = |path: &Utf8Path, what: &str| {
        format!("take {what} out of {path} on {host} for the rotation, or log in as root")
    };
    if let Some(path) = of(Whom::Rule) {
        return Some(keeps(path, "LOG_INPUT", out(path, "`LOG_INPUT:`")));
    }
    if let Some(path) = of(Whom::Root) {
        return Some(keeps(path, "log_input", out(path, "`log_input`")));
    }
    if let Some(path) = of(Whom::Login) {
        let next = format!(
            "on {host} add `Defaults:{name} !log_input` behind it, such as in the last file of {MORE}, or log in as root"
        );
        return Some(keeps(path, "log_input", next));
    }
    let mut perhaps = settings.iter().filter(|(_, it)| it.keeps);
    let (path, _) = perhaps.find(|(_, it)| it.whom == Whom::Perhaps)?;
    let what = format!(
        "{path} on {host} lets sudo keep what is sent through it, for some: whether {name} is one of them cannot be told"
    );
    Some(Finding::of("sudo-may-keep-input", what))
}

/// Whom a setting is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Everybody, or the login user.
    Login,
    /// Those who become root.
    Root,
    /// The login user, by the rule that lets him.
    Rule,
    /// A host, a command, an alias: it may fit.
    Perhaps,
}

/// What a line says of keeping input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    whom: Whom,
    keeps: bool,
}

/// Lines without comments, continued ones joined, in sudo's order.
fn lines<'a>((path, text): &'a File, more: &'a [File]) -> Vec<(&'a Utf8Path, String)> {
    let of = |(path, text): &'a File| own_lines(path, text);
    let is_here = |(_, line): &(&Utf8Path, String)| {
        let folder = line
            .strip_prefix(['#', '@'])
            .and_then(|line| line.strip_prefix("includedir"));
        folder.is_some_and(|folder| folder.trim() == MORE)
    };
    let mut all = own_lines(path, text);
    let at = all.iter().position(is_here).unwrap_or(all.len());
    all.splice(at..at, more.iter().flat_map(of));
    all
}

fn own_lines<'a>(path: &'a Utf8Path, text: &str) -> Vec<(&'a Utf8Path, String)> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim().to_owned());
    lines.map(|line| (path, line)).collect()
}

/// A number sign begins a comment, except before a user's number.
fn uncommented(line: &str) -> &str {
    let mut signs = line.match_indices('#').filter(|(at, _)| {
        let before = line.get(..*at).and_then(|text| text.chars().last());
        let behind = line.get(at + 1..).and_then(|text| text.chars().next());
        before.is_none_or(char::is_whitespace) && !behind.is_some_and(|c| c.is_ascii_digit())
    });
    let end = signs.next().map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or(line)
}

fn setting(line: &str, login: &Login) -> Option<Setting> {
    let line = uncommented(line);
    match line.strip_prefix("Defaults") {
        Some(rest) => default(rest, login),
        None => rule(line, login),
    }
}

/// `:deploy !log_input`, as it stands behind `Defaults`.
fn default(rest: &str, login: &Login) -> Option<Setting> {
    let sign = rest.chars().next()?;
    let scoped = [':', '@', '!', '>'].contains(&sign);
    let (names, parameters) = if scoped {
        list(rest.get(1..)?)
    } else {
        (Vec::new(), rest)
    };
    let keeps = parameters.split(',').filter_map(flag).next_back()?;
    let fits = |it: &Login, whom| match it.is_one_of(&names) {
        Some(true) => Some(whom),
        Some(false) => None,
        None => Some(Whom::Perhaps),
    };
    let whom = match sign {
        ':' => fits(login, Whom::Login)?,
        '>' => fits(&Login::root(), Whom::Root)?,
        '@' | '!' => Whom::Perhaps,
        sign if sign.is_whitespace() => Whom::Login,
        _ => return None,
    };
    Some(Setting { whom, keeps })
}

/// `log_input` or `!log_input`; since sudo 1.9.11 both parts of it have names of their own.
fn flag(word: &str) -> Option<bool> {
    let word = word.trim();
    let name = word.trim_start_matches(['!', ' ']);
    let nots = word.chars().take_while(|c| ['!', ' '].contains(c));
    let keeps = nots.filter(|c| *c == '!').count().is_multiple_of(2);
    ["log_input", "log_stdin"].contains(&name).then_some(keeps)
}

/// `deploy ALL=(ALL) LOG_INPUT: ALL`
fn rule(line: &str, login: &Login) -> Option<Setting> {
    let not = line.contains("NOLOG_INPUT:");
    let keeps = line.replace("NOLOG_INPUT:", "").contains("LOG_INPUT:");
    let (names, _) = list(line);
    let is_alias = names.first()?.ends_with("_Alias");
    if is_alias || !(keeps || not) {
        return None;
    }
    let whom = match login.is_one_of(&names) {
        Some(true) => Whom::Rule,
        Some(false) => return None,
        None => Whom::Perhaps,
    };
    Some(Setting { whom, keeps })
}

/// Names that commas part, with or without blanks around these, and what stands behind.
fn list(text: &str) -> (Vec<&str>, &str) {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let is_quoted = rest.trim_start_matches('!').starts_with('"');
        let quote = rest.match_indices('"').nth(1).map(|(at, _)| at + 1);
        let end = quote
            .filter(|_| is_quoted)
            .or_else(|| rest.find([' ', '\t', ',']))
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        names.extend((!name.is_empty()).then_some(name));
        match behind.trim_start().strip_prefix(',') {
            Some(more) if !more.is_empty() => rest = more.trim_start(),
            _ => return (names, behind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy() -> Login {
        Login {
            uid: 1000,
            name: Some("deploy".to_owned()),
            groups: vec!["deploy".to_owned(), "ops".to_owned()],
        }
    }

    /// What is found in one text.
    fn found(text: &str) -> Option<&'static str> {
        let main = (SUDOERS.into(), text.to_owned());
        judge("h1", &main, &[], &deploy()).map(|finding| finding.name)
    }

    const KEEPS: Option<&str> = Some("sudo-keeps-input");
    const PERHAPS: Option<&str> = Some("sudo-may-keep-input");

    #[test]
    fn what_is_for_everybody_or_for_the_login_user_counts_and_the_last_word_wins() {
        for (text, wanted) in [
            ("Defaults log_output,log_input", KEEPS),
            ("  Defaults\tenv_reset, log_stdin", KEEPS),
            ("Defaults env_reset, \\\n  log_input\n", KEEPS),
            ("Defaults:deploy log_input", KEEPS),
            ("Defaults:other, deploy log_input", KEEPS),
            ("Defaults:#1000 log_input", KEEPS),
            ("Defaults:%ops log_input", KEEPS),
            ("Defaults:ALL log_input", KEEPS),
            ("Defaults>root log_input", KEEPS),
            ("Defaults log_input\nDefaults:deploy !log_input", None),
            ("Defaults log_input\nDefaults !log_input", None),
            ("Defaults log_input, !log_input", None),
            // A later one for everybody comes after one for a user.
            ("Defaults:deploy !log_input\nDefaults log_input", KEEPS),
            ("Defaults log_input\nDefaults:other !log_input", KEEPS),
            ("# Defaults log_input", None),
            ("Defaults env_reset # log_input", None),
            ("Defaults log_output", None),
            ("Defaults iolog_file=log_input", None),
            ("Defaultslog_input log_input", None),
            ("", None),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_for_others_is_passed_over_and_what_may_fit_is_named() {
        for (text, wanted) in [
            ("Defaults:backup log_input", None),
            ("Defaults:!deploy log_input", None),
            ("Defaults:ALL,!deploy log_input", None),
            ("Defaults:%auditors log_input", None),
            ("Defaults>postgres log_input", None),
            ("Defaults:OPERATORS log_input", PERHAPS),
            ("Defaults@web1 log_input", PERHAPS),
            ("Defaults!/usr/bin/passwd log_input", PERHAPS),
            ("Defaults!/usr/bin/passwd !log_input", None),
            ("Defaults>RUNNERS log_input", PERHAPS),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_tag_of_the_rule_wins_over_the_defaults() {
        for (text, wanted) in [
            ("deploy ALL=(ALL) NOPASSWD: LOG_INPUT: ALL", KEEPS),
            ("%ops ALL=(ALL) LOG_INPUT: ALL\nDefaults !log_input", KEEPS),
            ("deploy ALL=(ALL) NOLOG_INPUT: ALL", None),
            ("backup ALL=(ALL) LOG_INPUT: ALL", None),
            ("OPS ALL=(ALL) LOG_INPUT: ALL", PERHAPS),
            ("deploy ALL=(ALL) NOPASSWD: ALL", None),
        ] {
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn more_files_stand_where_they_are_included() {
        let more = [(
            "/etc/sudoers.d/deploy".into(),
            "Defaults:deploy !log_input\n".to_owned(),
        )];
        let found = |main: &str| {
            let main = (SUDOERS.into(), main.to_owned());
            judge("h1", &main, &more, &deploy()).is_some()
        };
        assert!(!found("Defaults log_input\n@includedir /etc/sudoers.d\n"));
        assert!(found("#includedir /etc/sudoers.d\nDefaults log_input\n"));
        assert!(!found("Defaults log_input\n"));
    }

    #[test]
    fn the_advice_names_the_login_user_and_works() {
        let main = (SUDOERS.into(), "Defaults log_input\n".to_owned());
        let next = judge("h1", &main, &[], &deploy()).unwrap().next;
        let advised = next.split('`').nth(1).unwrap();
        assert_eq!(advised, "Defaults:deploy !log_input");
        let more = [("/etc/sudoers.d/zz".into(), advised.to_owned())];
        assert_eq!(judge("h1", &main, &more, &deploy()), None);
        let nameless = Login {
            name: None,
            ..deploy()
        };
        assert_eq!(
            judge("h1", &main, &more, &nameless).unwrap().name,
            "sudo-keeps-input"
        );
    }

    proptest::proptest! {
        #[test]
        fn fuzz_sudoers(text in "((Defaults|deploy)[:@!>]?[ \\PC\n\t\"',!#%\\\\]{0,20}(LOG_INPUT:|log_input)?\n?){0,4}") {
            found(&text);
        }
    }
}
