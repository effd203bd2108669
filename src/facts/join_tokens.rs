//! Join tokens: what the API tells of them, and which of them a file on a host holds. Never their secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::others::table;
use super::{Admin, Fact, FactError, succeeded, unreadable};
use crate::k3s::others::{JOIN_TOKENS, TOKEN_PREFIX};
use crate::wire::{Command, FileKind, FileStat, Query, Response};

/// All join tokens of a cluster.
#[derive(Debug, Clone)]
pub struct JoinTokens(pub Admin);

/// A join token, as K3s has it: a bootstrap token of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Six characters, no secret.
    pub id: String,
    /// What it is for, in somebody's words.
    pub description: String,
    /// When it ends; `None` never.
    pub expires: Option<Timestamp>,
    /// Whether nodes can join with it.
    pub joins: bool,
    /// Whether nodes can check with it that a server is the right one.
    pub signs: bool,
}

impl JoinToken {
    /// Whether it has not ended at this time.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// What it is good for, in the words of `k3s token list`.
    #[must_use]
    pub fn usages(&self) -> &'static str {
        match (self.joins, self.signs) {
            (true, true) => "authentication,signing",
            (true, false) => "authentication",
            (false, true) => "signing",
            (false, false) => "nothing",
        }
    }
}

impl Fact for JoinTokens {
    type Value = Vec<JoinToken>;

    fn queries(&self) -> Vec<Query> {
        self.0.ask(&JOIN_TOKENS)
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<JoinToken>, FactError> {
        const WHAT: &str = "the list of join tokens";
        let text = succeeded(responses, 0, WHAT)?.stdout.text();
        let tokens = table(&text, WHAT)?.into_iter();
        tokens.map(join_token).collect()
    }
}

fn join_token([name, expires, joins, signs, what]: [&str; 5]) -> Result<JoinToken, FactError> {
    let id = name.strip_prefix(TOKEN_PREFIX).unwrap_or(name).to_owned();
    let odd = |what| unreadable(format!("the join token {id}"), what);
    let decoded = |text, what| {
        let bytes = STANDARD.decode(text).map_err(|_| odd(what))?;
        String::from_utf8(bytes).map_err(|_| odd(what))
    };
    let expires = match decoded(expires, "its end is no text")?.as_str() {
        "" => None,
        end => Some(end.parse().map_err(|_| odd("it ends at no known time"))?),
    };
    let is_set = |text, what| Ok::<_, FactError>(decoded(text, what)? == "true");
    Ok(JoinToken {
        expires,
        description: decoded(what, "its description is no text")?,
        joins: is_set(joins, "whether nodes can join with it is no text")?,
        signs: is_set(signs, "whether it signs is no text")?,
        id,
    })
}

/// What a file on a host holds of a join token. The file is read there, and its secret stays there.
#[derive(Debug, Clone)]
pub struct JoinTokenFile(pub Utf8PathBuf);

/// A file, and the join token that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldToken {
    /// What is at the path, links not followed.
    pub stat: Option<FileStat>,
    /// What the directory above it leads to.
    pub folder: Option<FileStat>,
    /// The token's id, and the hash of the CA that it pins; `None` where the file is anything but a join token.
    pub token: Option<(String, String)>,
}

impl HeldToken {
    /// Whether the file is the join token with this id.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.token.as_ref().is_some_and(|(held, _)| held == id)
    }
}

/// Bytes of a join token with the hash of a CA, and the end of its line.
const SIZE: u64 = 93;

/// Lets nothing of a file through but the id of each join token and the hash that it pins.
const IDS: &str = r"s/^K10\([0-9a-f]\{64\}\)::\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}$/\2 \1/p";

impl Fact for JoinTokenFile {
    type Value = HeldToken;

    fn queries(&self) -> Vec<Query> {
        let path = &self.0;
        let folder = path.parent().unwrap_or_else(|| Utf8Path::new("/"));
        let stat = Query::Stat {
            path: path.clone(),
            follow: false,
        };
        let ids = Command::new(["sed", "-n", IDS, path.as_str()]);
        vec![stat, Query::stat(folder), Query::Run(ids)]
    }

    fn parse(&self, responses: &[Response]) -> Result<HeldToken, FactError> {
        let [
            Response::Stat(stat),
            Response::Stat(folder),
            Response::Ran(ran),
        ] = responses
        else {
            return Err(unreadable(
                self.0.as_str(),
                format!("the answer is {responses:?}"),
            ));
        };
        let alone = |stat: &FileStat| stat.kind == FileKind::File && stat.size <= SIZE;
        let text = ran.stdout.text();
        let found = text.trim().split_once(' ').filter(|_| ran.status == 0);
        let found = found.filter(|_| stat.as_ref().is_some_and(alone));
        let token = found.map(|(id, hash)| (id.to_owned(), hash.to_owned()));
        Ok(HeldToken {
            stat: stat.clone(),
            folder: folder.clone(),
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;
    use crate::model::HostTime;

    fn tokens() -> JoinTokens {
        JoinTokens(Admin::of_a_server())
    }

    #[test]
    fn tokens_are_told_by_id_and_never_by_secret() {
        let text = "bootstrap-token-abc123\tMjAyNi0xMS0yMlQwNDowMDowMFo=\tdHJ1ZQ==\tdHJ1ZQ==\tdHdvIHdvcmRz\nbootstrap-token-def456\t\t\tdHJ1ZQ==\t\n";
        let found = tokens().parse(&[answer(0, text, "")]).unwrap();
        let end = "2026-11-22T04:00:00Z".parse().unwrap();
        assert_eq!(found[0].id, "abc123");
        assert_eq!(found[0].description, "two words");
        assert_eq!(found[0].usages(), "authentication,signing");
        assert_eq!((found[0].expires, found[0].lives(end)), (Some(end), false));
        assert_eq!((found[1].id.as_str(), found[1].expires), ("def456", None));
        assert_eq!((found[1].usages(), found[1].lives(end)), ("signing", true));
        let asked = format!("{:?}", tokens().queries());
        assert!(!asked.contains("token-secret"), "{asked}");
    }

    #[test]
    fn a_token_that_cannot_be_read_is_no_answer() {
        for row in ["a\t!\t\t\t", "a\tc29vbg==\t\t\t", "a\t\t\t\t/w=="] {
            let said = tokens()
                .parse(&[answer(0, row, "")])
                .unwrap_err()
                .to_string();
            assert!(
                said.starts_with("the join token a cannot be read"),
                "{said}"
            );
        }
        assert!(tokens().parse(&[answer(0, "a\tb\n", "")]).is_err());
    }

    #[test]
    fn a_file_is_a_join_token_when_nothing_else_is_in_it() {
        let held = |kind: FileKind, size: u64, lines: &str| {
            let stat = FileStat {
                kind,
                mode: 0o600,
                uid: 0,
                gid: 0,
                size,
                mtime: HostTime(0),
                ctime: HostTime(0),
            };
            let file = JoinTokenFile("/root/join".into());
            let stats = [Response::Stat(Some(stat)), Response::Stat(None)];
            let [stat, folder] = stats;
            file.parse(&[stat, folder, answer(0, lines, "")]).unwrap()
        };
        assert!(held(FileKind::File, 93, "abc123 hash\n").is("abc123"));
        assert!(!held(FileKind::File, 93, "abc123 hash\n").is("def456"));
        assert_eq!(held(FileKind::File, 93, "").token, None);
        assert_eq!(held(FileKind::File, 94, "abc123 hash\n").token, None);
        let link = FileKind::Symlink("/root/other".into());
        assert_eq!(held(link, 11, "abc123 hash\n").token, None);
    }
}
