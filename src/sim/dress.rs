//! What installers leave on hosts: files with their modes, for simulated fleets and for lab hosts.
//!
//! A folder `src/sim/dress/<installer>/` has one text each for the first server, for servers that join and for agents.
//! `=== MODE PATH [KIND]` begins a file. `@TOKEN@`, `@FULL@`, `@SERVER@` and `@NAME@` are put in. Kinds: `unit`, a
//! service as get.k3s.io writes it, of which the text has only the command; `bare`, the same without environment files;
//! `link`, a symbolic link to the path in the text; `binary`, the program k3s. `where.yml` says what `where` must find.

/// Texts of one installer.
#[derive(Debug, PartialEq, Eq)]
pub struct Dress {
    /// As `installer=` names it.
    pub name: &'static str,
    /// Of the first server, of servers that join, of agents.
    roles: [&'static str; 3],
    /// What `where` must find, as YAML.
    pub expected: &'static str,
    /// Whether the token can be rotated where it stands.
    pub is_editable: bool,
}

/// What a host is in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The first server.
    Server,
    /// A server that joins the first.
    Joiner,
    /// An agent.
    Agent,
}

impl Role {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "server" => Some(Self::Server),
            "joiner" => Some(Self::Joiner),
            "agent" => Some(Self::Agent),
            _ => None,
        }
    }
}

/// What differs from host to host.
#[derive(Debug, Clone, Default)]
pub struct Fill {
    /// The secret alone.
    pub token: String,
    /// `K10…::server:` and the secret.
    pub full: String,
    /// The first server's address.
    pub server: String,
    /// The host's name.
    pub name: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Absolute.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub body: Body,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A text.
    Text(String),
    /// A symbolic link to this path.
    Link(String),
    /// The program k3s.
    Program,
}

impl Item {
    /// Whether it is the unit of K3s itself.
    #[must_use]
    pub fn is_unit(&self) -> bool {
        self.path.starts_with("/etc/systemd/system/")
            && self.path.strip_suffix(".service").is_some()
    }
}

macro_rules! dress {
    ($name:literal, $editable:literal) => {
        Dress {
            name: $name,
            roles: [
                include_str!(concat!("dress/", $name, "/server")),
                include_str!(concat!("dress/", $name, "/joiner")),
                include_str!(concat!("dress/", $name, "/agent")),
            ],
            expected: include_str!(concat!("dress/", $name, "/where.yml")),
            is_editable: $editable,
        }
    };
}

/// Every installer.
pub static ALL: [Dress; 17] = [
    dress!("get-env", true),
    dress!("get-argument", true),
    dress!("get-config", true),
    dress!("k3s-ansible-old", true),
    dress!("k3s-ansible-1.0", true),
    dress!("k3s-ansible-1.2", true),
    dress!("techno-tim", true),
    dress!("xanmanning", true),
    dress!("k3sup", true),
    dress!("hetzner-k3s", true),
    dress!("autok3s", true),
    dress!("hand-made", true),
    dress!("ssherpa", true),
    dress!("nixos-file", true),
    dress!("rancher", false),
    dress!("nixos", false),
    dress!("nixos-store", false),
];

/// A service as get.k3s.io writes it.
const UNIT: &str = include_str!("dress/unit.service");
/// The environment files of such a service.
const FILES: &str = "EnvironmentFile=-/etc/default/@UNIT@\nEnvironmentFile=-/etc/sysconfig/@UNIT@\nEnvironmentFile=-/etc/systemd/system/@UNIT@.service.env\n";

impl Dress {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|dress| dress.name == name)
    }

    /// Of those that can be rotated, another one for each host.
    #[must_use]
    pub fn mixed(at: usize) -> Option<&'static Self> {
        let editable = ALL.iter().filter(|dress| dress.is_editable);
        editable.clone().nth(at % editable.count())
    }

    /// The files of a host.
    #[must_use]
    pub fn items(&self, role: Role, fill: &Fill) -> Vec<Item> {
        let [server, joiner, agent] = self.roles;
        let text = match role {
            Role::Server => server,
            Role::Joiner => joiner,
            Role::Agent => agent,
        };
        let sections = text.split("=== ").skip(1);
        sections.filter_map(|section| item(section, fill)).collect()
    }
}

fn item(section: &str, fill: &Fill) -> Option<Item> {
    let (head, body) = section.split_once('\n')?;
    let mut head = head.split(' ');
    let mode = u32::from_str_radix(head.next()?, 8).ok()?;
    let path = head.next()?.to_owned();
    let unit = path.rsplit('/').next().unwrap_or_default();
    let unit = unit.strip_suffix(".service").unwrap_or(unit);
    let filled = |text: &str| {
        text.replace("@UNIT@", unit)
            .replace("@TOKEN@", &fill.token)
            .replace("@FULL@", &fill.full)
            .replace("@SERVER@", &fill.server)
            .replace("@NAME@", &fill.name)
    };
    let service = |files: &str| UNIT.replace("@FILES@\n", files).replace("@EXEC@\n", body);
    let body = match head.next() {
        Some("unit") => Body::Text(filled(&service(FILES))),
        Some("bare") => Body::Text(filled(&service(""))),
        Some("link") => Body::Link(filled(body.trim_end())),
        Some(_) => Body::Program,
        None => Body::Text(filled(body)),
    };
    Some(Item { path, mode, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dress_has_one_unit_and_nothing_that_is_not_filled_in() {
        let fill = Fill {
            token: "t".to_owned(),
            full: "f".to_owned(),
            server: "s".to_owned(),
            name: "n".to_owned(),
        };
        for dress in &ALL {
            for role in [Role::Server, Role::Joiner, Role::Agent] {
                let items = dress.items(role, &fill);
                let units = items.iter().filter(|item| item.is_unit()).count();
                assert_eq!(units, 1, "{} {role:?}", dress.name);
                let open = |item: &&Item| match &item.body {
                    Body::Text(text) | Body::Link(text) => text.contains('@'),
                    Body::Program => false,
                };
                assert_eq!(items.iter().find(open), None, "{} {role:?}", dress.name);
            }
        }
    }
}
