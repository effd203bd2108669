//! Reads a `sim:` string.

use super::{Datastore, Joins, Shape, Spec, SpecError, Surface};
use crate::model::HostName;
use crate::sim::fault::Fault;

const SHAPE: &str = "write `sim:SERVERS+AGENTS`, such as `sim:3+8`, and parameters after `?`: datastore=sqlite|etcd|external, state=FILE, fault=HOST:NAME, seed=N, unknown=ok, surface=config|drop-in|env|argument|token-file|nothing, topology=split, joins=vip, agent-token=separate, disable-agent=yes, data-dir=PATH, unit=NAME, port=N";
const MOST: usize = 100_000;

struct Reader<'a> {
    whole: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, part: &str, what: String, help: impl Into<String>) -> SpecError {
        // Every part is a slice of the whole.
        let from = part.as_ptr() as usize - self.whole.as_ptr() as usize;
        SpecError {
            what,
            help: help.into(),
            text: self.whole.to_owned(),
            at: (from, part.len()).into(),
        }
    }

    fn count(&self, part: &str) -> Result<usize, SpecError> {
        let count: Option<usize> = part.parse().ok();
        count.filter(|count| *count <= MOST).ok_or_else(|| {
            self.wrong(
                part,
                format!("`{part}` is not a number of hosts up to {MOST}"),
                SHAPE,
            )
        })
    }

    fn set(&self, spec: &mut Spec, part: &str) -> Result<(), SpecError> {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| self.wrong(part, format!("`{part}` has no value"), SHAPE))?;
        match key {
            "datastore" => spec.datastore = self.datastore(spec, value)?,
            "state" if !value.is_empty() => {
                let path = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
                spec.state = Some(path.into_owned().into());
            }
            "state" => return Err(self.wrong(part, "`state` names no file".to_owned(), SHAPE)),
            "seed" => {
                let wrong = |_| self.wrong(value, format!("`{value}` is not a number"), SHAPE);
                spec.seed = value.parse().map_err(wrong)?;
            }
            "unknown" if value == "ok" => spec.unknown_ok = true,
            "unknown" => {
                return Err(self.wrong(
                    value,
                    format!("`unknown` cannot be `{value}`"),
                    "write `unknown=ok` or leave it out",
                ));
            }
            "fault" => {
                let fault = self.fault(spec, value)?;
                spec.faults.push(fault);
            }
            _ => return self.shape(spec, key, value),
        }
        Ok(())
    }

    fn shape(&self, spec: &mut Spec, key: &str, value: &str) -> Result<(), SpecError> {
        let shape = &mut spec.shape;
        let wrong = || self.wrong(value, format!("`{key}` cannot be `{value}`"), SHAPE);
        match key {
            "topology" if value == "split" && spec.servers > 1 => {
                (shape.split, spec.datastore) = (true, Datastore::Etcd);
            }
            "joins" if value == "vip" => shape.joins = Joins::Vip,
            "agent-token" if value == "separate" => shape.agent_token = true,
            "disable-agent" if value == "yes" => shape.disable_agent = true,
            "data-dir" if value.starts_with('/') => value.clone_into(&mut shape.data_dir),
            "unit" if HostName::new(value).is_ok() => value.clone_into(&mut shape.unit),
            "port" => shape.port = value.parse().map_err(|_| wrong())?,
            "surface" => {
                let found = Surface::NAMES.iter().find(|(_, name)| *name == value);
                shape.surface = found.ok_or_else(wrong)?.0;
            }
            "topology" | "joins" | "agent-token" | "disable-agent" | "data-dir" | "unit" => {
                return Err(wrong());
            }
            _ => {
                let what = format!("there is no parameter `{key}`");
                return Err(self.wrong(key, what, SHAPE));
            }
        }
        Ok(())
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
                Err(self.wrong(value, what, "there are sqlite, etcd and external"))
            }
        }
    }

    fn fault(&self, spec: &Spec, value: &str) -> Result<(HostName, Fault), SpecError> {
        let (host, name) = value.split_once(':').ok_or_else(|| {
            self.wrong(
                value,
                format!("`{value}` is not HOST:NAME"),
                "write `fault=agent-2:unreachable`",
            )
        })?;
        let known = spec.hosts().find(|(known, _, _)| known.as_str() == host);
        let known = known.ok_or_else(|| {
            let help = format!(
                "there are server-1 to server-{} and {} agents from agent-1 on",
                spec.servers, spec.agents
            );
            self.wrong(host, format!("this fleet has no host `{host}`"), help)
        })?;
        let fault = Fault::named(name).ok_or_else(|| {
            let names: Vec<&str> = Fault::CATALOGUE.iter().map(|(_, name, _)| *name).collect();
            let near = names
                .iter()
                .max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
            let near = near.map_or("", |near| *near);
            let help = format!("did you mean `{near}`? There are: {}", names.join(", "));
            self.wrong(name, format!("there is no fault `{name}`"), help)
        })?;
        Ok((known.0, fault))
    }
}

/// Reads a `sim:` string.
///
/// # Errors
/// The first mistake, with its place and what there is instead.
pub fn parse(text: &str) -> Result<Spec, SpecError> {
    let reader = Reader { whole: text };
    let rest = text
        .strip_prefix("sim:")
        .ok_or_else(|| reader.wrong(text, "this is not a simulated fleet".to_owned(), SHAPE))?;
    let (counts, parameters) = match rest.split_once('?') {
        Some((counts, parameters)) => (counts, Some(parameters)),
        None => (rest, None),
    };
    let (servers, agents) = counts
        .split_once('+')
        .ok_or_else(|| reader.wrong(counts, format!("`{counts}` is not SERVERS+AGENTS"), SHAPE))?;
    let count = reader.count(servers)?;
    if count == 0 {
        return Err(reader.wrong(servers, "a fleet needs a server".to_owned(), SHAPE));
    }
    let mut spec = Spec {
        servers: count,
        agents: reader.count(agents)?,
        datastore: if count == 1 {
            Datastore::Sqlite
        } else {
            Datastore::Etcd
        },
        seed: 1,
        state: None,
        faults: Vec::new(),
        unknown_ok: false,
        shape: Shape::default(),
    };
    for part in parameters.into_iter().flat_map(|all| all.split('&')) {
        reader.set(&mut spec, part)?;
    }
    Ok(spec)
}
