use super::*;
use crate::k3s::surface::Place;
use crate::secret::Secret;

pub(super) struct Host {
    pub(super) unit: UnitText,
    known: Known,
}

pub(super) fn host(argv: &str) -> Host {
    let unit = UnitText {
        id: "k3s.service".to_owned(),
        argv: argv.split(' ').map(str::to_owned).collect(),
        environment_files: vec![
            "/etc/default/k3s".into(),
            "/etc/systemd/system/k3s.service.env".into(),
        ],
        texts: vec!["/etc/systemd/system/k3s.service".into()],
        environment: Vec::new(),
        ..UnitText::default()
    };
    Host {
        unit,
        known: Known::default(),
    }
}

impl Host {
    pub(super) fn file(mut self, path: &str, text: &str) -> Self {
        self.known.files.insert(path.into(), Some(text.into()));
        self
    }

    pub(super) fn folder(mut self, path: &str, names: &[&str]) -> Self {
        self.known.folders.insert(
            path.into(),
            names.iter().map(|name| (*name).to_owned()).collect(),
        );
        self
    }

    pub(super) fn version(mut self, told: Result<Version, String>) -> Self {
        self.known.version = Some(told);
        self
    }

    /// Everything else is absent, and K3s is a new one.
    pub(super) fn install(mut self) -> Install {
        for _ in 0..6 {
            match Install::resolve(&self.unit, &self.known) {
                Ok(install) => return install,
                Err(wanted) => {
                    if wanted.version {
                        assert_eq!(self.known.version, None);
                        self.known.version = Some(Ok(Version::parse("v1.34.3+k3s1").unwrap()));
                    }
                    self.known
                        .files
                        .extend(wanted.files.into_iter().map(|path| (path, None)));
                    self.known
                        .folders
                        .extend(wanted.folders.into_iter().map(|path| (path, Vec::new())));
                }
            }
        }
        panic!("it asks without end");
    }
}

fn places(install: &Install) -> Vec<(Place, &str)> {
    install
        .surfaces
        .iter()
        .map(|s| (s.place, s.token.secret.expose()))
        .collect()
}

#[test]
fn the_config_file_wins_over_the_env_file() {
    let install = host("/usr/local/bin/k3s server")
        .file(CONFIG, "token: abc\ncluster-init: true\n")
        .file("/etc/systemd/system/k3s.service.env", "K3S_TOKEN='abc'\n")
        .install();
    assert_eq!(
        places(&install),
        [(Place::Config, "abc"), (Place::EnvFile, "abc")]
    );
    assert_eq!(
        (install.faults.len(), install.datastore),
        (0, Datastore::Etcd)
    );
}

#[test]
fn a_token_file_wins_over_everything() {
    let install = host("/usr/local/bin/k3s agent --token arg")
        .file(CONFIG, "token: conf\n")
        .file(
            "/etc/default/k3s",
            "K3S_TOKEN_FILE=/etc/tf\nK3S_TOKEN=env\n",
        )
        .file("/etc/tf", "  file\n")
        .file(
            "/etc/systemd/system/k3s.service",
            "ExecStart=/usr/local/bin/k3s agent --token arg\n",
        )
        .install();
    let order = [
        (Place::TokenFile, "file"),
        (Place::Argument, "arg"),
        (Place::Config, "conf"),
        (Place::EnvFile, "env"),
    ];
    assert_eq!(places(&install), order);
}

#[test]
fn later_files_win_over_earlier_ones() {
    let install = host("/usr/local/bin/k3s server")
        .file(CONFIG, "token: a\n")
        .folder(
            "/etc/rancher/k3s/config.yaml.d",
            &["10-a.yaml", "20-b.yml", "notes.txt"],
        )
        .file("/etc/rancher/k3s/config.yaml.d/10-a.yaml", "token: b\n")
        .file("/etc/rancher/k3s/config.yaml.d/20-b.yml", "token: c\n")
        .install();
    assert_eq!(
        places(&install),
        [
            (Place::Config, "c"),
            (Place::Config, "b"),
            (Place::Config, "a")
        ]
    );
}

#[test]
fn drop_ins_are_told_by_the_end_of_their_names_in_whatever_case() {
    let names = [
        ".yaml",
        "10-a.YAML",
        "20-b.Yml",
        "30-c.yaml.bak",
        "40-d.yaml~",
        "50-yaml",
    ];
    let mut host =
        host("/usr/local/bin/k3s server").folder("/etc/rancher/k3s/config.yaml.d", &names);
    for name in names {
        let path = format!("/etc/rancher/k3s/config.yaml.d/{name}");
        host = host.file(&path, &format!("token: \"of {name}\"\n"));
    }
    let install = host.install();
    let read: Vec<&str> = places(&install).iter().map(|(_, token)| *token).collect();
    assert_eq!(read, ["of 20-b.Yml", "of 10-a.YAML", "of .yaml"]);
}

