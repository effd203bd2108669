//! How a command that is told of names the same hosts, with all of this one's words that apply to it.

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;

use super::{ExtraVar, FORKS, Glance, Hosts, Nodes, Perform, Reach, Run, Unshown, View};
use crate::model::SameHosts;

impl Run {
    /// `None` when a word cannot be written for a shell.
    #[must_use]
    pub fn same_hosts(&self) -> Option<SameHosts> {
        let Perform {
            reach,
            forks,
            nodes,
            old_token_from,
            // What the first run's reader or operator chose for that run alone.
            json: _,
            yes: _,
            verbose: _,
            state_dir,
            pace,
        } = &self.perform;
        let mut words = Words::of(&self.books.hosts);
        words.view(reach, *forks, state_dir.as_ref());
        let looking = words.line()?;
        words.nodes(nodes);
        let old = old_token_from.as_ref().and_then(|from| from.get().ok());
        words.value("--old-token-from", old.as_ref());
        let pace = pace.as_ref().and_then(clap::ValueEnum::to_possible_value);
        words.value(
            "--pace",
            pace.map(|pace| pace.get_name().to_owned()).as_ref(),
        );
        let performing = words.line()?;
        Some(SameHosts {
            looking,
            performing,
        })
    }
}

impl Glance {
    /// `None` when a word cannot be written for a shell.
    #[must_use]
    pub fn same_hosts(&self) -> Option<SameHosts> {
        let View {
            reach,
            forks,
            json: _,
            state_dir,
        } = &self.view;
        let mut words = Words::of(&self.hosts);
        words.view(reach, *forks, state_dir.as_ref());
        let looking = words.line()?;
        words.nodes(&self.nodes);
        let performing = words.line()?;
        Some(SameHosts {
            looking,
            performing,
        })
    }
}

struct Words(Vec<String>);

impl Words {
    /// Which hosts, without a limit: what was left out is looked at too.
    fn of(hosts: &Hosts) -> Self {
        let Hosts {
            inventory,
            limit: _,
            extra_vars,
        } = hosts;
        let mut words = Self(Vec::new());
        words.value("-i", Some(inventory));
        let given = extra_vars.iter().map(Unshown::get);
        for extra in given.filter_map(Result::<ExtraVar, _>::ok) {
            words.value("-e", Some(&extra));
        }
        words
    }

    fn line(&self) -> Option<String> {
        shlex::try_join(self.0.iter().map(String::as_str)).ok()
    }

    fn value(&mut self, name: &str, value: Option<&impl ToString>) {
        let Some(value) = value.map(ToString::to_string) else {
            return;
        };
        // Else it would be taken for an option itself.
        if value.starts_with('-') {
            let equals = if name.starts_with("--") { "=" } else { "" };
            self.0.push(format!("{name}{equals}{value}"));
        } else {
            self.0.extend([name.to_owned(), value]);
        }
    }

    fn switch(&mut self, name: &str, is_on: bool) {
        self.0.extend(is_on.then(|| name.to_owned()));
    }

    fn nodes(&mut self, nodes: &Nodes) {
        let Nodes {
            expect_unmanaged,
            ignore_node,
        } = nodes;
        for pattern in expect_unmanaged {
            self.value("--expect-unmanaged", Some(pattern));
        }
        for name in ignore_node {
            self.value("--ignore-node", Some(name));
        }
    }

    fn view(&mut self, reach: &Reach, forks: NonZeroUsize, state_dir: Option<&Utf8PathBuf>) {
        self.reach(reach);
        let forks = Some(forks.to_string()).filter(|forks| forks != FORKS);
        self.value("-f", forks.as_ref());
        self.value("--state-dir", state_dir);
    }

    fn reach(&mut self, reach: &Reach) {
        let Reach {
            user,
            private_key,
            r#become,
            ask_become_pass,
            become_password_file,
            ssh_config,
            ssh_common_args,
        } = reach;
        self.value("-u", user.as_ref());
        self.value("--private-key", private_key.as_ref());
        self.switch("-b", *r#become);
        self.switch("-K", *ask_become_pass);
        self.value("--become-password-file", become_password_file.as_ref());
        self.value("-F", ssh_config.as_ref());
        self.value("--ssh-common-args", ssh_common_args.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};

    fn parsed(line: &str) -> Command {
        let words = shlex::split(line).unwrap();
        let cli = Cli::try_parse_from(words);
        cli.unwrap_or_else(|error| panic!("{line}: {error}"))
            .command
    }

    /// What is left of a run's command line in the suggested one, which must be one.
    fn kept(line: &str) -> (super::Perform, String) {
        let Command::Run(run) = parsed(line) else {
            panic!("{line}")
        };
        let same = run.same_hosts().unwrap();
        let back = format!("keyroll rollback {}", same.performing);
        let Command::Rollback(rollback) = parsed(&back) else {
            panic!("{back}")
        };
        assert_eq!(rollback.mend.inventory, run.books.hosts.inventory, "{back}");
        let extra = |all: &[super::Unshown<super::ExtraVar>]| format!("{all:?}");
        assert_eq!(
            extra(&rollback.mend.extra_vars),
            extra(&run.books.hosts.extra_vars),
            "{back}"
        );
        for verb in ["where", "doctor --hosts", "token age"] {
            parsed(&format!("keyroll {verb} {}", same.looking));
        }
        assert!(!rollback.mend.check);
        assert_eq!(
            format!("{:?}", rollback.mend.perform),
            format!("{:?}", run.perform),
            "{back}"
        );
        (rollback.mend.perform, back)
    }

    #[test]
    fn every_word_about_hosts_and_folders_stays() {
        let (perform, _) = kept(
            "keyroll run @rotate-token -i 'my hosts.yml' -u admin --private-key 'a key' -b -K -F ssh.conf \
             --ssh-common-args '-o ProxyJump=x' -f 3 --expect-unmanaged 'spot-*' --expect-unmanaged=-x \
             --ignore-node gone --old-token-from \"exec:pass 'old k3s'\" --state-dir sd2 --pace 10x -e ansible_user=op -e '{\"ansible_port\": 2222}' \
             -e \"a='b c' d=e\"",
        );
        assert_eq!(perform.forks.get(), 3);
        assert_eq!(perform.nodes.expect_unmanaged, ["spot-*", "-x"]);
        kept("keyroll run b.yml -i h -u-x --become-password-file 'it'\\''s'");
        let (_, back) = kept("keyroll run b.yml -i=-h");
        assert!(back.starts_with("keyroll rollback -i-h"), "{back}");
    }

    #[test]
    fn what_is_not_said_is_not_suggested() {
        let line = "keyroll run @rotate-token -i hosts.yml --state-dir s -l agent -C -vv -y --json";
        let Command::Run(run) = parsed(line) else {
            panic!()
        };
        let same = run.same_hosts().unwrap();
        assert_eq!(same.performing, "-i hosts.yml --state-dir s");
        assert_eq!(same.looking, same.performing);
    }
}
