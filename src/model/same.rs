//! How the commands that are told of name the hosts of this one.

/// What stands for the hosts in every text that tells of a command, as in the catalogue of findings.
const HOSTS: &str = "-i INVENTORY";

/// Commands that look at hosts without any playbook, and know fewer words.
const LOOKS: [&str; 3] = ["where", "doctor", "token"];

/// The words of a command line that say which hosts are meant and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameHosts {
    /// For `where`, `doctor` and `token`.
    pub looking: String,
    /// For `run`, `verify`, `rollback`, `rescue` and `heal`.
    pub performing: String,
}

impl SameHosts {
    /// Puts them in the place of `-i INVENTORY`, wherever a text tells of a command of keyroll's.
    pub fn fill(&self, text: &mut String) {
        let mut filled = String::with_capacity(text.len());
        for part in text.split_inclusive(HOSTS) {
            match part.strip_suffix(HOSTS) {
                Some(begun) => filled.extend([begun, self.of(begun)]),
                None => filled.push_str(part),
            }
        }
        *text = filled;
    }

    /// For the command that is begun.
    fn of(&self, begun: &str) -> &str {
        let command = begun.rsplit_once("keyroll ").map_or("", |(_, it)| it);
        let verb = command.split(' ').next().unwrap_or_default();
        if LOOKS.contains(&verb) {
            &self.looking
        } else {
            &self.performing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_gets_the_words_that_it_knows() {
        let same = SameHosts {
            looking: "-i 'my hosts.yml' -F ssh.conf".to_owned(),
            performing: "-i 'my hosts.yml' -F ssh.conf --ignore-node n".to_owned(),
        };
        let filled = |text: &str| {
            let mut text = text.to_owned();
            same.fill(&mut text);
            text
        };
        assert_eq!(
            filled(
                "first: keyroll rescue h2 -i INVENTORY; `keyroll where -i INVENTORY` shows all of them"
            ),
            "first: keyroll rescue h2 -i 'my hosts.yml' -F ssh.conf --ignore-node n; \
             `keyroll where -i 'my hosts.yml' -F ssh.conf` shows all of them"
        );
        assert_eq!(filled("restart no server"), "restart no server");
    }
}
