//! What a K3s process was told: arguments over configuration files over environment, and token files over all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parse;
use super::world::Files;

/// The two kinds of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `k3s server`
    Server,
    /// `k3s agent`
    Agent,
}

/// Arguments after the binary's name, and the environment.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// Such as `["server", "--token", "…"]`.
    pub args: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
}

/// What a process was told, after precedence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Server or agent.
    pub kind: Kind,
    /// Effective flags in order: configuration files first, then arguments.
    pub flags: Vec<(String, String)>,
    /// `K3S_*` variables.
    pub env: BTreeMap<String, String>,
    /// The token as written, of whatever form; `None` when none is configured.
    pub token: Option<String>,
    /// The agent token of a server.
    pub agent_token: Option<String>,
    /// Whether it keeps the data of an etcd member, which it then goes on with.
    #[serde(default)]
    pub is_member: bool,
}

/// Why a process cannot even begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    /// A token file is missing: K3s waits for it, for ever.
    WaitsFor(String),
    /// A configuration file cannot be read: K3s ends.
    Broken(String),
}

/// The configuration file unless told otherwise.
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

const SHORT: [(&str, &str); 4] = [
    ("-t", "token"),
    ("-s", "server"),
    ("-c", "config"),
    ("-d", "data-dir"),
];

const BOOLEAN: [&str; 6] = [
    "cluster-init",
    "disable-agent",
    "disable-etcd",
    "disable-apiserver",
    "cluster-reset",
    "secrets-encryption",
];

/// Splits arguments into flags; a flag without a value is `true`.
fn arguments(args: &[String]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut rest = args.iter().skip(1).peekable();
    while let Some(arg) = rest.next() {
        let short = SHORT.iter().find(|(short, _)| short == arg);
        let Some(name) = short
            .map(|(_, long)| *long)
            .or_else(|| arg.strip_prefix("--"))
        else {
            continue;
        };
        let flag = match name.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None if BOOLEAN.contains(&name) => (name.to_owned(), "true".to_owned()),
            None => {
                let value = rest.next_if(|next| !next.starts_with("--"));
                (
                    name.to_owned(),
                    value.map_or_else(|| "true".to_owned(), Clone::clone),
                )
            }
        };
        flags.push(flag);
    }
    flags
}

