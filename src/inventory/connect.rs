//! `ansible_*` variables that say how a host is reached.

use super::raw::{Var, VarMap};
use super::{Connect, vault};
use crate::source::{Problem, Problems};
use crate::template::{Vars, render_text};

/// Reads a host's connection. `places` holds the same variables as `vars`, with their places. What cannot be used is a
/// mistake on hosts of K3s, and a warning on others, which the built-in playbooks do not visit.
pub(super) fn read(
    places: &VarMap,
    vars: &Vars,
    is_of_k3s: bool,
    problems: &mut Problems,
) -> Connect {
    let mut reader = Reader {
        places,
        vars,
        is_of_k3s,
        problems,
    };
    reader.connection();
    reader.passed_over();
    Connect {
        address: reader.text(&["ansible_host", "ansible_ssh_host"]),
        port: reader.port(),
        user: reader.text(&["ansible_user", "ansible_ssh_user"]),
        private_key: reader.text(&["ansible_ssh_private_key_file", "ansible_private_key_file"]),
        args: reader.arguments(),
        become_password: reader.password().map(crate::secret::Secret::new),
    }
}

/// Variables of which [`read`] itself says why they cannot be used, where a host needs them.
const OWN: [&str; 13] = [
    "ansible_connection",
    "ansible_host",
    "ansible_ssh_host",
    "ansible_port",
    "ansible_ssh_port",
    "ansible_user",
    "ansible_ssh_user",
    "ansible_ssh_private_key_file",
    "ansible_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_password",
    "ansible_ssh_pass",
];

/// Whether it is said here, and need not be said before, that a variable of this name is encrypted.
pub(super) fn says(name: &str) -> bool {
    OWN.contains(&name)
}

