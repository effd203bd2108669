//! `server/cred/passwd`: `password,user,uid,groups`, rows in any order.

use crate::secret::Secret;

/// Where it is, below the data directory.
pub(in crate::steps) const PASSWD: &str = "server/cred/passwd";

/// The passwords of the two users that tokens stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwd {
    /// Of `server`.
    pub server: Option<Secret>,
    /// Of `node`.
    pub node: Option<Secret>,
}

impl Passwd {
    /// Reads the file; rows of other users are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut passwd = Self::default();
        for line in text.lines() {
            let Some((password, rest)) = row(line) else {
                continue;
            };
            match rest.split(',').next() {
                Some("server") => passwd.server = Some(Secret::new(password)),
                Some("node") => passwd.node = Some(Secret::new(password)),
                _ => {}
            }
        }
        passwd
    }

    /// What a rotate leaves there.
    #[must_use]
    pub fn text(&self) -> String {
        let row = |secret: &Option<Secret>, user: &str, group: &str| {
            let password = secret.as_ref().map_or("", Secret::expose);
            format!("{password},{user},{user},k3s:{group}\n")
        };
        row(&self.node, "node", "agent") + &row(&self.server, "server", "server")
    }
}

/// The first field, with CSV quotes taken off, and the rest behind its comma.
fn row(line: &str) -> Option<(String, &str)> {
    let Some(quoted) = line.strip_prefix('"') else {
        return line
            .split_once(',')
            .map(|(password, rest)| (password.to_owned(), rest));
    };
    let end = quoted
        .match_indices("\",")
        .find(|(at, _)| {
            !quoted
                .get(..*at)
                .is_some_and(|q| q.ends_with('"') && !q.ends_with("\"\""))
        })?
        .0;
    Some((
        quoted.get(..end)?.replace("\"\"", "\""),
        quoted.get(end + 2..)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_are_found_by_user_in_any_order() {
        let read = Passwd::parse(
            "agentsecret1,node,node,k3s:agent\n0ldserversecret,server,server,k3s:server\n",
        );
        assert_eq!(read.server.unwrap().expose(), "0ldserversecret");
        assert_eq!(read.node.unwrap().expose(), "agentsecret1");
        let read = Passwd::parse("\"a,\"\"b\",server,server,k3s:server\nbroken\n");
        assert_eq!((read.server.unwrap().expose(), read.node), ("a,\"b", None));
    }

    #[test]
    fn what_is_written_reads_back() {
        let passwd = Passwd {
            server: Some(Secret::new("a")),
            node: Some(Secret::new("b")),
        };
        assert_eq!(Passwd::parse(&passwd.text()), passwd);
    }

    proptest! {
        #[test]
        fn fuzz_passwd(text in "[\\PC\n\r\\x00,\"]{0,120}", secret in "[a-z0-9]{1,8}") {
            let read = Passwd::parse(&text);
            for found in [read.server, read.node].into_iter().flatten() {
                prop_assert!(text.replace("\"\"", "\"").contains(found.expose()));
            }
            let mixed = format!("{}\n\"{secret}\",server,server,k3s:server", text.replace("server", "x"));
            let is_whole = !mixed.lines().any(|line| line.matches('"').count() % 2 == 1);
            if is_whole {
                prop_assert_eq!(Passwd::parse(&mixed).server, Some(Secret::new(secret)));
            }
        }
    }
}
