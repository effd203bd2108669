//! `server/cred/passwd`: two CSV rows whose order varies.

/// The secrets of both rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwd {
    /// Password of user `server`.
    pub server: String,
    /// Password of user `node`.
    pub node: String,
}

impl Passwd {
    /// Reads the file; `None` when a row is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let password = |user: &str| {
            let row = text.lines().find_map(|line| {
                let (password, rest) = line.split_once(',')?;
                (rest.split(',').next() == Some(user)).then_some(password)
            });
            row.map(str::to_owned)
        };
        Some(Self {
            server: password("server")?,
            node: password("node")?,
        })
    }

    /// Writes the file; `luck` decides which row comes first, as K3s leaves it to a map.
    #[must_use]
    pub fn render(&self, luck: i64) -> String {
        let node = format!("{},node,node,k3s:agent\n", self.node);
        let server = format!("{},server,server,k3s:server\n", self.server);
        if luck % 2 == 0 {
            node + &server
        } else {
            server + &node
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_read_the_same_and_have_the_measured_size() {
        let passwd = Passwd {
            server: "newserversecret1111111111111111".to_owned(),
            node: "newserversecret1111111111111111".to_owned(),
        };
        assert_eq!(
            Passwd::parse(&passwd.render(0)),
            Passwd::parse(&passwd.render(1))
        );
        assert_ne!(passwd.render(0), passwd.render(1));
        assert_eq!(passwd.render(0).len(), 109);
    }
}