fn configured(files: &dyn Files, main: &str) -> Result<Vec<(String, String)>, Unsettled> {
    let drop_ins = format!("{main}.d");
    let names = files.list(&drop_ins).unwrap_or_default();
    let yaml = |name: &String| {
        let name = name.to_lowercase();
        [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
    };
    let others = names
        .iter()
        .filter(|name| yaml(name))
        .map(|name| format!("{drop_ins}/{name}"));
    let mut all: Vec<parse::Entry> = Vec::new();
    for path in std::iter::once(main.to_owned()).chain(others) {
        let Some(text) = files.text(&path) else {
            continue;
        };
        for entry in parse::config(&text)
            .map_err(|why| Unsettled::Broken(format!("failed to parse {path}: {why}")))?
        {
            match all.iter_mut().find(|known| known.key == entry.key) {
                Some(known) if entry.adds => known.values.extend(entry.values),
                Some(known) => known.values = entry.values,
                None => all.push(entry),
            }
        }
    }
    let flags = all.into_iter().flat_map(|entry| {
        let short = SHORT
            .iter()
            .find(|(short, _)| short.strip_prefix('-') == Some(&entry.key));
        let key = short.map_or(entry.key.clone(), |(_, long)| (*long).to_owned());
        entry.values.into_iter().map(move |v| (key.clone(), v))
    });
    Ok(flags.collect())
}

/// What the configuration file that K3s reads by itself says of a flag, whatever the unit names.
pub(super) fn configured_usually(files: &dyn Files, flag: &str) -> Option<String> {
    let flags = configured(files, CONFIG).ok()?;
    let found = flags.into_iter().rev().find(|(name, _)| name == flag);
    found.map(|(_, value)| value)
}

impl Settings {
    /// Applies K3s's precedence.
    ///
    /// # Errors
    /// When a token file is missing or a configuration file is broken.
    pub fn resolve(files: &dyn Files, launch: &Launch) -> Result<Self, Unsettled> {
        let kind = match launch.args.first().map(String::as_str) {
            Some("agent") => Kind::Agent,
            _ => Kind::Server,
        };
        let args = arguments(&launch.args);
        let of_args = args.iter().rev().find(|(name, _)| name == "config");
        let main = launch
            .env
            .get("K3S_CONFIG_FILE")
            .or(of_args.map(|(_, path)| path))
            .map_or(CONFIG, String::as_str);
        let mut flags = configured(files, main)?;
        flags.extend(args);
        let env = launch
            .env
            .iter()
            .filter(|(name, _)| name.starts_with("K3S_"));
        let mut settings = Self {
            kind,
            flags,
            env: env.map(|(n, v)| (n.clone(), v.clone())).collect(),
            token: None,
            agent_token: None,
            is_member: false,
        };
        settings.is_member = files.list(&settings.path("server/db/etcd")).is_some();
        settings.token = settings.secret(files, "token", "K3S_TOKEN")?;
        settings.agent_token = settings.secret(files, "agent-token", "K3S_AGENT_TOKEN")?;
        Ok(settings)
    }

    /// A token file beats the literal value, whatever surface either is on.
    fn secret(
        &self,
        files: &dyn Files,
        flag: &str,
        var: &str,
    ) -> Result<Option<String>, Unsettled> {
        let path = self.value_or(&format!("{flag}-file"), &format!("{var}_FILE"));
        match path.filter(|path| !path.is_empty()) {
            Some(path) => match files.text(path) {
                Some(text) => Ok(Some(text.trim().to_owned())),
                None => Err(Unsettled::WaitsFor(path.to_owned())),
            },
            None => Ok(self
                .value_or(flag, var)
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)),
        }
    }

    /// The last value of a flag.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&str> {
        let found = self.flags.iter().rev().find(|(flag, _)| flag == name);
        found.map(|(_, value)| value.as_str())
    }

    fn value_or(&self, flag: &str, var: &str) -> Option<&str> {
        self.flag(flag)
            .or_else(|| self.env.get(var).map(String::as_str))
    }

    /// Whether a boolean flag is set.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.flag(name) == Some("true")
    }

    /// The URL of the server to join.
    #[must_use]
    pub fn join(&self) -> Option<&str> {
        self.value_or("server", "K3S_URL")
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &str {
        self.value_or("data-dir", "K3S_DATA_DIR")
            .unwrap_or("/var/lib/rancher/k3s")
    }

    /// A path below the data directory.
    #[must_use]
    pub fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.data_dir())
    }

    /// The node's name, given the host's.
    #[must_use]
    pub fn node_name<'a>(&'a self, host: &'a str) -> &'a str {
        self.value_or("node-name", "K3S_NODE_NAME").unwrap_or(host)
    }

    /// The port of the supervisor.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.flag("https-listen-port")
            .and_then(|port| port.parse().ok())
            .unwrap_or(6443)
    }

    /// The endpoint of an external datastore.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.value_or("datastore-endpoint", "K3S_DATASTORE_ENDPOINT")
    }

    /// Where a server listens for itself: by the family of its first range for services.
    #[must_use]
    pub fn loopback(&self) -> String {
        let mut ranges = self.flags.iter().filter(|(flag, _)| flag == "service-cidr");
        let is_v6 = ranges.next().is_some_and(|(_, range)| {
            let first = range.split(',').next();
            first.is_some_and(|first| first.contains(':'))
        });
        if is_v6 { "[::1]" } else { "127.0.0.1" }.to_owned()
    }

    /// Where etcd tells of its health, which an argument for it overrides.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        let told = self.flags.iter().rev().find_map(|(flag, value)| {
            let urls = value.strip_prefix("listen-metrics-urls=");
            urls.filter(|_| flag == "etcd-arg")
        });
        match told {
            Some(urls) => urls.split(',').map(str::to_owned).collect(),
            None => vec![format!("http://{}{}", self.loopback(), super::etcd::PORT)],
        }
    }

    /// The annotation `k3s.io/encryption-config-hash`, as the last stage left it on disk.
    #[must_use]
    pub fn encryption(&self, files: &dyn Files) -> Option<String> {
        let path = self.path("server/cred/encryption-state.json");
        files.text(&path).map(|text| text.trim().to_owned())
    }

    /// The annotation `k3s.io/node-args`: effective arguments with secrets masked.
    #[must_use]
    pub fn node_args(&self) -> String {
        let kind = match self.kind {
            Kind::Server => "server",
            Kind::Agent => "agent",
        };
        let mut args = vec![kind.to_owned()];
        for (name, value) in &self.flags {
            args.push(format!("--{name}"));
            let hidden = matches!(
                name.as_str(),
                "token" | "agent-token" | "datastore-endpoint"
            );
            args.push(if hidden {
                MASK.to_owned()
            } else {
                value.clone()
            });
        }
        // Go's encoder writes these three as numbers.
        let text = serde_json::Value::from(args).to_string();
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    }

    /// The annotation `k3s.io/node-env`: `K3S_*` variables with secrets masked.
    #[must_use]
    pub fn node_env(&self) -> String {
        let shown = self.env.iter().map(|(name, value)| {
            let hidden = matches!(name.as_str(), "K3S_TOKEN" | "K3S_AGENT_TOKEN");
            let value = if hidden { MASK } else { value };
            (name.clone(), serde_json::Value::from(value))
        });
        serde_json::Value::Object(shown.collect()).to_string()
    }
}

const MASK: &str = "********";
