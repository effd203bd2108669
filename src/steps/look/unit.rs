//! Which unit runs K3s, and with which program.

use camino::{Utf8Path, Utf8PathBuf};

use super::Blind;
use super::usual::BINARIES;
use crate::facts::UnitState;
use crate::k3s::install::Fault;
use crate::model::HostName;

pub(super) fn binaries(unit: &UnitState) -> Vec<Utf8PathBuf> {
    let started = unit
        .text
        .argv
        .first()
        .map(Utf8PathBuf::from)
        .filter(|path| path.file_name() == Some("k3s"));
    let path = unit
        .text
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value.as_str());
    let beside = unit
        .text
        .argv
        .first()
        .and_then(|path| Utf8Path::new(path).parent())
        .map(|dir| dir.join("k3s"));
    let on_path = path
        .split(':')
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| Utf8Path::new(dir).join("k3s"));
    let usual = BINARIES.map(Utf8PathBuf::from);
    let mut all: Vec<Utf8PathBuf> = Vec::new();
    for path in started
        .into_iter()
        .chain(on_path)
        .chain(beside)
        .chain(usual)
    {
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

/// The unit that runs K3s.
pub(super) fn one(host: &HostName, mut units: Vec<UnitState>) -> Result<UnitState, Blind> {
    let names: Vec<&str> = units.iter().map(|unit| unit.text.id.as_str()).collect();
    let (names, last) = (names.join(", "), units.len().saturating_sub(1));
    let rests = units.iter().position(|unit| unit.main_pid == 0);
    let stray = units
        .get(rests.unwrap_or(last))
        .map_or_else(String::new, |unit| unit.text.id.clone());
    let Some(unit) = units.pop() else {
        return Err(no_unit(host));
    };
    if !units.is_empty() {
        return Err(Blind::Faulty(Fault {
            name: "several-units",
            what: format!("{host} has several units that run K3s: {names}"),
            next: format!(
                "on {host}, as root, for each that is not the one, such as {stray}: systemctl disable --now {stray}; systemctl reset-failed {stray}"
            ),
        }));
    }
    match odd(host, &unit) {
        Some(fault) => Err(Blind::Faulty(fault)),
        None => Ok(unit),
    }
}

/// Why keyroll does not work with this unit.
fn odd(host: &HostName, unit: &UnitState) -> Option<Fault> {
    let id = &unit.text.id;
    let program = unit.text.argv.first().map_or("", String::as_str);
    if unit.load_state == "masked" {
        return Some(Fault {
            name: "unit-masked",
            what: format!("{id} on {host} is masked"),
            next: format!("on {host}, as root: systemctl unmask {id}"),
        });
    }
    if id.starts_with("rke2") {
        return Some(Fault {
            name: "rke2",
            what: format!(
                "{host} runs RKE2 ({id}), whose paths, port and names are others than K3s's"
            ),
            next: format!("take {host} out of the inventory; RKE2 has `rke2 token rotate`"),
        });
    }
    if program.is_empty() {
        return Some(Fault {
            name: "no-unit",
            what: format!(
                "{host} knows {id}, which starts nothing: its file is gone or has no ExecStart"
            ),
            next: "install K3s there, or take the host out of the inventory".to_owned(),
        });
    }
    if unit.is_active() && unit.invocation.is_empty() {
        return Some(Fault {
            name: "systemd-too-old",
            what: format!(
                "systemd on {host} gives {id} no InvocationID, as it does before version 232: whether a restart took place \
                 could not be told"
            ),
            next: format!("upgrade the system of {host}, or take it out of the inventory"),
        });
    }
    let is_k3s = Utf8Path::new(program).file_name() == Some("k3s");
    (!is_k3s || !unit.names_a_kind()).then(|| Fault {
        name: "not-k3s-itself",
        what: format!(
            "{id} on {host} starts {program}, not `k3s server` or `k3s agent`: whatever it gives to K3s, a token too, cannot be seen"
        ),
        next: format!("let ExecStart of {id} name k3s itself, with the settings in config.yaml or in an EnvironmentFile"),
    })
}

fn no_unit(host: &HostName) -> Blind {
    Blind::Faulty(Fault {
        name: "no-unit",
        what: format!(
            "{host} has no systemd unit k3s*.service that runs `k3s server` or `k3s agent`"
        ),
        next: "install K3s there, or take the host out of the inventory; where K3s runs there in a unit of another name, give it one that begins with k3s".to_owned(),
    })
}

/// A host without systemd and without K3s under OpenRC.
pub(super) fn unmanaged(host: &HostName, said: &str) -> Blind {
    Blind::Faulty(Fault {
        name: "no-systemd",
        what: format!("{host} has no systemd, and no K3s under OpenRC: systemctl said {said}"),
        next: "take the host out of the inventory".to_owned(),
    })
}

pub(super) fn no_binary(host: &HostName, unit: &UnitState) -> Blind {
    Blind::Faulty(Fault {
        name: "no-binary",
        what: format!(
            "no k3s binary was found on {host}, neither beside {} nor in the usual places",
            unit.text
                .argv
                .first()
                .map_or("the program of the unit", String::as_str)
        ),
        next: "put k3s on the PATH of the unit".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k3s::install::UnitText;

    #[test]
    fn a_systemd_that_tells_no_start_from_the_next_is_refused() {
        let unit = |invocation: &str, active: &str| UnitState {
            active_state: active.to_owned(),
            invocation: invocation.to_owned(),
            text: UnitText {
                id: "k3s.service".to_owned(),
                argv: vec!["/usr/local/bin/k3s".to_owned(), "server".to_owned()],
                ..UnitText::default()
            },
            ..UnitState::default()
        };
        let host = HostName::new("h1").unwrap();
        let name = |unit| odd(&host, &unit).map(|fault| fault.name);
        assert_eq!(name(unit("", "active")), Some("systemd-too-old"));
        assert_eq!(name(unit("45d4", "active")), None);
        // One that does not run has none on any systemd.
        assert_eq!(name(unit("", "failed")), None);
    }
}
