//! Reads a `sim:` string.

use super::{Datastore, Installer, Joins, Shape, Spec, SpecError, Surface};
use crate::model::HostName;
use crate::sim::dress::{self, Dress};
use crate::sim::fault::Fault;
use crate::sim::version::Version;

const SHAPE: &str = "write `sim:SERVERS+AGENTS`, such as `sim:3+8`, and parameters after `?`, with `&` between them";
const MOST: usize = 100_000;

/// Every parameter and what it may be.
const PARAMETERS: [(&str, &str); 15] = [
    ("datastore", "sqlite, etcd or external"),
    ("state", "a file, such as state=fleet.json"),
    (
        "fault",
        "HOST:NAME, such as fault=agent-2:unreachable, as often as wanted",
    ),
    ("seed", "a number"),
    ("unknown", "ok"),
    (
        "k3s",
        "v1.34.3+k3s1, v1.32.4+k3s1, v1.28.8+k3s1 or v1.28.2+k3s1",
    ),
    (
        "surface",
        "config, drop-in, env, argument, token-file or nothing",
    ),
    ("topology", "split, with at least 2 servers"),
    ("joins", "vip"),
    ("agent-token", "separate"),
    ("disable-agent", "yes"),
    ("data-dir", "an absolute path"),
    ("unit", "a name, such as k3s-main"),
    ("port", "a number from 1 to 65535"),
    (
        "installer",
        "mixed, or one of those in src/sim/dress, such as k3sup",
    ),
];

struct Reader<'a> {
    whole: &'a str,
}

