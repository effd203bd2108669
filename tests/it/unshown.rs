//! No secret that stands in an inventory or on a command line is shown by what complains of it.

use assert_cmd::Command;

/// An inventory with a mistake on the line below a secret.
const BROKEN: &str = "\
k3s_cluster:
  children:
    server:
      hosts:
        h1:
          LINE
          ansible_port: x
";

const LINES: [&str; 6] = [
    "extra_server_args: \"--token canary-1\"",
    "extra_server_args: -t canary-1",
    "extra_server_args: [\"--agent-token\", \"canary-1\"]",
    "anykey: K10<hash>::server:canary-1",
    "anykey: \"K10<hash>::server:canary-1\"",
    "extra_server_args: --token=canary-1",
];

fn keyroll(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_keyroll"))
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_mistake_below_a_secret_is_marked_and_the_secret_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.yml");
    let hosts = path.display().to_string();
    for line in LINES {
        let line = line.replace("<hash>", &"ab".repeat(32));
        std::fs::write(&path, BROKEN.replace("LINE", &line)).unwrap();
        for args in [
            &["lint", "@rotate-token", "-i", &hosts][..],
            &["where", "-i", &hosts],
            &["run", "@rotate-token", "-i", &hosts, "--check"],
        ] {
            let (code, said) = keyroll(args);
            assert_eq!(code, 3, "{said}");
            assert!(said.contains(&format!("{hosts}:7:")), "{said}");
            assert!(!said.contains("canary-1"), "{args:?}: {said}");
        }
    }
}

#[test]
fn a_secret_given_to_extra_vars_is_refused_and_not_repeated() {
    let token = format!("join=K10{}::server:canary-1", "ab".repeat(32));
    for given in [&token, "{\"my\":{\"token\":\"canary-1\"}}"] {
        let (code, said) = keyroll(&["lint", "@rotate-token", "-i", "sim:1+1", "-e", given]);
        assert_eq!(code, 2, "{said}");
        assert!(!said.contains("canary-1"), "{said}");
        assert!(said.contains("--new-token-from"), "{said}");
    }
}
