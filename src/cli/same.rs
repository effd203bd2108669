//! The command that takes back what a run has left half done, with all of the run's words that apply to it.

use super::{FORKS, Perform, Reach, Run};

impl Run {
    /// The command line; `None` when a word of it cannot be written for a shell.
    #[must_use]
    pub fn rollback_line(&self) -> Option<String> {
        let mut words = Words(vec!["keyroll".to_owned(), "rollback".to_owned()]);
        words.value("-i", Some(&self.books.hosts.inventory));
        words.perform(&self.perform);
        shlex::try_join(words.0.iter().map(String::as_str)).ok()
    }
}

struct Words(Vec<String>);

impl Words {
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

    fn perform(&mut self, perform: &Perform) {
        let Perform {
            reach,
            forks,
            expect_unmanaged,
            ignore_node,
            // What the first run's reader or operator chose for that run alone.
            json: _,
            yes: _,
            verbose: _,
            state_dir,
            pace,
        } = perform;
        self.reach(reach);
        let forks = Some(forks.to_string()).filter(|forks| forks != FORKS);
        self.value("-f", forks.as_ref());
        for pattern in expect_unmanaged {
            self.value("--expect-unmanaged", Some(pattern));
        }
        for name in ignore_node {
            self.value("--ignore-node", Some(name));
        }
        self.value("--state-dir", state_dir.as_ref());
        let pace = pace.as_ref().and_then(clap::ValueEnum::to_possible_value);
        self.value(
            "--pace",
            pace.map(|pace| pace.get_name().to_owned()).as_ref(),
        );
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
        let back = run.rollback_line().unwrap();
        let Command::Rollback(rollback) = parsed(&back) else {
            panic!("{back}")
        };
        assert_eq!(rollback.mend.inventory, run.books.hosts.inventory, "{back}");
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
             --ignore-node gone --state-dir sd2 --pace 10x",
        );
        assert_eq!(perform.forks.get(), 3);
        assert_eq!(perform.expect_unmanaged, ["spot-*", "-x"]);
        kept("keyroll run b.yml -i h -u-x --become-password-file 'it'\\''s'");
        let (_, back) = kept("keyroll run b.yml -i=-h");
        assert!(back.starts_with("keyroll rollback -i-h"), "{back}");
    }

    #[test]
    fn what_is_not_said_is_not_suggested() {
        let line = "keyroll run @rotate-token -i hosts.yml --state-dir s -l agent -e a=1 -C -vv -y";
        let Command::Run(run) = parsed(line) else {
            panic!()
        };
        let back = run.rollback_line();
        assert_eq!(
            back.as_deref(),
            Some("keyroll rollback -i hosts.yml --state-dir s")
        );
    }
}
