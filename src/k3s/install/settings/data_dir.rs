//! The data directory. A flag and the configuration say it to every version; a variable only to newer ones.

use camino::Utf8PathBuf;

use super::super::reader::Reader;
use super::super::{DATA_DIR, Fault};
use super::{Setting, Settings};
use crate::k3s::surface::Place;

/// Of the variable.
const SINCE: &str = "K3s heeds it since v1.27.16, v1.28.12, v1.29.7 and v1.30.3";

impl Settings {
    pub(super) fn data_dir(&self, reader: &mut Reader<'_>) -> Utf8PathBuf {
        let set = self.all("data-dir", "K3S_DATA_DIR").into_iter().next();
        let heeded = |set: &Setting| !set.value.is_empty() && heeded(set, reader);
        let set = set.filter(heeded);
        set.map_or_else(|| DATA_DIR.into(), |set| set.value.into())
    }
}

/// Whether the version that is installed takes it. Until that is known it is asked for.
fn heeded(set: &Setting, reader: &mut Reader<'_>) -> bool {
    let is_variable = matches!(set.place, Place::EnvFile | Place::UnitEnvironment);
    if !is_variable || set.value == DATA_DIR {
        return true;
    }
    let Setting { value, file, .. } = set;
    match &reader.known.version {
        None => {
            reader.wanted.version = true;
            true
        }
        Some(Ok(version)) if version.heeds_data_dir() => true,
        Some(Ok(version)) => {
            reader.remarks.push(Fault {
                name: "data-dir-not-heeded",
                what: format!(
                    "{file} sets K3S_DATA_DIR to {value}, which K3s {version} passes over: its data is in {DATA_DIR}; {SINCE}, and \
                     would then start with an empty data directory"
                ),
                next: format!("take K3S_DATA_DIR out of {file} before K3s is upgraded"),
            });
            false
        }
        Some(Err(why)) => {
            let what = format!(
                "{file} sets K3S_DATA_DIR to {value}, and whether this K3s heeds it is not known ({SINCE}): {why}"
            );
            let next = format!(
                "see which of {value} and {DATA_DIR} has `server/token` or `agent` that change; name that one as `data-dir:` in \
                 the configuration, or take the variable out of {file}"
            );
            reader.fault("data-dir-not-certain", what, next);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k3s::install::tests::host;
    use crate::k3s::install::{CONFIG, Install};
    use crate::k3s::version::Version;

    const ENV: &str = "/etc/systemd/system/k3s.service.env";

    fn named(faults: &[Fault]) -> Vec<&'static str> {
        faults.iter().map(|fault| fault.name).collect()
    }

    fn seen(install: &Install) -> (&str, Vec<&'static str>, Vec<&'static str>) {
        let (faults, remarks) = (named(&install.faults), named(&install.remarks));
        (install.data_dir.as_str(), faults, remarks)
    }

    #[test]
    fn a_variable_counts_on_versions_that_heed_it() {
        let set = || host("k3s server").file(ENV, "K3S_DATA_DIR=/data\n");
        let of = |version: &str| {
            let version = Version::parse(version).unwrap();
            set().version(Ok(version)).install()
        };
        for version in ["v1.27.16", "v1.28.12", "v1.29.7", "v1.30.3", "v1.34.3"] {
            let install = of(version);
            assert_eq!(seen(&install), ("/data", vec![], vec![]), "{version}");
        }
        for version in ["v1.26.15", "v1.28.8", "v1.30.2"] {
            let install = of(version);
            let expected = (DATA_DIR, vec![], vec!["data-dir-not-heeded"]);
            assert_eq!(seen(&install), expected, "{version}");
            let said = &install.remarks[0].what;
            assert!(said.contains(ENV) && said.contains(version), "{said}");
        }
        let install = set().version(Err("it says nothing".to_owned())).install();
        let expected = ("/data", vec!["data-dir-not-certain"], vec![]);
        assert_eq!(seen(&install), expected);
        assert!(install.faults[0].what.ends_with("it says nothing"));
    }

    /// A version that is asked for and not told would fail these.
    #[test]
    fn what_every_version_heeds_asks_for_no_version() {
        let never = || Err("nobody asks".to_owned());
        for (argv, config, env, dir) in [
            ("k3s server --data-dir=/a", "", "K3S_DATA_DIR=/data\n", "/a"),
            ("k3s server", "data-dir: /b\n", "K3S_DATA_DIR=/data\n", "/b"),
            (
                "k3s server",
                "",
                "K3S_DATA_DIR=/var/lib/rancher/k3s\n",
                DATA_DIR,
            ),
            ("k3s server", "", "K3S_DATA_DIR=\n", DATA_DIR),
            ("k3s agent --server=https://a:6443", "", "", DATA_DIR),
        ] {
            let host = host(argv).file(CONFIG, config).file(ENV, env);
            let install = host.version(never()).install();
            assert_eq!(
                seen(&install),
                (dir, vec![], vec![]),
                "{argv} {config} {env}"
            );
        }
    }
}