#[test]
fn without_a_configured_token_a_server_has_its_own_file() {
    let install = host("/usr/local/bin/k3s server --data-dir=/data/k3s")
        .file(
            "/data/k3s/server/token",
            "K10aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa::server:abc\n",
        )
        .folder("/data/k3s/server/db", &["state.db"])
        .install();
    assert_eq!(places(&install), [(Place::ServerToken, "abc")]);
    assert_eq!(
        (install.datastore, install.kind),
        (Datastore::Sqlite, Kind::Server)
    );
    assert_eq!(host("/usr/local/bin/k3s agent").install().surfaces, []);
}

#[test]
fn an_edit_changes_the_bytes_of_the_token_and_nothing_else() {
    let config = "# Überschrift\r\ntoken: 'abc' # keep\r\nserver: https://x:6443\r\n";
    let install = host("/usr/local/bin/k3s server")
        .file(CONFIG, config)
        .install();
    let edited = install
        .winner()
        .unwrap()
        .edited(&config.into(), &Secret::new("NEW"))
        .unwrap();
    assert_eq!(
        edited.text(),
        "# Überschrift\r\ntoken: 'NEW' # keep\r\nserver: https://x:6443\r\n"
    );

    let unit = "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--token' \\\n\t'sekret' \\\n";
    let install = host("/usr/local/bin/k3s server --token sekret")
        .file("/etc/systemd/system/k3s.service", unit)
        .install();
    let edited = install
        .winner()
        .unwrap()
        .edited(&unit.into(), &Secret::new("NEW"))
        .unwrap();
    assert_eq!(edited.text(), unit.replace("sekret", "NEW"));
}

#[test]
fn plain_yaml_is_quoted_when_it_is_written() {
    let install = host("/usr/local/bin/k3s server")
        .file(CONFIG, "token: abc\n")
        .install();
    let edited = install
        .winner()
        .unwrap()
        .edited(&"token: abc\n".into(), &Secret::new("0123e5"))
        .unwrap();
    assert_eq!(edited.text(), "token: \"0123e5\"\n");
}

#[test]
fn what_cannot_be_edited_exactly_is_a_fault() {
    for (config, name) in [
        ("token: |\n  abc\n", "token-not-editable"),
        ("token: {a: b}\n", "token-not-editable"),
        ("token: K10abc::server:x\n", "token-malformed"),
        ("token: \"abc\n", "config-unreadable"),
        ("token: a\0bc\n", "unreadable-file"),
    ] {
        let install = host("/usr/local/bin/k3s server")
            .file(CONFIG, config)
            .install();
        assert!(
            install.faults.iter().any(|fault| fault.name == name),
            "{config:?}: {:?}",
            install.faults
        );
        // K3s has a token all the same.
        assert_eq!(install.unread().is_some(), name.starts_with("token-"));
    }
}

#[test]
fn split_roles_and_databases_are_told_apart() {
    let read = |config: &str| {
        host("/usr/local/bin/k3s server")
            .file(CONFIG, config)
            .install()
    };
    assert_eq!(
        read("disable-etcd: true\nserver: https://a:6443\n").datastore,
        Datastore::Elsewhere
    );
    assert_eq!(
        read("datastore-endpoint: postgres://x\n").datastore,
        Datastore::External
    );
    let left = host("/usr/local/bin/k3s server")
        .file(CONFIG, "datastore-endpoint: postgres://x\n")
        .folder("/var/lib/rancher/k3s/server/db/etcd/member", &["wal"]);
    assert_eq!(left.install().datastore, Datastore::Etcd);
    assert_eq!(read("server: https://a:6443\n").datastore, Datastore::Etcd);
    assert_eq!(read("token: x\n").datastore, Datastore::Sqlite);
    let etcd_only = read(
        "cluster-init: true\ndisable-apiserver: true\ndisable-agent: true\nhttps-listen-port: 7443\n",
    );
    assert_eq!(
        (etcd_only.has_api, etcd_only.has_node, etcd_only.port),
        (false, false, 7443)
    );
}

