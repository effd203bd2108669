//! Any set of surfaces resolves in the order that K3s documents, put down here once more as a list.

use proptest::prelude::*;

use super::tests::host;
use super::{CONFIG, Install};
use crate::k3s::surface::Place;

const UNIT: &str = "/etc/systemd/system/k3s.service";
const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/90-token.yaml";
const ENV: [&str; 2] = ["/etc/default/k3s", "/etc/systemd/system/k3s.service.env"];

/// A token in each place, if there is one.
#[derive(Debug, Clone)]
struct Tokens {
    file: Option<(String, usize)>,
    argument: Option<String>,
    drop_in: Option<String>,
    config: Option<String>,
    late_env: Option<String>,
    early_env: Option<String>,
    unit: Option<String>,
    own: Option<String>,
}

fn tokens() -> impl Strategy<Value = Tokens> {
    let token = || proptest::option::of("[a-z]{4}[0-9]{4}");
    let file = proptest::option::of(("file[0-9]{4}", 0..4usize));
    let rest = (
        token(),
        token(),
        token(),
        token(),
        token(),
        token(),
        token(),
    );
    (file, rest).prop_map(
        |(file, (argument, drop_in, config, late_env, early_env, unit, own))| Tokens {
            file,
            argument,
            drop_in,
            config,
            late_env,
            early_env,
            unit,
            own,
        },
    )
}

/// "The token file, whoever names it; then the argument; the last file of the configuration; the last environment
/// file; the unit's environment; and where nobody says anything, what the server keeps itself."
fn order(tokens: &Tokens) -> Vec<(Place, String)> {
    let configured = [
        (
            Place::TokenFile,
            tokens.file.clone().map(|(token, _)| token),
        ),
        (Place::Argument, tokens.argument.clone()),
        (Place::Config, tokens.drop_in.clone()),
        (Place::Config, tokens.config.clone()),
        (Place::EnvFile, tokens.late_env.clone()),
        (Place::EnvFile, tokens.early_env.clone()),
        (Place::UnitEnvironment, tokens.unit.clone()),
    ];
    let said = |(place, token): (Place, Option<String>)| Some((place, token?));
    let all: Vec<(Place, String)> = configured.into_iter().filter_map(said).collect();
    if all.is_empty() {
        let own = tokens.own.clone();
        return own
            .map(|own| (Place::ServerToken, own))
            .into_iter()
            .collect();
    }
    all
}

fn install(tokens: &Tokens) -> Install {
    let (mut argv, mut unit) = (
        "/usr/local/bin/k3s server".to_owned(),
        "[Service]\n".to_owned(),
    );
    let mut texts = [String::new(), String::new(), String::new(), String::new()];
    if let Some((token, by)) = &tokens.file {
        let line = if *by < 2 {
            "token-file: /etc/tf\n"
        } else {
            "K3S_TOKEN_FILE=/etc/tf\n"
        };
        texts[*by].push_str(line);
        assert!(token.starts_with("file"));
    }
    let yaml = |token: &String| format!("token: \"{token}\"\n");
    let env = |token: &String| format!("K3S_TOKEN='{token}'\n");
    texts[0].extend(tokens.config.iter().map(yaml));
    texts[1].extend(tokens.drop_in.iter().map(yaml));
    texts[2].extend(tokens.early_env.iter().map(env));
    texts[3].extend(tokens.late_env.iter().map(env));
    let mut environment = Vec::new();
    if let Some(token) = &tokens.unit {
        unit = format!("{unit}Environment=K3S_TOKEN={token}\n");
        environment.push(("K3S_TOKEN".to_owned(), token.clone()));
    }
    if let Some(token) = &tokens.argument {
        argv = format!("{argv} --token {token}");
    }
    unit = format!("{unit}ExecStart={argv}\n");
    let mut host = host(&argv)
        .file(CONFIG, &texts[0])
        .folder("/etc/rancher/k3s/config.yaml.d", &["90-token.yaml"])
        .file(DROP_IN, &texts[1])
        .file(ENV[0], &texts[2])
        .file(ENV[1], &texts[3])
        .file(UNIT, &unit);
    host.unit.environment = environment;
    if let Some((token, _)) = &tokens.file {
        host = host.file("/etc/tf", &format!("{token}\n"));
    }
    if let Some(token) = &tokens.own {
        host = host.file("/var/lib/rancher/k3s/server/token", &format!("{token}\n"));
    }
    host.install()
}

proptest! {
    #[test]
    fn surfaces_win_in_the_order_that_is_documented(tokens in tokens()) {
        let install = install(&tokens);
        let found: Vec<(Place, String)> = install
            .surfaces
            .iter()
            .map(|surface| (surface.place, surface.token.secret.expose().to_owned()))
            .collect();
        prop_assert_eq!(found, order(&tokens));
        prop_assert_eq!(install.faults, []);
    }
}
