//! kubectl: what it is asked, and its words for what a server answers.

use super::parse::{self, Kubeconfig};
use super::version::Version;
use super::world::Answer;
use crate::k3s::others;

/// What `k3s kubectl` reads when nobody names another file.
pub const OPERATORS: &str = "/etc/rancher/k3s/k3s.yaml";

/// A kubectl command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubectl {
    /// Path after the binary's own `--data-dir=`.
    pub data_dir: Option<String>,
    /// Path after `--kubeconfig=`.
    pub kubeconfig: Option<String>,
    /// URL after `--server=`.
    pub server: Option<String>,
    /// What it does.
    pub verb: Verb,
}

/// What a kubectl command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// `get --raw PATH`
    GetRaw(String),
    /// `replace --raw PATH -f FILE [--validate=false]`
    ReplaceRaw {
        /// Path at the server.
        path: String,
        /// File with the body.
        file: String,
        /// Whether the body is to be held against a schema.
        is_validated: bool,
    },
    /// `create --raw PATH -f FILE`
    CreateRaw {
        /// Path at the server.
        path: String,
        /// File with the body.
        file: String,
    },
    /// `get nodes -o json`
    Nodes,
    /// `get leases -n kube-node-lease -o json`
    Leases,
    /// Workloads, plans of upgrades or join tokens, a line each.
    Lines(Lines),
    /// `get endpoints -n default kubernetes -o json`
    Apiservers,
    /// `get namespace kube-system -o json`
    Namespace,
    /// `annotate --overwrite namespace kube-system KEY=VALUE`
    Annotate {
        /// The annotation's name.
        key: String,
        /// Its value.
        value: String,
    },
}

/// What is listed a line each, as [`others`] has the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// `DaemonSets` and `Deployments`.
    Workloads,
    /// Plans of system-upgrade-controller.
    Plans,
    /// Join tokens.
    JoinTokens,
}

/// Where a kubectl command goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// With the admin kubeconfig of a server.
    Admin,
    /// A URL without a path, and basic credentials.
    Url(Kubeconfig),
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Status 0 with some output.
    #[must_use]
    pub fn fine(stdout: impl Into<String>) -> Self {
        Self {
            status: 0,
            stdout: stdout.into(),
            stderr: String::new(),
        }
    }

    /// A status with words on standard error.
    #[must_use]
    pub fn bad(status: i32, stderr: impl Into<String>) -> Self {
        Self {
            status,
            stdout: String::new(),
            stderr: stderr.into() + "\n",
        }
    }
}

impl Kubectl {
    /// What an old kubectl says in place of sending a body whose schema it cannot get: a server's basic credentials are none
    /// for the API (kubectl: `ReplaceOptions.Complete`).
    #[must_use]
    pub fn lacks_schema(&self, target: &Target, version: Version) -> Option<Ended> {
        let is_validated = matches!(
            self.verb,
            Verb::ReplaceRaw {
                is_validated: true,
                ..
            }
        );
        let is_basic = matches!(target, Target::Url(_));
        let words = "error: You must be logged in to the server (the server has asked for the client to provide credentials)";
        (is_validated && is_basic && version.wants_schema()).then(|| Ended::bad(1, words))
    }

