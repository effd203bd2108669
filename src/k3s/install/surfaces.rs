//! The places that hold a token, strongest first, and the bytes of it in each.

use camino::{Utf8Path, Utf8PathBuf};

use super::reader::Reader;
use super::settings::{Setting, Settings};
use super::{Fault, Kind};
use crate::k3s::surface::{EMPTY, Place, Position, Surface, unit};
use crate::k3s::token::Token;
use crate::secret::Secret;

/// Flag and variable of a token; those of its file end in `-file` and `_FILE`.
const TOKEN: (&str, &str) = ("token", "K3S_TOKEN");
const AGENT_TOKEN: (&str, &str) = ("agent-token", "K3S_AGENT_TOKEN");

impl Settings {
    pub(super) fn surfaces(
        &self,
        kind: Kind,
        data_dir: &Utf8Path,
        reader: &mut Reader<'_>,
    ) -> Vec<Surface> {
        if !self.all("cluster-secret", "K3S_CLUSTER_SECRET").is_empty() {
            reader.fault(
                "cluster-secret",
                "it uses the deprecated cluster-secret",
                "use token instead, then run again",
            );
        }
        let mut found = self.tokens(TOKEN, reader);
        if found.is_empty() && kind == Kind::Server {
            let path = data_dir.join("server/token");
            if let Some(text) = reader.text(&path) {
                found.push(Setting::of_file(&text, Place::ServerToken, path));
            }
        }
        let surfaces = found.into_iter();
        surfaces
            .filter_map(|set| surface(set, TOKEN, reader))
            .collect()
    }

    /// Those of a server's own agent token, what keeps one of them from being edited, and what the strongest holds.
    pub(super) fn agent_surfaces(
        &self,
        kind: Kind,
        reader: &mut Reader<'_>,
    ) -> (Vec<Surface>, Vec<Fault>, Option<Secret>) {
        if kind == Kind::Agent {
            return (Vec::new(), Vec::new(), None);
        }
        let found = self.tokens(AGENT_TOKEN, reader);
        let winner = found
            .first()
            .and_then(|set| Token::parse(set.value.trim()).ok());
        let before = reader.faults.len();
        let surfaces = found.into_iter();
        let surfaces = surfaces
            .filter_map(|set| surface(set, AGENT_TOKEN, reader))
            .collect();
        let faults = reader.faults.split_off(before);
        (surfaces, faults, winner.map(|token| token.secret))
    }

    /// All that set a token: the file that is named wins, wherever it is named, then literal values.
    fn tokens(&self, (flag, variable): (&str, &str), reader: &mut Reader<'_>) -> Vec<Setting> {
        let mut found = Vec::new();
        let files = self.all(&format!("{flag}-file"), &format!("{variable}_FILE"));
        // Only the strongest names the file that is read.
        for set in files
            .into_iter()
            .take(1)
            .filter(|set| !set.value.is_empty())
        {
            let path = Utf8PathBuf::from(&set.value);
            match reader.text(&path) {
                Some(text) => found.push(Setting::of_file(&text, Place::TokenFile, path)),
                None if reader.is_absent(&path) => reader.fault(
                    "token-file-missing",
                    format!("{} names {path} as its {flag}-file, which is not there: K3s would wait for it for ever", set.file),
                    format!("put the cluster's token into {path}, or remove the setting"),
                ),
                None => {}
            }
        }
        found.extend(self.all(flag, variable));
        // An empty value says nothing, unless it hides another one.
        let has_value = found.iter().any(|set| !is_unset(set));
        let mut first = true;
        found.retain(|set| std::mem::take(&mut first) && has_value || !is_unset(set));
        found
            .into_iter()
            .flat_map(|set| self.spread(set, reader))
            .collect()
    }

    /// Unit text is spread over the unit file and its drop-ins; the last that names the value is the one that counts,
    /// and each of them is edited.
    fn spread(&self, set: Setting, reader: &mut Reader<'_>) -> Vec<Setting> {
        if !set.place.is_unit_text() {
            return vec![set];
        }
        let mut found = Vec::new();
        for path in self.texts.iter().rev() {
            let Some(text) = reader.text(path).filter(|text| text.contains(&set.value)) else {
                continue;
            };
            let setting = match set.place {
                Place::Argument => "ExecStart",
                _ => "Environment",
            };
            let slot = unit::slot(&text, setting, &set.value);
            let first = text.find(&set.value).unwrap_or_default();
            let start = slot.as_ref().map_or(first, |slot| slot.range.start);
            found.push(Setting {
                value: set.value.clone(),
                place: set.place,
                file: path.clone(),
                at: Some(Position::of_byte(text.as_bytes(), start)),
                slot,
            });
        }
        if found.is_empty() { vec![set] } else { found }
    }
}

/// Whether a setting has nothing as its value, for K3s too: it then does as if nothing were configured.
fn is_unset(set: &Setting) -> bool {
    let is_read = set
        .slot
        .as_ref()
        .map_or_else(|shape| *shape == EMPTY, |_| true);
    set.value.is_empty() && (is_read || set.place.is_unit_text())
}

fn surface(
    set: Setting,
    (flag, variable): (&str, &str),
    reader: &mut Reader<'_>,
) -> Option<Surface> {
    let file = set.file;
    let at = set.at.map_or(String::new(), |at| format!(":{at}"));
    let slot = match set.slot {
        Ok(slot) => slot,
        Err(shape) => {
            reader.fault(
                "token-not-editable",
                format!("{file}{at}: the {flag} is {shape}, and cannot be edited exactly"),
                set.place.advice(&file, flag, variable),
            );
            return None;
        }
    };
    match Token::parse(&set.value) {
        Ok(token) => Some(Surface {
            place: set.place,
            file,
            slot,
            token,
        }),
        Err(error) => {
            reader.fault(
                "token-malformed",
                format!("{file}{at}: the {flag}: {error}"),
                format!("repair it in {file}"),
            );
            None
        }
    }
}
