//! What sets something for K3s on a host, strongest first: arguments, config files, environment files, environment.

use camino::{Utf8Path, Utf8PathBuf};

use super::{CONFIG, DATA_DIR, Datastore, Fault, Install, Kind, Known, UnitText, Wanted};
use crate::k3s::surface::{Place, Position, Slot, Surface, envfile, unit, whole, yaml};
use crate::k3s::token::Token;

/// Hands out what is known, and notes what is not.
pub(super) struct Reader<'a> {
    pub(super) known: &'a Known,
    pub(super) wanted: Wanted,
    pub(super) read: Wanted,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    fn text(&mut self, path: &Utf8Path) -> Option<String> {
        let Some(file) = self.known.files.get(path) else {
            self.wanted.files.insert(path.to_owned());
            return None;
        };
        self.read.files.insert(path.to_owned());
        let bytes = file.as_ref()?.bytes();
        let (at, what) = match std::str::from_utf8(bytes) {
            Ok(text) => match text.find('\0') {
                None => return Some(text.to_owned()),
                Some(at) => (at, "a NUL byte, which no text has"),
            },
            Err(error) => (error.valid_up_to(), "bytes that are not UTF-8 text"),
        };
        let at = Position::of_byte(bytes, at);
        self.fault(
            "unreadable-file",
            format!("{path}:{at}: here are {what}"),
            format!("repair {path}"),
        );
        None
    }

    fn folder(&mut self, path: &Utf8Path) -> Vec<String> {
        let Some(names) = self.known.folders.get(path) else {
            self.wanted.folders.insert(path.to_owned());
            return Vec::new();
        };
        names.clone()
    }

    pub(super) fn fault(
        &mut self,
        name: &'static str,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        let fault = Fault {
            name,
            what: what.into(),
            next: next.into(),
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// A value with the place that it was read from.
struct Setting {
    value: String,
    place: Place,
    file: Utf8PathBuf,
    /// Where it begins, when the file was read.
    at: Option<Position>,
    slot: Result<Slot, &'static str>,
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
    fn of_file(text: &str, place: Place, file: Utf8PathBuf) -> Self {
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
    arguments: Vec<(String, String)>,
    config: Vec<(Utf8PathBuf, yaml::Entry)>,
    files: Vec<(Utf8PathBuf, envfile::Variable)>,
    environment: Vec<(String, String)>,
    texts: Vec<Utf8PathBuf>,
}

impl Settings {
    pub(super) fn read(unit: &UnitText, reader: &mut Reader<'_>) -> Self {
        let mut settings = Self {
            arguments: arguments(&unit.argv),
            config: Vec::new(),
            files: Vec::new(),
            environment: unit.environment.clone(),
            texts: unit.texts.clone(),
        };
        for path in &unit.environment_files {
            let text = reader.text(path).unwrap_or_default();
            settings.files.extend(
                envfile::variables(&text)
                    .into_iter()
                    .map(|variable| (path.clone(), variable)),
            );
        }
        let config = settings
            .value("config", "K3S_CONFIG_FILE")
            .unwrap_or_else(|| CONFIG.to_owned());
        if config.starts_with("http") {
            reader.fault(
                "config-is-a-url",
                format!("the config file is {config}"),
                "use a file on the host",
            );
            return settings;
        }
        let main = Utf8PathBuf::from(config);
        let folder = Utf8PathBuf::from(format!("{main}.d"));
        let is_yaml = |name: &String| {
            Utf8Path::new(name)
                .extension()
                .is_some_and(|e| e == "yaml" || e == "yml")
        };
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
                Ok(entries) => settings
                    .config
                    .extend(entries.into_iter().map(|entry| (path.clone(), entry))),
                Err(error) => reader.fault(
                    "config-unreadable",
                    format!("{path}:{}: {error}", error.at),
                    format!("repair {path}, with every key written out"),
                ),
            }
        }
        settings
    }

    /// Every place that sets this, strongest first.
    fn all(&self, flag: &str, variable: &str) -> Vec<Setting> {
        let mut found = Vec::new();
        let text = self.texts.first();
        for (_, value) in self.arguments.iter().rev().filter(|(name, _)| name == flag) {
            found.push(Setting::of_unit(value, Place::Argument, text));
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

    fn value(&self, flag: &str, variable: &str) -> Option<String> {
        self.all(flag, variable)
            .into_iter()
            .next()
            .map(|set| set.value)
            .filter(|value| !value.is_empty())
    }

    fn flag(&self, flag: &str) -> bool {
        self.value(flag, "").is_some_and(|value| value != "false")
    }

    pub(super) fn install(&self, unit: &UnitText, reader: &mut Reader<'_>) -> Install {
        let kind = if unit.argv.iter().skip(1).any(|word| word == "agent") {
            Kind::Agent
        } else {
            Kind::Server
        };
        let data_dir = Utf8PathBuf::from(
            self.value("data-dir", "K3S_DATA_DIR")
                .unwrap_or_else(|| DATA_DIR.to_owned()),
        );
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
        Install {
            kind,
            unit: unit.id.clone(),
            port: port.and_then(|text| text.parse().ok()).unwrap_or(default),
            url: self.value("server", "K3S_URL"),
            datastore: self.datastore(kind, &data_dir, reader),
            has_api: kind == Kind::Server && !self.flag("disable-apiserver"),
            has_node: !self.flag("disable-agent"),
            agent_token: self.value("agent-token", "K3S_AGENT_TOKEN").is_some()
                || self
                    .value("agent-token-file", "K3S_AGENT_TOKEN_FILE")
                    .is_some(),
            snapshots: snapshots.into(),
            surfaces: self.surfaces(kind, &data_dir, reader),
            data_dir,
            sources: Wanted::default(),
            faults: Vec::new(),
        }
    }

    fn datastore(&self, kind: Kind, data_dir: &Utf8Path, reader: &mut Reader<'_>) -> Datastore {
        if kind == Kind::Agent || self.flag("disable-etcd") {
            return Datastore::Elsewhere;
        }
        let endpoint = self.value("datastore-endpoint", "K3S_DATASTORE_ENDPOINT");
        if endpoint
            .as_deref()
            .is_some_and(|text| !text.starts_with("sqlite"))
        {
            return Datastore::External;
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

    fn surfaces(&self, kind: Kind, data_dir: &Utf8Path, reader: &mut Reader<'_>) -> Vec<Surface> {
        let mut found = Vec::new();
        for set in self.all("token-file", "K3S_TOKEN_FILE").into_iter().take(1) {
            let path = Utf8PathBuf::from(&set.value);
            match reader.text(&path) {
                Some(text) => found.push(Setting::of_file(&text, Place::TokenFile, path)),
                None if reader.known.files.contains_key(&path) => reader.fault(
                    "token-file-missing",
                    format!("{} names {path} as its token-file, which is not there: K3s would wait for it for ever", set.file),
                    format!("put the cluster's token into {path}, or remove the setting"),
                ),
                None => {}
            }
        }
        found.extend(self.all("token", "K3S_TOKEN"));
        if !self.all("cluster-secret", "K3S_CLUSTER_SECRET").is_empty() {
            reader.fault(
                "cluster-secret",
                "it uses the deprecated cluster-secret",
                "use token instead, then run again",
            );
        }
        if found.is_empty() && kind == Kind::Server {
            let path = data_dir.join("server/token");
            if let Some(text) = reader.text(&path) {
                found.push(Setting::of_file(&text, Place::ServerToken, path));
            }
        }
        // An empty value that does not win says nothing.
        let mut first = true;
        found.retain(|set| std::mem::take(&mut first) || !set.value.is_empty());
        let spread: Vec<Setting> = found
            .into_iter()
            .flat_map(|set| self.spread(set, reader))
            .collect();
        spread
            .into_iter()
            .filter_map(|set| surface(set, reader))
            .collect()
    }

    /// Unit text is spread over the unit file and its drop-ins; the last that names the value is the one that counts,
    /// and each of them is edited.
    fn spread(&self, set: Setting, reader: &mut Reader<'_>) -> Vec<Setting> {
        if !set.place.is_unit_text() {
            return vec![set];
        }
        let mut found = Vec::new();
        for path in self.texts.iter().rev() {
            let Some(text) = reader.text(path).filter(|text| text.contains(&set.value)) else {
                continue;
            };
            let setting = match set.place {
                Place::Argument => "ExecStart",
                _ => "Environment",
            };
            let slot = unit::slot(&text, setting, &set.value);
            let first = text.find(&set.value).unwrap_or_default();
            let start = slot.as_ref().map_or(first, |slot| slot.range.start);
            found.push(Setting {
                value: set.value.clone(),
                place: set.place,
                file: path.clone(),
                at: Some(Position::of_byte(text.as_bytes(), start)),
                slot,
            });
        }
        if found.is_empty() { vec![set] } else { found }
    }
}

fn surface(set: Setting, reader: &mut Reader<'_>) -> Option<Surface> {
    let file = set.file;
    let at = set.at.map_or(String::new(), |at| format!(":{at}"));
    let slot = match set.slot {
        Ok(slot) => slot,
        Err(shape) => {
            reader.fault(
                "token-not-editable",
                format!("{file}{at}: the token is {shape}, and cannot be edited exactly"),
                set.place.advice(&file),
            );
            return None;
        }
    };
    match Token::parse(&set.value) {
        Ok(token) => Some(Surface {
            place: set.place,
            file,
            slot,
            token,
        }),
        Err(error) => {
            reader.fault(
                "token-malformed",
                format!("{file}{at}: the token: {error}"),
                format!("repair it in {file}"),
            );
            None
        }
    }
}

/// Flags with their values, long names; the short ones of K3s are spelled out. A flag without a value is `true`.
fn arguments(argv: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = argv.iter().skip(1).map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let name = match word {
            "-t" => "token",
            "-s" => "server",
            "-d" => "data-dir",
            "-c" => "config",
            _ => match word.strip_prefix("--") {
                Some(name) => name,
                None => continue,
            },
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match words.next_if(|next| !next.starts_with('-')) {
                Some(value) => (name, value.to_owned()),
                None => (name, "true".to_owned()),
            },
        };
        found.push((name.to_owned(), value.trim_matches(['\'', '"']).to_owned()));
    }
    found
}
