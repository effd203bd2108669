//! K3s under OpenRC: the init script that get.k3s.io writes, read as a unit.

use camino::{Utf8Path, Utf8PathBuf};

use super::install::{Known, Manager, UnitText};

/// The scripts, and the files that they read.
pub const FILES: [&str; 5] = [
    "/etc/environment",
    "/etc/init.d/k3s",
    "/etc/init.d/k3s-agent",
    "/etc/rancher/k3s/k3s.env",
    "/etc/rancher/k3s/k3s-agent.env",
];

/// The service that runs K3s, among the files that were read.
#[must_use]
pub fn unit(known: &Known) -> Option<UnitText> {
    let mut scripts = FILES.iter().filter(|path| path.starts_with("/etc/init.d/"));
    scripts.find_map(|path| {
        let script = known.files.get(Utf8Path::new(path))?.as_ref()?;
        parse(path, &script.text())
    })
}

/// `command`, `command_args` and the files that are sourced, in their order.
fn parse(path: &str, script: &str) -> Option<UnitText> {
    let joined = script.replace("\\\n", " ");
    let command = assigned(&joined, "command")?;
    let args = assigned(&joined, "command_args").unwrap_or_default();
    let args = args.split(">>").next().unwrap_or_default();
    let args = shlex::split(args)?;
    let files = joined
        .split(|c: char| c.is_whitespace() || c == ';')
        .collect::<Vec<_>>();
    let sourced = files.windows(2).filter_map(|pair| match pair {
        ["." | "source", file] if file.starts_with('/') => Some(Utf8PathBuf::from(*file)),
        _ => None,
    });
    let name = path.rsplit('/').next().unwrap_or(path);
    Some(UnitText {
        id: name.to_owned(),
        argv: std::iter::once(command).chain(args).collect(),
        environment_files: sourced.collect(),
        texts: vec![path.into()],
        manager: Manager::OpenRc,
        ..UnitText::default()
    })
}

/// The value of a double-quoted assignment at the beginning of a line.
fn assigned(script: &str, name: &str) -> Option<String> {
    let start = format!("{name}=");
    let line = script
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(&start))?;
    let value = line.strip_prefix('"').unwrap_or(line);
    Some(value.split('"').next().unwrap_or(value).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "#!/sbin/openrc-run\n\nsupervisor=supervise-daemon\nname=k3s\ncommand=\"/usr/local/bin/k3s\"\n\
        command_args=\"server \\\n    '--cluster-init' \\\n    '--token' \\\n    'abc' \\\n    >>/var/log/k3s.log 2>&1\"\n\n\
        set -o allexport\nif [ -f /etc/environment ]; then . /etc/environment; fi\n\
        if [ -f /etc/rancher/k3s/k3s.env ]; then . /etc/rancher/k3s/k3s.env; fi\nset +o allexport\n";

    #[test]
    fn the_installers_script_is_read() {
        let unit = parse("/etc/init.d/k3s", SCRIPT).unwrap();
        let argv = [
            "/usr/local/bin/k3s",
            "server",
            "--cluster-init",
            "--token",
            "abc",
        ];
        assert_eq!(unit.argv, argv);
        assert_eq!(
            unit.environment_files,
            ["/etc/environment", "/etc/rancher/k3s/k3s.env"]
        );
        assert_eq!(unit.id, "k3s");
    }

    proptest::proptest! {
        #[test]
        fn fuzz_an_init_script(
            command in "[\\PC\"'\\\\]{0,20}",
            lines in proptest::collection::vec("(command=|command_args=|\\. /|source /| *)[\\PC\t\r\"'\\\\;>]{0,30}(\\\\\n)?", 0..8),
        ) {
            let script = format!("command=\"{command}\"\n{}", lines.join("\n"));
            if let Some(unit) = parse("/etc/init.d/k3s", &script) {
                let value = command.split('"').next().unwrap_or_default().trim();
                proptest::prop_assert_eq!(unit.argv.first().map(String::as_str), Some(value));
                proptest::prop_assert!(unit.environment_files.iter().all(|file| file.is_absolute()));
            }
        }
    }
}