struct Reader<'a> {
    places: &'a VarMap,
    vars: &'a Vars,
    is_of_k3s: bool,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    fn find(&self, names: &[&str]) -> Option<(String, &'a Var)> {
        let places = self.places;
        names
            .iter()
            .find_map(|name| Some(((*name).to_owned(), places.get(*name)?)))
    }

    fn problem(&mut self, var: &Var, what: impl Into<String>, help: &str) {
        let problem = Problem::new("inventory::connect", what).at(&var.text, var.at);
        let problem = problem.help(help);
        self.problems.push(if self.is_of_k3s {
            problem
        } else {
            problem.warning()
        });
    }

    fn warn(&mut self, var: &Var, what: impl Into<String>, help: &str) {
        let problem = Problem::new("inventory::unread", what).at(&var.text, var.at);
        self.problems.push(problem.help(help).warning());
    }

    /// Of sudo. One that cannot be read, as it stands in a file that is encrypted, is asked for. What is itself
    /// encrypted was warned of when it was read.
    fn password(&mut self) -> Option<String> {
        let names = [
            "ansible_become_password",
            "ansible_become_pass",
            "ansible_sudo_pass",
        ];
        let (name, var) = self.find(&names)?;
        if vault::is_unread(&var.value) {
            return None;
        }
        // The text itself is not shown: it may hold a part of the password.
        let text = var.value.as_str();
        if text.is_some_and(|text| render_text(text, self.vars).is_err()) {
            let what = format!("`{name}` names what is not known, or encrypted by Ansible vault");
            self.warn(var, what, "let keyroll ask for it: -K");
            return None;
        }
        self.text(&names)
    }

    /// What Ansible would heed, and keyroll does not.
    fn passed_over(&mut self) {
        let login =
            "keyroll logs in with keys: load one into ssh-agent, or `ssh-copy-id` it to the host";
        let sudo = "keyroll becomes root with sudo, or logs in as root";
        for (names, why) in [
            (&["ansible_password", "ansible_ssh_pass"], login),
            (&["ansible_become_method", "ansible_become_exe"], sudo),
        ] {
            for name in names {
                let Some((name, var)) = self.find(&[name]) else {
                    continue;
                };
                if plugin(var) != Some("sudo") {
                    self.warn(var, format!("`{name}` is not heeded"), why);
                }
            }
        }
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        let (name, var) = self.find(names)?;
        let text = match var.value.as_str() {
            Some(text) => match render_text(text, self.vars) {
                Ok(text) => text,
                Err(error) => {
                    self.problem(var, format!("`{name}`: {error}"), unrendered(&name));
                    return None;
                }
            },
            None if var.value.is_none() => return None,
            None if vault::is_unread(&var.value) => {
                self.encrypted(&name, var);
                return None;
            }
            None if matches!(var.value.kind(), minijinja::value::ValueKind::Number) => {
                var.value.to_string()
            }
            None => {
                self.problem(var, format!("`{name}` is a text"), "write a text");
                return None;
            }
        };
        if text.is_empty()
            || text.contains(['\n', '\0'])
            || text.starts_with('-') && name == "ansible_host"
        {
            self.problem(
                var,
                format!("`{name}` cannot be used as it is"),
                "write one line that is not empty",
            );
            return None;
        }
        Some(text)
    }

    fn encrypted(&mut self, name: &str, var: &Var) {
        let what = format!(
            "`{name}` is encrypted by Ansible vault, and how a host is reached is read from plain values"
        );
        self.problem(var, what, "write it in plain text: it is no secret");
    }

    fn port(&mut self) -> Option<u16> {
        let names = ["ansible_port", "ansible_ssh_port"];
        let text = self.text(&names)?;
        let port = text.parse().ok().filter(|port| *port > 0);
        if port.is_none()
            && let Some((name, var)) = self.find(&names)
        {
            self.problem(
                var,
                format!("`{name}` is a port, not `{text}`"),
                "a port is a number from 1 to 65535",
            );
        }
        port
    }

    fn arguments(&mut self) -> Vec<String> {
        let mut arguments = Vec::new();
        for name in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
            let Some((_, var)) = self.find(&[name]) else {
                continue;
            };
            if var
                .value
                .as_str()
                .is_some_and(|text| text.trim().is_empty())
            {
                continue;
            }
            let Some(text) = self.text(&[name]) else {
                continue;
            };
            match shlex::split(&text) {
                Some(words) => arguments.extend(words),
                None => self.problem(
                    var,
                    format!("`{name}` has a quote that is not closed"),
                    "close the quote",
                ),
            }
        }
        arguments
    }

    fn connection(&mut self) {
        let Some((name, var)) = self.find(&["ansible_connection"]) else {
            return;
        };
        if vault::is_unread(&var.value) {
            self.encrypted(&name, var);
        } else if !matches!(
            plugin(var),
            Some("ssh" | "smart" | "paramiko" | "paramiko_ssh")
        ) {
            self.problem(
                var,
                format!("`{name}` can only be `ssh`"),
                "keyroll reaches every host by ssh, also the one that it runs on",
            );
        }
    }
}

/// The name of a plugin of Ansible's own, which may be written in full: `ansible.builtin.ssh`.
fn plugin(var: &Var) -> Option<&str> {
    let name = var.value.as_str()?;
    let own = ["ansible.builtin.", "ansible.legacy."];
    let short = own.iter().find_map(|own| name.strip_prefix(own));
    Some(short.unwrap_or(name))
}

/// What to do about a variable that cannot be worked out. What the command line sets wins over the inventory, and `-u`
/// does not.
fn unrendered(name: &str) -> &'static str {
    match name {
        "ansible_user" | "ansible_ssh_user" => {
            "connections are read before any host is asked: write a plain name, or give it for all hosts with `-e ansible_user=NAME` (-u does not win over the inventory)"
        }
        "ansible_ssh_private_key_file" | "ansible_private_key_file" => {
            "connections are read before any host is asked: write a plain path, or give it for all hosts with `-e ansible_ssh_private_key_file=FILE`"
        }
        _ => "connections are read before any host is asked",
    }
}
