//! What sets something for K3s on a host, strongest first: arguments, config files, environment files, environment.

mod critical;
mod data_dir;

use camino::{Utf8Path, Utf8PathBuf};

use super::arguments::{self, Argument};
use super::reader::Reader;
use super::{CONFIG, Datastore, Install, Kind, UnitText, Wanted};
use crate::k3s::surface::{Place, Position, Slot, envfile, whole, yaml};
use crate::secret::Secret;

/// A value with the place that it was read from.
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) place: Place,
    pub(super) file: Utf8PathBuf,
    /// Where it begins, when the file was read.
    pub(super) at: Option<Position>,
    /// Its bytes, or what keeps them from being edited exactly.
    pub(super) slot: Result<Slot, &'static str>,
}

impl Setting {
    /// One that stands somewhere in unit text.
    fn of_unit(value: &str, place: Place, file: Option<&Utf8PathBuf>) -> Self {
        Self {
            value: value.to_owned(),
            place,
            file: file.cloned().unwrap_or_default(),
            at: None,
            slot: Err("not written there as systemd shows it"),
        }
    }

    /// A file that holds the token and nothing else.
    pub(super) fn of_file(text: &str, place: Place, file: Utf8PathBuf) -> Self {
        let slot = whole(text);
        Self {
            value: text.trim().to_owned(),
            place,
            file,
            at: Some(Position::of_byte(text.as_bytes(), slot.range.start)),
            slot: Ok(slot),
        }
    }
}

/// Everything that sets something, strongest first.
pub(super) struct Settings {
    pub(super) arguments: Vec<Argument>,
    pub(super) config: Vec<(Utf8PathBuf, yaml::Entry)>,
    files: Vec<(Utf8PathBuf, envfile::Variable)>,
    environment: Vec<(String, String)>,
    pub(super) texts: Vec<Utf8PathBuf>,
}

/// The folder of a config file's drop-ins.
fn drop_ins(main: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{main}.d"))
}