    /// Reads the arguments after `kubectl`; `None` when this model has no such command.
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let mut call = Self {
            data_dir: None,
            kubeconfig: None,
            server: None,
            verb: Verb::Nodes,
        };
        let mut verb = Vec::new();
        for word in words {
            if let Some(path) = word.strip_prefix("--kubeconfig=") {
                call.kubeconfig = Some(path.to_owned());
            } else if let Some(url) = word.strip_prefix("--server=") {
                call.server = Some(url.trim_end_matches('/').to_owned());
            } else if !word.starts_with("--request-timeout=") {
                verb.push(*word);
            }
        }
        call.verb = match verb.as_slice() {
            ["get", "--raw", path] => Verb::GetRaw((*path).to_owned()),
            ["replace", "--raw", path, "-f", file, rest @ ..] => Verb::ReplaceRaw {
                path: (*path).to_owned(),
                file: (*file).to_owned(),
                is_validated: match rest {
                    [] => true,
                    ["--validate=false"] => false,
                    _ => return None,
                },
            },
            ["create", "--raw", path, "-f", file] => Verb::CreateRaw {
                path: (*path).to_owned(),
                file: (*file).to_owned(),
            },
            ["get", "nodes", "-o", "json"] => Verb::Nodes,
            [
                "get",
                "endpoints",
                "-n",
                "default",
                "kubernetes",
                "-o",
                "json",
            ] => Verb::Apiservers,
            ["get", "namespace", "kube-system", "-o", "json"] => Verb::Namespace,
            ["annotate", "--overwrite", "namespace", "kube-system", pair] => {
                let (key, value) = pair.split_once('=')?;
                Verb::Annotate {
                    key: key.to_owned(),
                    value: value.to_owned(),
                }
            }
            ["get", "leases", "-n", "kube-node-lease", "-o", "json"] => Verb::Leases,
            words if *words == others::WORKLOADS => Verb::Lines(Lines::Workloads),
            words if *words == others::PLANS => Verb::Lines(Lines::Plans),
            words if *words == others::JOIN_TOKENS => Verb::Lines(Lines::JoinTokens),
            _ => return None,
        };
        Some(call)
    }

    /// The file that tells it where to go.
    #[must_use]
    pub fn kubeconfig(&self) -> &str {
        self.kubeconfig.as_deref().unwrap_or(OPERATORS)
    }

    /// Where it goes, given what its kubeconfig holds.
    ///
    /// # Errors
    /// kubectl's end when the kubeconfig is not there, or is not one.
    pub fn target(&self, kubeconfig: Option<&str>) -> Result<Target, Ended> {
        if let Some(url) = &self.server {
            return Ok(Target::Url(Kubeconfig {
                server: url.clone(),
                ca: None,
                basic: None,
                is_admin: false,
            }));
        }
        let path = self.kubeconfig();
        let Some(text) = kubeconfig else {
            return Err(match self.kubeconfig {
                None => refused("localhost:8080"),
                Some(_) => Ended::bad(1, format!("error: stat {path}: no such file or directory")),
            });
        };
        let unreadable = || {
            let why = "couldn't get version/kind; json parse error";
            Ended::bad(
                1,
                format!("error: error loading config file \"{path}\": {why}"),
            )
        };
        let door = parse::kubeconfig(text).ok_or_else(unreadable)?;
        let is_own = door.is_admin && door.server.starts_with("https://127.0.0.1:");
        Ok(if is_own {
            Target::Admin
        } else {
            Target::Url(door)
        })
    }
}

/// What kubectl prints when nobody listens at `address` (`127.0.0.1:6443`).
#[must_use]
pub fn refused(address: &str) -> Ended {
    Ended::bad(
        1,
        format!(
            "The connection to the server {address} was refused - did you specify the right host or port?"
        ),
    )
}

/// What kubectl prints for an answer.
#[must_use]
pub fn words(answer: &Answer) -> Ended {
    let (status, body) = match answer {
        Answer::Dropped => return Ended::bad(1, "Unable to connect to the server: EOF"),
        Answer::Said { status, body } => (*status, body),
    };
    if (200..300).contains(&status) {
        return Ended::fine(body.clone());
    }
    let said: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key: &str| said.get(key).and_then(|value| value.as_str());
    let message = text("message").unwrap_or(match status {
        401 => "the server has asked for the client to provide credentials",
        _ => "unknown",
    });
    if status == 401 {
        return Ended::bad(
            1,
            format!("error: You must be logged in to the server ({message})"),
        );
    }
    match text("reason") {
        Some(reason) => Ended::bad(1, format!("Error from server ({reason}): {message}")),
        None if status == 503 => Ended::bad(
            1,
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
        ),
        None if status == 400 && body.is_empty() => Ended::bad(
            1,
            "Error from server (BadRequest): the server rejected our request for an unknown reason",
        ),
        None => Ended::bad(1, format!("Error from server: {body}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knock_is_understood() {
        let line = "--kubeconfig=/dev/stdin --request-timeout=10s get --raw /v1-k3s/token";
        let words: Vec<&str> = line.split(' ').collect();
        let kubectl = Kubectl::parse(&words).unwrap();
        assert_eq!(kubectl.verb, Verb::GetRaw("/v1-k3s/token".to_owned()));
        assert_eq!(kubectl.kubeconfig.as_deref(), Some("/dev/stdin"));
    }

    /// k3s-measured section 1: the words for 405, 401 and 403.
    #[test]
    fn kubectls_words_are_the_measured_ones() {
        let status = |code: u16, message: &str, reason: &str| {
            let body = serde_json::json!({"kind": "Status", "message": message, "reason": reason, "code": code});
            words(&Answer::said(code, body.to_string())).stderr
        };
        assert_eq!(
            status(
                405,
                "the server does not allow this method on the requested resource",
                "MethodNotAllowed"
            ),
            "Error from server (MethodNotAllowed): the server does not allow this method on the requested resource\n"
        );
        assert_eq!(
            status(401, "not authorized", "Unauthorized"),
            "error: You must be logged in to the server (not authorized)\n"
        );
        assert_eq!(
            status(403, "forbidden", "Forbidden"),
            "Error from server (Forbidden): forbidden\n"
        );
    }
}
