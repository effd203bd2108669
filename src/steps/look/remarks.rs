//! What is said of a set-up beside the surfaces themselves: what holds the same token, who can read it, and whether the
//! running process was started from what stands there now.

use std::collections::BTreeSet;

use super::Seen;
use crate::k3s::install::Fault;
use crate::k3s::surface::{Place, Surface};
use crate::k3s::token::Token;
use crate::secret::Secret;

impl Seen {
    /// The line of a surface's token, from 1; `None` when the file was not read.
    #[must_use]
    pub fn line(&self, surface: &Surface) -> Option<usize> {
        let head = self
            .file(&surface.file)?
            .bytes()
            .get(..surface.slot.range.start)?;
        Some(head.split(|byte| *byte == b'\n').count())
    }

    /// `FILE:LINE` of a surface's token.
    #[must_use]
    pub fn place(&self, surface: &Surface) -> String {
        match self.line(surface) {
            Some(line) => format!("{}:{line}", surface.file),
            None => surface.file.to_string(),
        }
    }

    /// Why nobody can say which CA it trusts; `None` where it can be said.
    #[must_use]
    pub fn unread_ca(&self) -> Option<String> {
        self.ca_hash().is_none().then(|| {
            format!(
                "{} has no certificate in {} that can be read: which CA it trusts cannot be told",
                self.host,
                self.install.ca()
            )
        })
    }

    /// An argument or a token that the process runs with and that stands in no place where keyroll looked.
    #[must_use]
    pub fn hidden(&self) -> Option<Fault> {
        self.hidden_arguments().or_else(|| self.hidden_token())
    }

    /// systemd's own settings give variables to units as well.
    fn hidden_arguments(&self) -> Option<Fault> {
        let environment = self.environment.as_ref()?;
        let is_set = |name: &&String| {
            let mut all = environment.iter();
            all.any(|(known, value)| known == *name && !value.is_empty())
        };
        let name = self.install.unset.iter().find(is_set)?;
        let (id, host) = (&self.unit.text.id, &self.host);
        Some(Fault {
            name: "arguments-from-variables",
            what: format!(
                "{id} on {host} starts K3s with the variable {name} among its arguments, which its process has and its unit does not set"
            ),
            next: format!(
                "find what sets {name} (systemctl show-environment, DefaultEnvironment=), and write it into an EnvironmentFile of {id}"
            ),
        })
    }

    fn hidden_token(&self) -> Option<Fault> {
        self.token_of_process()?;
        let mut places = self.install.surfaces.iter().map(|surface| surface.place);
        let shown = places.any(|place| matches!(place, Place::EnvFile | Place::UnitEnvironment));
        (!shown && !self.is_newer_than_process()).then(|| Fault {
            name: "token-hidden",
            what: format!(
                "{} on {} runs with a K3S_TOKEN that neither its unit nor its environment files set",
                self.unit.text.id, self.host
            ),
            next: format!("find what sets it (systemctl show-environment, PassEnvironment=, PAM), and write it into an EnvironmentFile of {}", self.unit.text.id),
        })
    }

    /// What the operator does about a unit that does not run and that nothing is known to be wrong with.
    #[must_use]
    pub fn to_start_it(&self) -> String {
        let (id, host) = (&self.unit.text.id, &self.host);
        format!(
            "systemctl start {id} on {host}; when it does not come up: journalctl -u {id} -n 50"
        )
    }

    /// What people should know, none of which stands in the way.
    #[must_use]
    pub fn remarks(&self) -> Vec<Fault> {
        let mut remarks = self.install.remarks.clone();
        remarks.extend(self.same_token());
        let mut files = BTreeSet::new();
        let both = self.install.all_surfaces();
        let each = both.filter(|surface| files.insert(&surface.file));
        remarks.extend(each.filter_map(|surface| self.exposed(surface)));
        if self.unit.is_active() && (self.is_newer_than_process() || self.was_started_otherwise()) {
            let id = &self.unit.text.id;
            remarks.push(Fault {
                name: "newer-than-process",
                what: format!("the configuration was changed after {id} started: what is said here holds from its next start on"),
                next: String::new(),
            });
        }
        remarks
    }

    /// More than one place with the winner's secret.
    #[must_use]
    pub fn same_token(&self) -> Option<Fault> {
        let winner = self.install.winner()?;
        let same = |surface: &&Surface| surface.token.secret == winner.token.secret;
        let others = self.install.surfaces.iter().skip(1).filter(same);
        let places: Vec<String> = others.map(|surface| self.place(surface)).collect();
        (!places.is_empty()).then(|| Fault {
            name: "several-surfaces",
            what: format!(
                "{} has the same token in {} and in {}",
                self.host,
                self.place(winner),
                places.join(" and in ")
            ),
            next: "a rotation edits all of them; one is enough".to_owned(),
        })
    }

    fn exposed(&self, surface: &Surface) -> Option<Fault> {
        let stat = self.stats.get(&surface.file)?.as_ref()?;
        // What nobody can edit is refused, and that says who can read it.
        let is_fixed = surface.file.starts_with(crate::k3s::install::NIX_STORE);
        (stat.mode & 0o077 != 0 && !is_fixed).then(|| Fault {
            name: "others-can-read",
            what: format!(
                "{} has mode {:04o}; a rotation of the token in it narrows it",
                surface.file, stat.mode
            ),
            next: String::new(),
        })
    }

    /// Whether anything that its settings are read from was changed after the process started.
    #[must_use]
    pub fn is_newer_than_process(&self) -> bool {
        let own = self.install.data("server/token");
        let text = &self.unit.text;
        let files = self.install.sources.files.iter();
        let files = files.chain(&text.environment_files).chain(&text.texts);
        let mut changed = files
            .filter(|path| **path != own)
            .filter_map(|path| Some(self.stats.get(path)?.as_ref()?.ctime));
        self.unit.needs_reload || changed.any(|changed| !self.started_after(changed))
    }

    /// Whether the environment that the process was started with has another token than it would have now.
    fn was_started_otherwise(&self) -> bool {
        let is_environment =
            |surface: &&Surface| matches!(surface.place, Place::EnvFile | Place::UnitEnvironment);
        let now = self.install.surfaces.iter().find(is_environment);
        match (self.token_of_process(), now) {
            (Some(then), Some(now)) => then != now.token.secret,
            _ => false,
        }
    }

    fn token_of_process(&self) -> Option<Secret> {
        let variables = self.environment.as_ref()?;
        let (_, value) = variables.iter().find(|(name, _)| name == "K3S_TOKEN")?;
        Token::parse(value).ok().map(|token| token.secret)
    }
}