#[test]
fn a_token_in_a_drop_in_is_edited_there_and_in_the_unit() {
    let unit = "ExecStart=/usr/local/bin/k3s server --token abc\n";
    let mut host = host("/usr/local/bin/k3s server --token abc")
        .file("/etc/systemd/system/k3s.service", unit)
        .file("/etc/systemd/system/k3s.service.d/10.conf", unit);
    host.unit
        .texts
        .push("/etc/systemd/system/k3s.service.d/10.conf".into());
    let install = host.install();
    let files: Vec<&str> = install
        .surfaces
        .iter()
        .map(|surface| surface.file.as_str())
        .collect();
    assert_eq!(
        files,
        [
            "/etc/systemd/system/k3s.service.d/10.conf",
            "/etc/systemd/system/k3s.service"
        ]
    );
}

#[test]
fn a_token_that_comes_from_a_variable_among_the_arguments_is_refused() {
    let started = || host("/usr/local/bin/k3s server $K3S_OPTS");
    let install = started().install();
    assert_eq!(
        (install.faults.len(), install.unset),
        (0, vec!["K3S_OPTS".to_owned()])
    );
    let host_of = host;
    let mut host = started();
    let options = ("K3S_OPTS".to_owned(), "--token abc".to_owned());
    host.unit.environment.push(options);
    let install = host.install();
    assert_eq!(install.faults[0].name, "arguments-from-variables");
    assert_eq!(install.unset, [""; 0]);
    let install = host_of("/usr/local/bin/k3s server --data-dir=${HOME}/k3s").install();
    assert_eq!(install.faults[0].name, "arguments-from-variables");
}

#[test]
fn etcd_is_asked_where_it_is_told_to_listen() {
    let etcd = |config: &str| {
        let host = host("/usr/local/bin/k3s server --cluster-init");
        host.file(CONFIG, config).install().etcd.join(" ")
    };
    assert_eq!(etcd("token: abc\n"), "http://127.0.0.1:2381");
    let other = "etcd-arg:\n- heartbeat-interval=200\n- listen-metrics-urls=http://10.0.0.1:2381\n";
    assert_eq!(etcd(other), "http://10.0.0.1:2381");
    let both = "etcd-arg: [\"--listen-metrics-urls=http://0.0.0.0:2381,http://[::]:9000\"]\n";
    assert_eq!(etcd(both), "http://127.0.0.1:2381 http://[::1]:9000");
}

#[test]
fn an_empty_value_that_does_not_win_says_nothing() {
    let env = "/etc/systemd/system/k3s.service.env";
    let install = host("/usr/local/bin/k3s server")
        .file(CONFIG, "token: abc\n")
        .file(env, "K3S_TOKEN=\n")
        .install();
    assert_eq!((places(&install).len(), install.faults.len()), (1, 0));
}

proptest::proptest! {
    #[test]
    fn fuzz_a_set_up(
        config in "(token|token\\+|token-file|data-dir|<<)?: ?[\\PC\n\t'\"&*|!-]{0,30}",
        env in "(K3S_TOKEN|K3S_CONFIG_FILE|K3S_DATA_DIR)?=?[\\PC\n\r'\"\\\\]{0,30}",
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..30),
        argv in "/bin/k3s (server|agent)( (--token|-t|--token-file|--config)[= ]?[\\PC]{0,12}){0,3}",
    ) {
        let mut host = host(&argv)
            .file(CONFIG, &config)
            .file("/etc/default/k3s", &env)
            .file("/etc/systemd/system/k3s.service", &argv);
        let raw = Some(crate::secret::Content::new(bytes));
        host.known.files.insert("/etc/systemd/system/k3s.service.env".into(), raw);
        let known = host.known.clone();
        let install = host.install();
        for surface in &install.surfaces {
            if let Some(Some(file)) = known.files.get(&surface.file) {
                proptest::prop_assert!(surface.edited(file, &Secret::new("NEW")).is_some());
            }
        }
        for fault in &install.faults {
            proptest::prop_assert!(!fault.what.is_empty() && !fault.next.is_empty());
        }
    }
}

/// etcd and the supervisor listen on the loopback address of their own family each.
#[test]
fn a_member_of_etcd_is_asked_where_the_version_may_have_it() {
    let v6 = "http://[::1]:2381";
    let v4 = "http://127.0.0.1:2381";
    for (argv, config, urls) in [
        ("k3s server", "", &[v4][..]),
        (
            "k3s server",
            "service-cidr: 10.43.0.0/16,fd00:43::/112\n",
            &[v4],
        ),
        (
            "k3s server",
            "service-cidr: fd00:43::/112,10.43.0.0/16\n",
            &[v6, v4],
        ),
        (
            "k3s server",
            "service-cidr: [\"fd00:43::/112\", 10.43.0.0/16]\n",
            &[v6, v4],
        ),
        ("k3s server --service-cidr=fd00:43::/112", "", &[v6]),
        ("k3s server --node-ip fd00::1", "", &[v6]),
        (
            "k3s server --node-ip fd00::1",
            "service-cidr: 10.43.0.0/16\n",
            &[v4],
        ),
    ] {
        let install = host(argv)
            .file("/etc/rancher/k3s/config.yaml", config)
            .install();
        assert_eq!(install.etcd, urls, "{argv} {config}");
    }
}

