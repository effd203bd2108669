//! Who logged in, as sudo knows him.

use super::{Fact, FactError, ran};
use crate::wire::{Command, Query, Response};

/// A user of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// His number.
    pub uid: u32,
    /// `None` where the host does not tell it.
    pub name: Option<String>,
    /// Names of his groups.
    pub groups: Vec<String>,
}

impl Login {
    /// The one whom sudo runs a command as.
    #[must_use]
    pub fn root() -> Self {
        Self {
            uid: 0,
            name: Some("root".to_owned()),
            groups: vec!["root".to_owned()],
        }
    }

    /// Whether a list of sudo's settings has him: names, `#` with a number, `%` with a group, `ALL`, each with `!` taken
    /// out again. `None` when it cannot be told, as with an alias.
    #[must_use]
    pub fn is_one_of(&self, names: &[&str]) -> Option<bool> {
        let mut found = Some(false);
        for written in names {
            let name = written.trim_start_matches('!');
            let is_in = (written.len() - name.len()).is_multiple_of(2);
            match self.fits(name.trim_matches('"')) {
                Some(true) => found = Some(is_in),
                Some(false) => {}
                None => found = None,
            }
        }
        found
    }

    fn fits(&self, name: &str) -> Option<bool> {
        let own = self.name.as_deref();
        if name == "ALL" {
            return Some(true);
        }
        if let Some(number) = name.strip_prefix('#') {
            return number.parse().ok().map(|uid: u32| uid == self.uid);
        }
        if let Some(group) = name.strip_prefix('%') {
            let is_plain = !group.starts_with(['#', ':']);
            return own
                .filter(|_| is_plain)
                .map(|_| self.groups.iter().any(|own| own == group));
        }
        let is_alias = name.chars().all(|c| !c.is_lowercase());
        if own == Some(name) {
            Some(true)
        } else if is_alias || name.starts_with('+') {
            None
        } else {
            own.map(|_| false)
        }
    }
}

/// The number of the user who called sudo; `None` where nobody did.
#[derive(Debug, Clone, Copy)]
pub struct SudoUid;

impl Fact for SudoUid {
    type Value = Option<u32>;

    fn queries(&self) -> Vec<Query> {
        let text = r#"echo "${SUDO_UID-}""#;
        vec![Query::Run(Command::new(["sh", "-c", text]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Option<u32>, FactError> {
        let text = ran(responses, 0, "the user of sudo")?.stdout.text();
        Ok(text.trim().parse().ok())
    }
}

/// The user with this number, who logged in.
#[derive(Debug, Clone, Copy)]
pub struct LoginUser(pub u32);

/// sudo itself says as whom it was called.
const NAMES: &str = r#"u=${SUDO_USER:-$(getent passwd "$1" | cut -d: -f1)}; test -n "$u" && echo "$u" && id -Gn "$u""#;

impl Fact for LoginUser {
    type Value = Login;

    fn queries(&self) -> Vec<Query> {
        let uid = self.0.to_string();
        vec![Query::Run(Command::new(["sh", "-c", NAMES, "sh", &uid]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Login, FactError> {
        let text = ran(responses, 0, "the login user")?.stdout.text();
        let mut lines = text.lines().map(str::trim);
        let name = lines.next().filter(|name| !name.is_empty());
        let groups = lines.next().unwrap_or_default().split_whitespace();
        Ok(Login {
            uid: self.0,
            name: name.map(str::to_owned),
            groups: groups.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    #[test]
    fn whoever_called_sudo_is_told_by_sudo() {
        for (text, uid) in [("1000\n", Some(1000)), ("\n", None)] {
            let said = SudoUid.parse(&[answer(0, text, "")]).unwrap();
            assert_eq!(said, uid);
        }
    }

    #[test]
    fn a_host_that_tells_no_name_is_no_trouble() {
        let read = |status, text| LoginUser(1000).parse(&[answer(status, text, "")]).unwrap();
        let deploy = read(0, "deploy\ndeploy wheel\n");
        assert_eq!(deploy.name.as_deref(), Some("deploy"));
        assert_eq!(deploy.groups, ["deploy", "wheel"]);
        let nobody = read(127, "");
        assert_eq!((nobody.uid, nobody.name.as_deref()), (1000, None));
        assert_eq!(nobody.is_one_of(&["deploy"]), None);
        assert_eq!(nobody.is_one_of(&["#1000"]), Some(true));
    }
}