/// In whatever case, and with nothing before it (k3s: configfilearg).
#[expect(clippy::ptr_arg, reason = "filters a list of names")]
fn is_yaml(name: &String) -> bool {
    let name = name.to_lowercase();
    [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// What Go takes for no (strconv: `ParseBool`).
fn is_no(value: &str) -> bool {
    matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// Variables that systemd gives to every process, or may (systemd.exec(5)).
const GIVEN: [&str; 6] = ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"];

impl Settings {
    pub(super) fn read(unit: &UnitText, reader: &mut Reader<'_>) -> Self {
        let mut settings = Self {
            arguments: Vec::new(),
            config: Vec::new(),
            files: Vec::new(),
            environment: unit.environment.clone(),
            texts: unit.texts.clone(),
        };
        settings.read_environment_files(unit, reader);
        settings.read_arguments(unit, reader);
        if let Some(main) = settings.config_file(reader) {
            settings.read_config(main, reader);
        }
        settings
    }

    fn read_environment_files(&mut self, unit: &UnitText, reader: &mut Reader<'_>) {
        for written in &unit.environment_files {
            let paths = reader.expand(written);
            let missing = paths.iter().all(|path| reader.is_absent(path));
            if missing && unit.required_files.contains(written) {
                reader.fault(
                    "environment-file-missing",
                    format!(
                        "{} wants {written}, which is not there: systemd would not start it again",
                        unit.id
                    ),
                    format!("put {written} back, or write `EnvironmentFile=-{written}`"),
                );
            }
            for path in paths {
                let text = reader.text(&path).unwrap_or_default();
                let found = envfile::variables(&text).into_iter();
                self.files
                    .extend(found.map(|variable| (path.clone(), variable)));
            }
        }
    }

    fn read_arguments(&mut self, unit: &UnitText, reader: &mut Reader<'_>) {
        let variable = |name: &str| self.variable(name);
        let read = arguments::read(&unit.argv, variable);
        let varies = |argument: &Argument| {
            argument.varies
                && ["token", "agent-token", "cluster-secret"].contains(&argument.name.as_str())
        };
        if read.iter().any(varies) {
            reader.fault(
                "arguments-from-variables",
                format!(
                    "{} starts K3s with a token that comes from a variable among its arguments, which keyroll does not edit",
                    unit.id
                ),
                "write the token into config.yaml or an EnvironmentFile, as K3S_TOKEN",
            );
        }
        let unset = self.unset(unit);
        if let Some(name) = unset.iter().find(|name| GIVEN.contains(&name.as_str())) {
            reader.fault(
                "arguments-from-variables",
                format!(
                    "{} starts K3s with the variable {name} among its arguments, which systemd itself sets",
                    unit.id
                ),
                "write its value into the unit instead",
            );
        }
        self.arguments = read;
        self.arguments.retain(|argument| !varies(argument));
    }

    /// The variable wins over the flag here; the first flag counts (k3s: configfilearg).
    fn config_file(&self, reader: &mut Reader<'_>) -> Option<Utf8PathBuf> {
        let variable = self
            .variable("K3S_CONFIG_FILE")
            .filter(|path| !path.is_empty());
        let flag = self
            .arguments
            .iter()
            .find(|argument| argument.name == "config");
        let flag = flag.map(|argument| argument.value.clone());
        if let (Some(variable), Some(flag)) = (&variable, &flag)
            && variable != flag
        {
            reader.fault(
                "two-config-files",
                format!("K3S_CONFIG_FILE is {variable} and --config is {flag}: versions of K3s differ in which one wins"),
                "keep one of the two",
            );
        }
        let named = variable.or(flag);
        let Some(config) = named.clone() else {
            return Some(CONFIG.into());
        };
        if config.starts_with("http") {
            reader.fault(
                "config-is-a-url",
                format!("the config file is {config}"),
                "use a file on the host",
            );
            return None;
        }
        let config = Utf8PathBuf::from(config);
        reader.read.folders.insert(drop_ins(&config));
        let has_drop_ins = reader.folder(&drop_ins(&config)).iter().any(is_yaml);
        if reader.is_absent(&config) && !has_drop_ins {
            reader.fault(
                "config-missing",
                format!(
                    "the config file {config} is named and not there: K3s would not start again"
                ),
                format!("put {config} back, or do not name it"),
            );
        }
        Some(config)
    }

    fn read_config(&mut self, main: Utf8PathBuf, reader: &mut Reader<'_>) {
        let folder = drop_ins(&main);
        reader.read.folders.insert(folder.clone());
        let drop_ins = reader
            .folder(&folder)
            .into_iter()
            .filter(is_yaml)
            .map(|name| folder.join(name));
        for path in std::iter::once(main).chain(drop_ins) {
            let Some(text) = reader.text(&path) else {
                continue;
            };
            match yaml::entries(&text) {
                Ok(entries) => self
                    .config
                    .extend(entries.into_iter().map(|entry| (path.clone(), entry))),
                Err(error) => reader.fault(
                    "config-unreadable",
                    format!("{path}:{}: {error}", error.at),
                    format!("repair {path}, with every key written out"),
                ),
            }
        }
    }

    fn unset(&self, unit: &UnitText) -> Vec<String> {
        let names = arguments::variables(&unit.argv);
        let unset = names.filter(|name| self.variable(name).is_none());
        unset.map(str::to_owned).collect()
    }

    /// A variable of the process: files win over the unit's own text, later ones over earlier.
    fn variable(&self, name: &str) -> Option<String> {
        let of_file = self.files.iter().rev().find(|(_, set)| set.key == name);
        let own = self
            .environment
            .iter()
            .rev()
            .find(|(known, _)| known == name);
        of_file
            .map(|(_, set)| set.value.clone())
            .or_else(|| own.map(|(_, value)| value.clone()))
    }

    /// Every place that sets this, strongest first.
    pub(super) fn all(&self, flag: &str, variable: &str) -> Vec<Setting> {
        let mut found = Vec::new();
        let text = self.texts.first();
        for set in self.arguments.iter().rev().filter(|set| set.name == flag) {
            found.push(Setting::of_unit(&set.value, Place::Argument, text));
        }
        for (file, entry) in self
            .config
            .iter()
            .rev()
            .filter(|(_, entry)| entry.key == flag)
        {
            let value = entry
                .values
                .as_ref()
                .and_then(|v| v.last())
                .cloned()
                .unwrap_or_default();
            found.push(Setting {
                value,
                place: Place::Config,
                file: file.clone(),
                at: Some(entry.at),
                slot: entry.slot(),
            });
        }
        for (file, set) in self
            .files
            .iter()
            .rev()
            .filter(|(_, set)| set.key == variable)
        {
            found.push(Setting {
                value: set.value.clone(),
                place: Place::EnvFile,
                file: file.clone(),
                at: Some(set.at),
                slot: set.slot(),
            });
        }
        for (_, value) in self
            .environment
            .iter()
            .rev()
            .filter(|(name, _)| name == variable)
        {
            found.push(Setting::of_unit(value, Place::UnitEnvironment, text));
        }
        found
    }

    pub(super) fn value(&self, flag: &str, variable: &str) -> Option<String> {
        self.all(flag, variable)
            .into_iter()
            .next()
            .map(|set| set.value)
            .filter(|value| !value.is_empty())
    }

    fn flag(&self, flag: &str) -> bool {
        self.value(flag, "").is_some_and(|value| !is_no(&value))
    }

    pub(super) fn install(&self, unit: &UnitText, reader: &mut Reader<'_>) -> Install {
        let mut words = unit.argv.iter().skip(1);
        let word = words.find(|word| *word == "agent" || *word == "server");
        let kind = if word.is_some_and(|word| word == "agent") {
            Kind::Agent
        } else {
            Kind::Server
        };
        let data_dir = self.data_dir(reader);
        let (flag, default) = if kind == Kind::Server {
            ("https-listen-port", 6443)
        } else {
            ("lb-server-port", 6444)
        };
        let port = self
            .value(flag, "K3S_LB_SERVER_PORT")
            .filter(|_| kind == Kind::Agent)
            .or_else(|| self.value(flag, ""));
        let snapshots = self
            .value("etcd-snapshot-dir", "")
            .unwrap_or_else(|| format!("{data_dir}/server/db/snapshots"));
        let (agent_surfaces, agent_faults, agent_secret) = self.agent_surfaces(kind, reader);
        let datastore = self.datastore(kind, &data_dir, reader);
        self.fatal(kind, datastore, unit, reader);
        Install {
            kind,
            unit: unit.id.clone(),
            port: port.and_then(|text| text.parse().ok()).unwrap_or(default),
            url: self.value("server", "K3S_URL"),
            datastore,
            endpoint: self.endpoint().map(Secret::new),
            has_api: kind == Kind::Server && !self.flag("disable-apiserver"),
            has_node: !self.flag("disable-agent"),
            node_name: self
                .value("node-name", "K3S_NODE_NAME")
                .filter(|_| !self.flag("with-node-id")),
            agent_token: self.value("agent-token", "K3S_AGENT_TOKEN").is_some()
                || self
                    .value("agent-token-file", "K3S_AGENT_TOKEN_FILE")
                    .is_some(),
            snapshots: snapshots.into(),
            surfaces: self.surfaces(kind, &data_dir, reader),
            agent_surfaces,
            agent_faults,
            agent_secret,
            address: self.address(kind),
            log: self.value("log", ""),
            etcd: self.etcd(kind),
            critical: self.critical(),
            data_dir,
            sources: Wanted::default(),
            unset: self.unset(unit),
            faults: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// What would keep K3s from its next start, or let that do something else than start.
    fn fatal(&self, kind: Kind, datastore: Datastore, unit: &UnitText, reader: &mut Reader<'_>) {
        let id = &unit.id;
        if kind == Kind::Agent && self.value("server", "K3S_URL").is_none() {
            reader.fault(
                "agent-names-no-server",
                format!("no configuration of {id} names a server: `k3s agent` does not start without one"),
                "write the address of a server as `server:` or K3S_URL into the agent's configuration",
            );
        }
        let resets = self.value("cluster-reset", "K3S_CLUSTER_RESET");
        if datastore == Datastore::Etcd && resets.is_some_and(|value| !is_no(&value)) {
            reader.fault(
                "cluster-reset-configured",
                format!("`cluster-reset` is configured for {id}: its next start would make it the only member of etcd, and end"),
                "take `cluster-reset` out of the server's configuration",
            );
        }
    }

    fn endpoint(&self) -> Option<String> {
        self.value("datastore-endpoint", "K3S_DATASTORE_ENDPOINT")
    }

    fn datastore(&self, kind: Kind, data_dir: &Utf8Path, reader: &mut Reader<'_>) -> Datastore {
        if kind == Kind::Agent || self.flag("disable-etcd") {
            return Datastore::Elsewhere;
        }
        let endpoint = self.endpoint();
        if endpoint
            .as_deref()
            .is_some_and(|text| !text.starts_with("sqlite"))
        {
            // Where an etcd is on the disk K3s takes that one, whatever it is told (k3s: `assignManagedDriver`).
            let member = reader.folder(&data_dir.join("server/db/etcd/member"));
            return if member.iter().any(|name| name == "wal") {
                Datastore::Etcd
            } else {
                Datastore::External
            };
        }
        let kept = reader.folder(&data_dir.join("server/db"));
        let clustered = self.flag("cluster-init") || self.value("server", "K3S_URL").is_some();
        let is_etcd = kept.iter().any(|name| name == "etcd") || clustered;
        if endpoint.is_none() && is_etcd {
            Datastore::Etcd
        } else {
            Datastore::Sqlite
        }
    }
}
