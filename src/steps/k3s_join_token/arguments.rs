//! The arguments of `k3s_join_token`, as a playbook has them and as they are meant.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::K3sJoinToken;
use crate::source::duration;
use crate::template::Templated;

/// What one is that is to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What it is for: who looks for it finds it by this.
    pub description: Templated<Description>,
    /// How long it lives; a day when nothing is said.
    pub ttl: Templated<Ttl>,
    /// The file that gets it.
    pub dest: Templated<Dest>,
}

/// Which are not to be there.
#[derive(Debug, Clone, PartialEq)]
pub enum Which {
    /// The one with this id.
    Id(Templated<TokenId>),
    /// All for this.
    Description(Templated<Description>),
    /// All that have ended and that K3s has not cleaned away.
    Expired,
}

/// What a join token is for: one line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Description(pub(super) String);

impl TryFrom<String> for Description {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(
                "a join token is found again by its description: one line that is not empty",
            );
        }
        Ok(Self(text))
    }
}

/// Six small letters and digits, which everybody may know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TokenId(pub(super) String);

impl TryFrom<String> for TokenId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if text.len() == 6 && text.bytes().all(fits) {
            return Ok(Self(text));
        }
        Err(
            "the id of a join token is six small letters and digits, as `state: listed` says it; what follows its dot is the secret, which belongs into no playbook",
        )
    }
}

/// How long a join token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Ttl {
    /// So long, in whole seconds.
    For(Duration),
    /// Until somebody revokes it.
    Never,
}

impl TryFrom<String> for Ttl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim() == "never" {
            return Ok(Self::Never);
        }
        let read = duration(&text)
            .ok_or("write it as `30m`, `24h` or `7d`, at most a year, or `never`")?;
        if read.as_secs() == 0 {
            return Err(
                "K3s takes 0 for a token that never ends: write `never` if that is what you want",
            );
        }
        Ok(Self::For(Duration::from_secs(read.as_secs())))
    }
}

impl Ttl {
    /// As `k3s token create --ttl` reads it.
    pub(super) fn flag(self) -> String {
        match self {
            Self::For(length) => format!("{}s", length.as_secs()),
            Self::Never => "0s".to_owned(),
        }
    }
}

/// A file on a server: an absolute path without detours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Dest(pub(super) Utf8PathBuf);

impl TryFrom<String> for Dest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut parts = text.split('/');
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        if text.is_empty()
            || parts.next() != Some("")
            || !parts.all(is_plain)
            || text.chars().any(char::is_control)
        {
            return Err("write the whole path of a file on the server, such as /root/join-token");
        }
        Ok(Self(text.into()))
    }
}

/// As it stands in a playbook.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    state: State,
    description: Option<Templated<Description>>,
    ttl: Option<Templated<Ttl>>,
    dest: Option<Templated<Dest>>,
    id: Option<Templated<TokenId>>,
    #[serde(default)]
    expired: bool,
    expect: Option<Expect>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Present,
    Absent,
    Listed,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expect {
    None,
}

impl TryFrom<Written> for K3sJoinToken {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written.state {
            State::Present => written.present(),
            State::Absent => written.absent(),
            State::Listed => written.listed(),
        }
    }
}

impl Written {
    fn present(self) -> Result<K3sJoinToken, &'static str> {
        if self.id.is_some() || self.expired || self.expect.is_some() {
            return Err("`present` takes `description`, `dest` and `ttl`");
        }
        let (Some(description), Some(dest)) = (self.description, self.dest) else {
            return Err(
                "`present` needs `description`, by which the token is found again, and `dest`, the file on the server that gets it",
            );
        };
        let day = Ttl::For(Duration::from_hours(24));
        Ok(K3sJoinToken::Present(Wanted {
            description,
            ttl: self.ttl.unwrap_or(Templated::Literal(day)),
            dest,
        }))
    }

    fn absent(self) -> Result<K3sJoinToken, &'static str> {
        if self.ttl.is_some() || self.dest.is_some() || self.expect.is_some() {
            return Err("`absent` takes `id`, `description` or `expired`");
        }
        let which = match (self.id, self.description, self.expired) {
            (Some(id), None, false) => Which::Id(id),
            (None, Some(description), false) => Which::Description(description),
            (None, None, true) => Which::Expired,
            _ => {
                return Err(
                    "`absent` needs one of these: `id: ID`, `description: WORDS` or `expired: true`",
                );
            }
        };
        Ok(K3sJoinToken::Absent(which))
    }

    fn listed(self) -> Result<K3sJoinToken, &'static str> {
        let others = [
            self.description.is_some(),
            self.ttl.is_some(),
            self.dest.is_some(),
            self.id.is_some(),
            self.expired,
        ];
        if others.contains(&true) {
            return Err("`listed` takes `expect: none` and nothing else");
        }
        Ok(K3sJoinToken::Listed {
            none: self.expect.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<K3sJoinToken, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_state_takes_its_own_arguments() {
        for fine in [
            "{ state: present, description: rack 4, dest: /root/join }",
            "{ state: present, description: rack 4, dest: /root/join, ttl: never }",
            "{ state: present, description: \"{{ d }}\", dest: \"{{ f }}\", ttl: \"{{ t }}\" }",
            "{ state: absent, id: abc123 }",
            "{ state: absent, id: 123456 }",
            "{ state: absent, description: rack 4 }",
            "{ state: absent, expired: true }",
            "{ state: listed }",
            "{ state: listed, expect: none }",
        ] {
            assert!(read(fine).is_ok(), "{fine}: {:?}", read(fine));
        }
        for (odd, why) in [
            ("{ state: present, description: d }", "and `dest`"),
            (
                "{ state: present, dest: /root/join }",
                "needs `description`",
            ),
            (
                "{ state: present, description: d, dest: /a, id: abc123 }",
                "takes `description`",
            ),
            ("{ state: absent }", "needs one of these"),
            (
                "{ state: absent, id: abc123, expired: true }",
                "needs one of these",
            ),
            ("{ state: absent, id: abc123, ttl: 1h }", "takes `id`"),
            ("{ state: listed, id: abc123 }", "nothing else"),
            ("{ state: listed, expect: some }", "unknown variant"),
        ] {
            let said = read(odd).unwrap_err();
            assert!(said.contains(why), "{odd}: {said}");
        }
    }

    #[test]
    fn a_token_that_never_ends_is_asked_for_in_words() {
        let ttl = |text: &str| Ttl::try_from(text.to_owned());
        assert_eq!(ttl("never"), Ok(Ttl::Never));
        assert_eq!(ttl("1h30m").unwrap().flag(), "5400s");
        assert!(ttl("0").unwrap_err().contains("write `never`"));
        assert!(ttl("0.5s").unwrap_err().contains("write `never`"));
        assert!(ttl("soon").unwrap_err().contains("`24h`"));
    }

    #[test]
    fn what_is_no_id_description_or_path_is_refused() {
        for odd in ["abc12", "abc1234", "ABC123", "abcdef.0123456789abcdef"] {
            assert!(TokenId::try_from(odd.to_owned()).is_err(), "{odd}");
        }
        for odd in ["", " ", "two\nlines", "a\ttab"] {
            assert!(Description::try_from(odd.to_owned()).is_err(), "{odd:?}");
        }
        for odd in [
            "",
            "join",
            "/",
            "/root/",
            "/root/../join",
            "/root//join",
            "./join",
        ] {
            assert!(Dest::try_from(odd.to_owned()).is_err(), "{odd:?}");
        }
        assert!(Dest::try_from("/root/join token".to_owned()).is_ok());
    }
}
