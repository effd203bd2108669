//! What installers leave: found as it stands there, and rotated to the last byte.

use std::collections::BTreeMap;
use std::time::Duration;

use assert_cmd::Command;
use keyroll::facts::{Overlay, Probe};
use keyroll::k3s::token::Form;
use keyroll::model::{HostName, HostTime};
use keyroll::secret::Secret;
use keyroll::sim::{Fleet, dress, spec};
use keyroll::steps::look::{Freshness, Seen};
use keyroll::template::Vars;
use keyroll::wire::Become;
use serde::Deserialize;
use serde_json::Value;

use crate::steps::Rig;

const NEW: &str = "canary0123456789abcdef0123456789";

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) server: Surface,
    pub(crate) joiner: Surface,
    pub(crate) agent: Surface,
    pub(crate) refused: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Surface {
    pub(crate) place: String,
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) form: String,
    pub(crate) mode: String,
}

async fn seen(rig: &Rig, host: &str) -> Seen {
    let (host, vars, overlay) = (
        HostName::new(host).unwrap(),
        Vars::default(),
        Overlay::default(),
    );
    let probe = Probe::new(&host, &Become::Root, &vars, &rig.scope, &overlay);
    Seen::look(&probe, &host, Freshness::Now)
        .await
        .unwrap_or_else(|blind| panic!("{host}: {blind}"))
}

fn winner(seen: &Seen) -> Surface {
    let surface = seen.install.winner().unwrap();
    let place = serde_json::to_value(surface.place).unwrap();
    let form = match &surface.token.form {
        Form::Bare => "bare".to_owned(),
        Form::Full { user, .. } => format!("full-{user}"),
        Form::Bootstrap { .. } => "bootstrap".to_owned(),
    };
    let stat = seen.stats[&surface.file].as_ref().unwrap();
    Surface {
        place: place.as_str().unwrap().to_owned(),
        file: surface.file.to_string(),
        line: seen.line(surface).unwrap(),
        form,
        mode: format!("{:04o}", stat.mode),
    }
}

#[tokio::test(start_paused = true)]
async fn each_installers_surfaces_are_found_where_it_leaves_them() {
    for dress in &dress::ALL {
        let rig = Rig::new(&format!("sim:2+1?installer={}", dress.name), false);
        let hosts = [
            seen(&rig, "server-1").await,
            seen(&rig, "server-2").await,
            seen(&rig, "agent-1").await,
        ];
        let [server, joiner, agent] = hosts.each_ref().map(winner);
        let mut refused: Vec<String> = Vec::new();
        for seen in &hosts {
            let names = seen
                .install
                .faults
                .iter()
                .map(|fault| fault.name.to_owned());
            refused.extend(
                names
                    .filter(|name| !refused.contains(name))
                    .collect::<Vec<_>>(),
            );
            assert_eq!(
                seen.install.surfaces.len(),
                1,
                "{}: {}",
                dress.name,
                seen.host
            );
            assert_eq!(
                seen.surface(),
                Some(&rig.sim.with(|fleet| fleet.first_secret()))
            );
            assert_eq!(seen.hidden(), None, "{}: {}", dress.name, seen.host);
        }
        let found = Expected {
            server,
            joiner,
            agent,
            refused,
        };
        let expected: Expected = serde_yaml::from_str(dress.expected).unwrap();
        assert_eq!(found, expected, "{}", dress.name);
        assert_eq!(
            found.refused.is_empty(),
            dress.is_editable,
            "{}",
            dress.name
        );
    }
}

/// Text and mode of each file that an installer leaves, by host and path.
fn files(fleet: &Fleet) -> BTreeMap<(String, String), (String, u64)> {
    let fleet: Value = serde_json::from_str(&fleet.to_json().unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for host in fleet["hosts"].as_array().unwrap() {
        for (path, inode) in host["disk"]["nodes"].as_object().unwrap() {
            let Some(text) = inode["body"]["File"].as_str() else {
                continue;
            };
            if path.starts_with("/etc/") || path == "/var/lib/k3s-token" {
                let name = host["name"].as_str().unwrap().to_owned();
                let mode = inode["mode"].as_u64().unwrap();
                found.insert((name, path.clone()), (text.to_owned(), mode));
            }
        }
    }
    found
}

#[test]
fn a_rotation_over_all_of_them_changes_the_token_and_no_other_byte() {
    let own = tempfile::tempdir().unwrap();
    let (state, token) = (own.path().join("fleet"), own.path().join("new"));
    std::fs::write(&token, NEW).unwrap();
    let inventory = format!("sim:14+14?installer=mixed&state={}", state.display());
    let spec = spec::parse(&inventory).unwrap();
    // The clock of a rehearsal begins here.
    let before = Fleet::raise(&spec, HostTime(1_767_225_600_000_000));
    let old = before.first_secret().expose().to_owned();
    let end = Command::cargo_bin("keyroll")
        .unwrap()
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYROLL_STATE_DIR", own.path())
        .args(["run", "@rotate-token", "-i", &inventory, "--new-token-from"])
        .arg(format!("file:{}", token.display()))
        .timeout(Duration::from_mins(3))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&end.stdout);
    assert_eq!(end.status.code(), Some(0), "{said}");
    let after = Fleet::from_json(&std::fs::read_to_string(&state).unwrap()).unwrap();
    assert!(after.is_encrypted_with(&Secret::new(NEW)));
    let expected: BTreeMap<_, _> = files(&before)
        .into_iter()
        .map(|(key, (text, mode))| {
            let held = text.contains(&old);
            // Plain YAML gets quotes, so that no token is ever read as a number.
            let text = text.replace(&format!("token: {old}"), &format!("token: \"{NEW}\""));
            let text = text.replace(&old, NEW);
            (key, (text, if held { mode & 0o600 } else { mode }))
        })
        .collect();
    let found = files(&after);
    let changed = expected
        .values()
        .filter(|(text, _)| text.contains(NEW))
        .count();
    // The servers of techno-tim have theirs in /var/lib alone.
    assert_eq!(changed, 27);
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(key, file)| found.get(*key) != Some(*file))
        .map(|(key, file)| (key, file, found.get(key)))
        .collect();
    assert!(wrong.is_empty(), "expected, and found: {wrong:#?}");
    assert_eq!(found.len(), expected.len());
}
