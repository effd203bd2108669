//! The command line of the k3s binary.

use std::time::Duration;

use super::kubectl::Kubectl;
use super::token::is_bootstrap;

/// What a `k3s …` command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `--version`
    Version,
    /// `kubectl …`
    Kubectl(Kubectl),
    /// `etcd-snapshot save --name N`
    SaveSnapshot {
        /// Before the node's name and the time.
        name: String,
    },
    /// `secrets-encrypt status`
    EncryptionStatus,
    /// `token rotate …`
    Rotate(Rotate),
    /// `token create …`
    CreateToken(CreateToken),
    /// `token list`
    ListTokens,
    /// `token delete ID…`
    DeleteTokens {
        /// Which.
        ids: Vec<String>,
        /// `--kubeconfig`
        kubeconfig: Option<String>,
        /// `--data-dir`
        data_dir: Option<String>,
    },
    /// `server …` or `agent …`: the arguments, that one included.
    Serve(Vec<String>),
}

/// The flags of `token rotate`, which reads no configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// `--server`
    pub server: String,
    /// `--token`; without it `server/token` is read.
    pub token: Option<String>,
    /// `--new-token`; empty when it is to be drawn.
    pub new: String,
    /// `--data-dir`
    pub data_dir: String,
}

/// The flags of `token create`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateToken {
    /// How long it lives; `None` for ever.
    pub ttl: Option<Duration>,
    /// What it is for.
    pub description: String,
    /// `--kubeconfig`
    pub kubeconfig: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// The token itself, `id.secret`, when it is not to be drawn.
    pub token: Option<String>,
}

impl Default for Rotate {
    fn default() -> Self {
        Self {
            server: "https://127.0.0.1:6443".to_owned(),
            token: None,
            new: String::new(),
            data_dir: "/var/lib/rancher/k3s".to_owned(),
        }
    }
}

impl Call {
    /// Reads the arguments after the binary; `None` when this model has no such command.
    #[must_use]
    pub fn parse(args: &[String]) -> Option<Self> {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["--version" | "-v"] => Some(Self::Version),
            ["kubectl", rest @ ..] => Kubectl::parse(rest).map(Self::Kubectl),
            [told, "kubectl", rest @ ..] => {
                let data_dir = Some(told.strip_prefix("--data-dir=")?.to_owned());
                let call = Kubectl::parse(rest)?;
                Some(Self::Kubectl(Kubectl { data_dir, ..call }))
            }
            ["etcd-snapshot", "save", rest @ ..] => snapshot(rest),
            ["secrets-encrypt", "status", rest @ ..] => {
                flags(rest)?.is_empty().then_some(Self::EncryptionStatus)
            }
            ["token", "rotate", rest @ ..] => rotate(rest),
            ["token", "create", rest @ ..] => create(rest),
            ["token", "delete", rest @ ..] => delete(rest),
            ["token", "list"] => Some(Self::ListTokens),
            ["server" | "agent", ..] => Some(Self::Serve(args.to_vec())),
            _ => None,
        }
    }

    /// Whether the binary unpacks itself for this where it knows of the unit's data directory by what it is told alone.
    #[must_use]
    pub fn unpacks(&self) -> bool {
        matches!(
            self,
            Self::Kubectl(_) | Self::CreateToken(_) | Self::DeleteTokens { .. }
        )
    }

    /// The data directory that such a call is told of.
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        match self {
            Self::Kubectl(Kubectl { data_dir, .. })
            | Self::CreateToken(CreateToken { data_dir, .. })
            | Self::DeleteTokens { data_dir, .. } => data_dir.as_deref(),
            _ => None,
        }
    }
}

/// Pairs of flag and value, written with `=` or a space; `None` when a value is missing.
fn flags<'a>(words: &[&'a str]) -> Option<Vec<(&'a str, &'a str)>> {
    let mut pairs = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        pairs.push(match word.split_once('=') {
            Some((flag, value)) => (flag, value),
            None => (*word, *rest.next()?),
        });
    }
    Some(pairs)
}

/// The name of a snapshot; the data directory is known from the configuration as well.
fn snapshot(words: &[&str]) -> Option<Call> {
    let mut name = None;
    for (flag, value) in flags(words)? {
        match flag {
            "--name" => name = Some(value.to_owned()),
            "--data-dir" | "-d" | "--etcd-snapshot-dir" | "--etcd-server" => {}
            _ => return None,
        }
    }
    Some(Call::SaveSnapshot { name: name? })
}

fn rotate(words: &[&str]) -> Option<Call> {
    let mut wanted = Rotate::default();
    for (flag, value) in flags(words)? {
        let value = value.to_owned();
        match flag {
            "--server" | "-s" => value.trim_end_matches('/').clone_into(&mut wanted.server),
            "--token" | "-t" => wanted.token = Some(value),
            "--new-token" => wanted.new = value,
            "--data-dir" | "-d" => wanted.data_dir = value,
            _ => return None,
        }
    }
    Some(Call::Rotate(wanted))
}

