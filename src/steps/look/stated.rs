//! Where the operator's own inventory still has the old token: whatever deploys from it brings that one back.

use crate::facts::Probe;
use crate::secret::{Secret, Stated};

/// What the inventory says of this token, one sentence a place.
#[must_use]
pub fn stated(probe: &Probe<'_>, old: &Secret) -> Vec<String> {
    let said = |stated: &Stated| {
        let Stated { name, place, texts } = stated;
        let next = "change it before anything is deployed from there again";
        match texts {
            Some(texts) => texts
                .iter()
                .any(|text| text.expose().contains(old.expose()))
                .then(|| format!("{place}: `{name}` is the old token: {next}")),
            None => name.to_lowercase().contains("token").then(|| {
                format!("{place}: `{name}` is encrypted and was not compared: if it is the old token, {next}")
            }),
        }
    };
    probe
        .options()
        .words
        .stated
        .iter()
        .filter_map(said)
        .collect()
}
