//! A string that names a kept fleet: whether it asks for the fleet that is kept.

use std::collections::BTreeMap;

use super::{Datastore, Installer, Joins, Spec, SpecError, Surface};

/// What a fleet was raised with: each parameter that shapes it, and its value.
pub type Raised = BTreeMap<String, String>;

/// What one can do about a part that contradicts.
const NEXT: &str = "or remove that file for a fresh fleet, or name another";

impl Spec {
    /// What a fleet of this string is raised with.
    #[must_use]
    pub fn raised(&self) -> Raised {
        let shape = &self.shape;
        let known = |is: bool, value: &'static str| if is { value } else { "" };
        let surface = Surface::NAMES.iter().find(|(it, _)| *it == shape.surface);
        let installer = match shape.installer {
            Installer::Usual => "",
            Installer::Mixed => "mixed",
            Installer::One(dress) => dress.name,
        };
        let datastore = match self.datastore {
            Datastore::Sqlite => "sqlite",
            Datastore::Etcd => "etcd",
            Datastore::External => "external",
        };
        let all = [
            ("size", self.size()),
            ("datastore", datastore.to_owned()),
            ("seed", self.seed.to_string()),
            ("k3s", self.version.name().to_owned()),
            ("surface", surface.map_or("", |(_, name)| name).to_owned()),
            ("topology", known(shape.split, "split").to_owned()),
            ("joins", known(shape.joins == Joins::Vip, "vip").to_owned()),
            (
                "agent-token",
                known(shape.agent_token, "separate").to_owned(),
            ),
            (
                "disable-agent",
                known(shape.disable_agent, "yes").to_owned(),
            ),
            ("data-dir", shape.data_dir.clone()),
            ("unit", shape.unit.clone()),
            ("port", shape.port.to_string()),
            ("installer", installer.to_owned()),
        ];
        let all = all.into_iter();
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn size(&self) -> String {
        format!("{}+{}", self.servers, self.agents)
    }

    /// Whether a kept fleet is the one that the string asks for. What the string leaves out is as it is kept.
    ///
    /// # Errors
    /// The first part that contradicts what is kept.
    pub fn fits(&self, kept: &Raised) -> Result<(), SpecError> {
        let asked = self.raised();
        let (counts, parameters) = self.text.split_once('?').unwrap_or((&self.text, ""));
        let at = counts.find(':').map_or(0, |colon| colon + 1);
        self.agrees(("size", at..counts.len()), &asked, kept)?;
        let mut at = counts.len() + 1;
        for part in parameters.split('&') {
            let key = part.split('=').next().unwrap_or_default();
            if asked.contains_key(key) {
                self.agrees((key, at..at + part.len()), &asked, kept)?;
            }
            at += part.len() + 1;
        }
        Ok(())
    }

    fn agrees(
        &self,
        (key, place): (&str, std::ops::Range<usize>),
        asked: &Raised,
        kept: &Raised,
    ) -> Result<(), SpecError> {
        let file = self.state.as_deref().map_or("", |path| path.as_str());
        let known = kept.get(key).map(String::as_str);
        if known == asked.get(key).map(String::as_str) {
            return Ok(());
        }
        let (what, help) = match (key, known) {
            ("size", Some(size)) => (
                format!("{file} keeps a fleet of {size}"),
                format!("write sim:{size}, {NEXT}"),
            ),
            (_, None) => (
                format!("{file} does not say what its fleet was raised with"),
                format!("leave `{key}` out, {NEXT}"),
            ),
            (_, Some("")) => (
                format!("{file} keeps a fleet without `{key}`"),
                format!("leave `{key}` out, {NEXT}"),
            ),
            (_, Some(other)) => (
                format!("{file} keeps a fleet with `{key}={other}`"),
                format!("leave `{key}` out, {NEXT}"),
            ),
        };
        Err(SpecError {
            what,
            help,
            text: self.text.clone(),
            at: (place.start, place.len()).into(),
        })
    }
}