impl Reader<'_> {
    /// A mistake at a slice of the whole; where nothing is, at what stands before.
    fn wrong(&self, part: &str, what: impl Into<String>, help: impl Into<String>) -> SpecError {
        let mut from = part.as_ptr() as usize - self.whole.as_ptr() as usize;
        let mut length = part.len();
        if part.is_empty() && from > 0 {
            (from, length) = (from - 1, 1);
        }
        SpecError {
            what: what.into(),
            help: help.into(),
            text: self.whole.to_owned(),
            at: (from, length).into(),
        }
    }

    fn count(&self, part: &str, of: &str) -> Result<usize, SpecError> {
        let count: Option<usize> = part.parse().ok();
        count.filter(|count| *count <= MOST).ok_or_else(|| {
            let what = match part {
                "" => format!("the number of {of} is missing"),
                _ => format!("`{part}` is not a number of {of} up to {MOST}"),
            };
            self.wrong(part, what, SHAPE)
        })
    }

    /// Splits a parameter; `seen` are the keys before it.
    fn pair<'a>(
        &self,
        part: &'a str,
        seen: &mut Vec<&'a str>,
    ) -> Result<(&'a str, &'a str), SpecError> {
        if part.is_empty() {
            let help = "write one `&` between two parameters, and none at the end";
            return Err(self.wrong(part, "there is no parameter here", help));
        }
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let found = PARAMETERS.iter().find(|(known, _)| *known == key);
        let Some((_, values)) = found else {
            let names = PARAMETERS.map(|(name, _)| name);
            let what = format!("there is no parameter `{key}`");
            return Err(self.wrong(key, what, near(key, &names)));
        };
        if value.is_empty() {
            let help = format!("`{key}` can be {values}");
            return Err(self.wrong(part, format!("`{key}` has no value"), help));
        }
        if key != "fault" && seen.contains(&key) {
            let what = format!("`{key}` is given twice");
            return Err(self.wrong(part, what, "leave one of the two out"));
        }
        seen.push(key);
        Ok((key, value))
    }

    fn set(&self, spec: &mut Spec, key: &str, value: &str) -> Result<(), SpecError> {
        let shape = &mut spec.shape;
        let wrong = || {
            let values = PARAMETERS.iter().find(|(known, _)| *known == key);
            let values = values.map_or("", |(_, values)| *values);
            let what = format!("`{key}` cannot be `{value}`");
            self.wrong(value, what, format!("`{key}` can be {values}"))
        };
        match key {
            "datastore" => spec.datastore = self.datastore(spec, value)?,
            "state" => {
                let path = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                spec.state = Some(path.into_owned().into());
            }
            "seed" => spec.seed = value.parse().map_err(|_| wrong())?,
            "unknown" if value == "ok" => spec.unknown_ok = true,
            "fault" => {
                let fault = self.fault(spec, value)?;
                spec.faults.push(fault);
            }
            "k3s" => spec.version = Version::named(value).ok_or_else(wrong)?,
            "topology" if value == "split" && spec.servers > 1 => shape.split = true,
            "joins" if value == "vip" => shape.joins = Joins::Vip,
            "agent-token" if value == "separate" => shape.agent_token = true,
            "disable-agent" if value == "yes" => shape.disable_agent = true,
            "data-dir" if value.starts_with('/') => value.clone_into(&mut shape.data_dir),
            "unit" if HostName::new(value).is_ok() => value.clone_into(&mut shape.unit),
            "port" => {
                let port: std::num::NonZeroU16 = value.parse().map_err(|_| wrong())?;
                shape.port = port.get();
            }
            "installer" => {
                shape.installer = self.installer(value)?;
                spec.datastore = Datastore::Etcd;
            }
            "surface" => {
                let found = Surface::NAMES.iter().find(|(_, name)| *name == value);
                shape.surface = found.ok_or_else(wrong)?.0;
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn installer(&self, value: &str) -> Result<Installer, SpecError> {
        if value == "mixed" {
            return Ok(Installer::Mixed);
        }
        let dress = Dress::named(value).ok_or_else(|| {
            let names: Vec<&str> = dress::ALL.iter().map(|dress| dress.name).collect();
            let help = format!("there are {} and mixed", names.join(", "));
            self.wrong(value, format!("there is no installer `{value}`"), help)
        })?;
        Ok(Installer::One(dress))
    }

    fn datastore(&self, spec: &Spec, value: &str) -> Result<Datastore, SpecError> {
        match value {
            "sqlite" if spec.servers > 1 => {
                let what = format!("{} servers cannot share an sqlite file", spec.servers);
                Err(self.wrong(value, what, "use datastore=etcd or datastore=external"))
            }
            "sqlite" => Ok(Datastore::Sqlite),
            "etcd" => Ok(Datastore::Etcd),
            "external" => Ok(Datastore::External),
            _ => {
                let what = format!("there is no datastore `{value}`");
                let help = near(value, &["sqlite", "etcd", "external"]);
                Err(self.wrong(value, what, help))
            }
        }
    }

    fn fault(&self, spec: &Spec, value: &str) -> Result<(HostName, Fault), SpecError> {
        let (host, name) = value.split_once(':').ok_or_else(|| {
            let help = "write `fault=agent-2:unreachable`";
            self.wrong(value, format!("`{value}` is not HOST:NAME"), help)
        })?;
        let known = spec.hosts().find(|(known, _, _)| known.as_str() == host);
        let (known, is_server, _) = known.ok_or_else(|| {
            let what = format!("this fleet has no host `{host}`");
            self.wrong(host, what, hosts(spec))
        })?;
        let fault = Fault::named(name).ok_or_else(|| {
            let names: Vec<&str> = Fault::CATALOGUE.iter().map(|(_, name, _)| *name).collect();
            let what = format!("there is no fault `{name}`");
            self.wrong(name, what, near(name, &names))
        })?;
        if !fault.fits(is_server) {
            let (kind, other) = if is_server {
                ("a server", "agents")
            } else {
                ("an agent", "servers")
            };
            let what = format!("{host} is {kind}, and `{name}` is a fault of {other}");
            return Err(self.wrong(value, what, hosts(spec)));
        }
        if spec.faults.contains(&(known.clone(), fault)) {
            let what = format!("{host} has the fault `{name}` twice");
            return Err(self.wrong(value, what, "leave one of the two out"));
        }
        Ok((known, fault))
    }
}

/// What there is, the likeliest first.
fn near(name: &str, names: &[&str]) -> String {
    let closest = names
        .iter()
        .max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    let closest = closest.map_or("", |near| *near);
    format!("did you mean `{closest}`? There are: {}", names.join(", "))
}

fn hosts(spec: &Spec) -> String {
    let named = |kind: &str, count: usize| match count {
        0 => None,
        1 => Some(format!("{kind}-1")),
        _ => Some(format!("{kind}-1 to {kind}-{count}")),
    };
    let all = [named("server", spec.servers), named("agent", spec.agents)];
    let all: Vec<String> = all.into_iter().flatten().collect();
    format!("there are {}", all.join(" and "))
}

/// Reads a `sim:` string.
///
/// # Errors
/// The first mistake, with its place and what there is instead.
pub fn parse(text: &str) -> Result<Spec, SpecError> {
    let reader = Reader { whole: text };
    let rest = text
        .strip_prefix("sim:")
        .ok_or_else(|| reader.wrong(text, "this is not a simulated fleet", SHAPE))?;
    let (counts, parameters) = match rest.split_once('?') {
        Some((counts, parameters)) => (counts, Some(parameters)),
        None => (rest, None),
    };
    let (servers, agents) = counts
        .split_once('+')
        .ok_or_else(|| reader.wrong(counts, format!("`{counts}` is not SERVERS+AGENTS"), SHAPE))?;
    let count = reader.count(servers, "servers")?;
    if count == 0 {
        return Err(reader.wrong(servers, "a fleet needs a server", SHAPE));
    }
    let mut spec = Spec {
        text: text.to_owned(),
        servers: count,
        agents: reader.count(agents, "agents")?,
        datastore: if count == 1 {
            Datastore::Sqlite
        } else {
            Datastore::Etcd
        },
        version: Version::default(),
        seed: 1,
        state: None,
        faults: Vec::new(),
        unknown_ok: false,
        shape: Shape::default(),
    };
    let mut seen = Vec::new();
    for part in parameters.into_iter().flat_map(|all| all.split('&')) {
        let (key, value) = reader.pair(part, &mut seen)?;
        reader.set(&mut spec, key, value)?;
    }
    if spec.shape.split && spec.datastore != Datastore::Etcd {
        let what = "servers of split roles keep their data in etcd";
        let at = parameters.unwrap_or_default();
        return Err(reader.wrong(at, what, "leave `datastore` or `topology` out"));
    }
    Ok(spec)
}