fn create(words: &[&str]) -> Option<Call> {
    let mut wanted = CreateToken {
        ttl: Some(Duration::from_hours(24)),
        description: String::new(),
        kubeconfig: None,
        data_dir: None,
        token: None,
    };
    let mut words = words;
    if let [rest @ .., last] = words
        && is_bootstrap(last)
    {
        (words, wanted.token) = (rest, Some((*last).to_owned()));
    }
    for (flag, value) in flags(words)? {
        match flag {
            "--ttl" => wanted.ttl = Some(duration(value)?).filter(|ttl| !ttl.is_zero()),
            "--description" => value.clone_into(&mut wanted.description),
            "--kubeconfig" => wanted.kubeconfig = Some(value.to_owned()),
            "--data-dir" | "-d" => wanted.data_dir = Some(value.to_owned()),
            _ => return None,
        }
    }
    Some(Call::CreateToken(wanted))
}

/// Flags stand before the ids.
fn delete(words: &[&str]) -> Option<Call> {
    let (mut ids, mut data_dir, mut kubeconfig) = (words, None, None);
    while let [flag, rest @ ..] = ids
        && flag.starts_with('-')
    {
        let (name, value) = flag.split_once('=')?;
        match name {
            "--data-dir" => data_dir = Some(value.to_owned()),
            "--kubeconfig" => kubeconfig = Some(value.to_owned()),
            _ => return None,
        }
        ids = rest;
    }
    let is_fine = !ids.is_empty() && ids.iter().all(|id| !id.starts_with('-'));
    is_fine.then(|| Call::DeleteTokens {
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        kubeconfig,
        data_dir,
    })
}

/// A number with one unit, such as `10m`.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = if text == "0" { 0 } else { number.parse().ok()? };
    match unit {
        "s" | "0" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_mins(number)),
        "h" => Some(Duration::from_hours(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Option<Call> {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Call::parse(&args)
    }

    #[test]
    fn a_snapshot_is_named_with_or_without_a_data_directory() {
        let name = "a".to_owned();
        let wanted = Some(Call::SaveSnapshot { name });
        for line in [
            "--name a",
            "--name=a",
            "--name a --data-dir=/data",
            "-d /data --name=a",
        ] {
            assert_eq!(
                call(&format!("etcd-snapshot save {line}")),
                wanted,
                "{line}"
            );
        }
    }

    #[test]
    fn a_rotate_has_its_four_flags_in_both_forms() {
        let wanted = Rotate {
            server: "https://10.0.1.1:6443".to_owned(),
            token: Some("a".to_owned()),
            new: "b".to_owned(),
            data_dir: "/data".to_owned(),
        };
        for line in [
            "--server https://10.0.1.1:6443/ --token a --new-token b --data-dir /data",
            "-s=https://10.0.1.1:6443 -t=a --new-token=b -d=/data",
        ] {
            let found = call(&format!("token rotate {line}"));
            assert_eq!(found, Some(Call::Rotate(wanted.clone())), "{line}");
        }
        assert_eq!(call("token rotate"), Some(Call::Rotate(Rotate::default())));
    }

    #[test]
    fn a_token_lives_as_long_as_it_is_told() {
        let ttl = |line: &str| match call(line) {
            Some(Call::CreateToken(wanted)) => wanted.ttl.map(|ttl| ttl.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(ttl("token create --ttl 10m --description D"), Some(600));
        assert_eq!(ttl("token create"), Some(86_400));
        assert_eq!(ttl("token create --ttl=0"), None);
        assert_eq!(call("token create --ttl soon"), None);
        let text = "abcdef.0123456789abcdef";
        let named = match call(&format!("token create --ttl=1h {text}")) {
            Some(Call::CreateToken(wanted)) => wanted.token,
            other => panic!("{other:?}"),
        };
        assert_eq!(named.as_deref(), Some(text));
    }

    #[test]
    fn tokens_are_deleted_by_their_ids() {
        let wanted = |ids: &[&str], kubeconfig: Option<&str>| {
            Some(Call::DeleteTokens {
                ids: ids.iter().map(|id| (*id).to_owned()).collect(),
                kubeconfig: kubeconfig.map(str::to_owned),
                data_dir: kubeconfig.map(|_| "/data".to_owned()),
            })
        };
        let found = call("token delete --data-dir=/data --kubeconfig=/a abc123 def456");
        assert_eq!(found, wanted(&["abc123", "def456"], Some("/a")));
        assert_eq!(call("token delete abc123"), wanted(&["abc123"], None));
        assert_eq!(call("token delete"), None);
    }

    #[test]
    fn what_is_not_modelled_is_not_guessed() {
        assert_eq!(call("kubectl delete node x"), None);
        assert_eq!(call("etcd-snapshot save --s3 --name a"), None);
        assert_eq!(call("certificate rotate-ca"), None);
        assert_eq!(call("token rotate --help"), None);
        assert_eq!(call("secrets-encrypt rotate-keys"), None);
    }
}