#[test]
fn a_server_is_asked_at_the_address_that_it_binds() {
    let bound = |argv| host(argv).install().address;
    assert_eq!(bound("k3s server --bind-address=fd00::1"), "[fd00::1]");
    assert_eq!(bound("k3s server --bind-address=::"), "[::1]");
    assert_eq!(
        bound("k3s server --bind-address=10.0.0.1 --node-ip=fd00::1"),
        "10.0.0.1"
    );
    assert_eq!(
        bound("k3s agent --bind-address=10.0.0.1 --node-ip=fd00::1"),
        "[::1]"
    );
}

/// YAML 1.1 has many words for yes and no, of which K3s gets `true` and `false`.
#[test]
fn each_word_for_no_is_no() {
    let of = |config: &str| host("k3s server").file(CONFIG, config).install();
    for no in ["false", "False", "no", "Off", "n", "\"False\"", "'0'"] {
        let install = of(&format!("disable-apiserver: {no}\ndisable-agent: {no}\n"));
        assert!(install.has_api && install.has_node, "{no}");
    }
    for yes in ["true", "True", "yes", "On", "y", "\"1\""] {
        let install = of(&format!("disable-apiserver: {yes}\ndisable-agent: {yes}\n"));
        assert!(!install.has_api && !install.has_node, "{yes}");
    }
    let critical = |value: &str| of(&format!("disable-helm-controller: {value}\n")).critical;
    assert_eq!(critical("yes"), critical("True"));
    assert_eq!(critical("no"), of("").critical);
}

#[test]
fn short_names_count_in_a_config_file_and_a_mark_before_it_does_not() {
    for config in [
        "t: abc\ns: https://10.0.0.1:6443\n",
        "\u{feff}t: abc\ns: https://10.0.0.1:6443\n",
    ] {
        let host = host("k3s server").file(CONFIG, config);
        let file = host
            .known
            .files
            .get(camino::Utf8Path::new(CONFIG))
            .cloned()
            .flatten();
        let install = host.install();
        assert_eq!(install.url.as_deref(), Some("https://10.0.0.1:6443"));
        let winner = install.winner().unwrap();
        assert_eq!(winner.token.secret, Secret::new("abc"));
        let edited = winner.edited(&file.unwrap(), &Secret::new("new")).unwrap();
        assert_eq!(edited.text(), config.replace("abc", "\"new\""));
    }
}

#[test]
fn a_later_file_replaces_a_list_unless_it_appends() {
    let etcd = |more: &str| {
        let first = "etcd-arg: [listen-metrics-urls=http://10.0.0.1:2381]\n";
        let host = host("k3s server").file(CONFIG, first);
        let host = host.folder("/etc/rancher/k3s/config.yaml.d", &["b.yaml"]);
        host.file("/etc/rancher/k3s/config.yaml.d/b.yaml", more)
            .install()
            .etcd
            .join(" ")
    };
    assert_eq!(etcd("etcd-arg+: [max-txn-ops=1]\n"), "http://10.0.0.1:2381");
    assert_eq!(etcd("etcd-arg: [max-txn-ops=1]\n"), "http://127.0.0.1:2381");
}

#[test]
fn what_would_not_start_again_is_named() {
    let names = |argv: &str, config: &str| -> Vec<&str> {
        let install = host(argv).file(CONFIG, config).install();
        install.faults.iter().map(|fault| fault.name).collect()
    };
    let agent = "/usr/local/bin/k3s agent";
    assert_eq!(names(agent, "token: x\n"), ["agent-names-no-server"]);
    assert_eq!(names(agent, "token: x\nserver: https://a:6443\n"), [""; 0]);
    let server = "/usr/local/bin/k3s server";
    let reset = "token: x\ncluster-init: true\ncluster-reset: true\n";
    assert_eq!(names(server, reset), ["cluster-reset-configured"]);
    assert_eq!(names(server, "token: x\ncluster-reset: false\n"), [""; 0]);
}
