//! What brings a server back that does not start: judged from its files and from the last words of its journal.
//!
//! Each case is a row of what was measured (sqlite-wrong-token, external-postgres, ha-rescue-peers-old, ha-cure2,
//! ha-first-server-and-unconfigured, ha-no-token-configured, ha-member-away, ha-restore). What is none of them is
//! refused with what was seen.

use super::journal;
use super::phase::Standing;
use crate::secret::Secret;

/// What the last attempt to start ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `passwd newer than datastore`: fatal at every start, whatever the token.
    Newer,
    /// `encrypted with different token`, or a peer that does not accept the token.
    OtherToken,
}

/// What a unit's journal gives away since it last started well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Of the last attempt.
    pub last: Option<Sign>,
    /// Whether the server that this one joins refused its token, or did not help for a reason that is not said.
    pub peer_refuses: bool,
    /// Whether its own data were read: where it joins another server, since that did not help. Data of a member that was away
    /// are of before.
    pub alone: bool,
    /// Whether that server accepted it, and the datastore did not (the first stage of the two-stage trap).
    pub late: bool,
    /// The last line that says something, for people.
    pub line: Option<String>,
}

impl Signs {
    /// Reads the last lines of a unit's journal.
    #[must_use]
    pub fn read(lines: &[String]) -> Self {
        let well = lines.iter().rposition(|line| line.starts_with("Started "));
        let since = lines.get(well.map_or(0, |at| at + 1)..).unwrap_or_default();
        let sign = |line: &String| {
            if journal::is_newer_than_datastore(line) {
                Some(Sign::Newer)
            } else if journal::wants_other_token(line) || journal::is_refused_by_peer(line) {
                Some(Sign::OtherToken)
            } else {
                None
            }
        };
        let refuses = |line: &str| {
            journal::is_refused_by_peer(line)
                || journal::goes_by_own_data(line) && line.contains("<nil>")
        };
        let fatal = since.iter().rev().find(|line| line.contains("level=fatal"));
        let telling = since.iter().rev().find(|line| sign(line).is_some());
        Self {
            last: since.iter().rev().find_map(sign),
            peer_refuses: since.iter().any(|line| refuses(line)),
            // Where the other server is down older K3s says nothing of it (k3s: `Cluster.shouldBootstrapLoad`).
            alone: since.iter().any(|line| {
                journal::goes_by_own_data(line) || journal::is_refused_by_own_copy(line)
            }),
            late: since
                .iter()
                .any(|line| journal::is_refused_by_datastore_alone(line)),
            line: telling.or(fatal).or(since.last()).cloned(),
        }
    }
}

/// How the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulse {
    /// It is up.
    Runs,
    /// Its first start goes on.
    Starts,
    /// It ends and is started again, or was given up.
    Fails,
    /// Somebody stopped it.
    Rests,
}

/// A server that may need help.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an own fact of the server, found apart"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// How its process is.
    pub pulse: Pulse,
    /// The secret that it would start with.
    pub surface: Option<Secret>,
    /// The secret in `server/token`.
    pub on_disk: Option<Secret>,
    /// The secret of `server` in `server/cred/passwd`.
    pub passwd: Option<Secret>,
    /// Whether it asks another server before it starts.
    pub joins: bool,
    /// Whether the last attempt was made with the surface as it is now.
    pub tried: bool,
    /// What the journal gives away.
    pub signs: Signs,
    /// Whether its passwd will be taken for newer than the datastore's: with a token that is refused before that is looked
    /// at, no journal says so.
    pub newer: bool,
    /// Whether a rescue was begun here and not ended.
    pub begun: bool,
    /// The secret on the surface, when that rescue has found it to be the datastore's.
    pub decided: Option<Secret>,
    /// Whether the very attempt that goes on, or was the last, was refused for its token.
    pub refused_now: bool,
}

/// What tells which token the datastore is encrypted with, beside the server itself.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an own fact of the cluster, found apart"
)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// What all servers say together, without this one's surface.
    pub standing: Option<&'a Standing>,
    /// Whether more than files say that NEW is in the datastore.
    pub witnessed: bool,
    /// Whether a server is away that might have been rotated.
    pub unseen: bool,
    /// Whether every server was stopped with one token in all its places, and so nobody has rotated.
    pub resting: bool,
    /// The datastore's own answer: a token, and whether it is encrypted with it.
    pub asked: Option<(&'a Secret, bool)>,
    /// Whether a server that runs has started with the common token after this one's files were written.
    pub overtaken: bool,
    /// Whether any place on a server holds a token that is neither OLD nor NEW.
    pub third: bool,
    /// Tokens that a rotate has left on the files of other servers, in both places alike.
    pub others: &'a [Secret],
    /// What a rescue has found to be the datastore's and started another server with, which now waits for others.
    pub begun: Option<&'a Secret>,
    /// Tokens that the datastore did not have when it was asked, before any rotate to them that is seen.
    pub denied: &'a [Secret],
    /// Whether a token that files alone tell of may be tried: nobody can be asked, a start that is refused does no harm, and the
    /// operator has agreed.
    pub trial: bool,
    /// What the operator says that the datastore has.
    pub given: Option<&'a Secret>,
}

impl<'a> Evidence<'a> {
    /// The only token but this one that other servers' files tell of, else the one that is given.
    fn elsewhere(&self, not: &Secret) -> Option<&'a Secret> {
        let mut others = self.others.iter().filter(|other| *other != not);
        match (others.next(), others.next()) {
            (Some(one), None) => Some(one),
            _ => self.given.filter(|given| *given != not),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it runs, and would start again.
    Nothing,
    /// The token on its surface is wrong, and that is all.
    Surface,
    /// Its passwd must be recreated from the datastore.
    Passwd,
    /// It only has to be started.
    Start,
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear {
    /// Which token the datastore has is not certain.
    Token,
    /// Its first start goes on.
    Starting,
    /// The servers that it joins must take the token first.
    PeersFirst,
    /// Its own copy of the datastore is of before the rotate.
    OwnCopy,
    /// It fails for a reason that has nothing to do with tokens, or that is not known.
    Unknown,
}

impl Patient {
    /// The token that the datastore cannot have, since a start with it was refused. When its peers accepted that one, the
    /// start has written it into passwd; without a passwd it is what they accept, `held`, unless they have taken the
    /// configured one since.
    fn refuted<'a>(&'a self, held: Option<&'a Secret>) -> Option<&'a Secret> {
        let line = self.signs.line.as_deref().unwrap_or_default();
        let was_late_now = self.tried && journal::is_refused_by_datastore_alone(line);
        if self.joins && self.is_late() && self.pulse != Pulse::Runs && !was_late_now {
            let held = held.filter(|held| self.surface.as_ref() != Some(held));
            return self.passwd.as_ref().or(held);
        }
        let tried = self.tried && self.pulse != Pulse::Runs;
        let refused =
            tried && self.signs.last == Some(Sign::OtherToken) && !self.peer_refuses_only();
        self.surface.as_ref().filter(|_| refused)
    }

    /// A peer's word is about that peer's memory, and says nothing of the datastore.
    fn peer_refuses_only(&self) -> bool {
        let line = self.signs.line.as_deref().unwrap_or_default();
        self.signs.peer_refuses && !journal::wants_other_token(line)
    }

    /// Whether what was refused late still counts: its own copy may refuse since what a rescue has found to be right.
    fn is_late(&self) -> bool {
        let is_over = self.decided.is_some() && self.reads_own_copy_last();
        self.signs.late && !is_over
    }

    fn reads_own_copy_last(&self) -> bool {
        let line = self.signs.line.as_deref().unwrap_or_default();
        self.tried && journal::is_refused_by_own_copy(line)
    }

    /// Whether it starts from its own copy of the datastore alone, which lacks the token that it is started with: it is of
    /// before a rotate to that token, or of after a rotate to another.
    fn is_behind(&self) -> bool {
        !self.joins && self.reads_own_copy_last() && !self.newer
    }

    /// Whether what refused its token may be a copy of the datastore from before it was away: such a copy knows nothing of a
    /// later token.
    fn reads_own_copy(&self) -> bool {
        self.joins && (self.signs.peer_refuses || self.signs.alone) && !self.is_late()
    }

    /// The surface that the datastore does have: its data was read with it, and nobody else was asked.
    fn confirmed(&self) -> Option<&Secret> {
        let read = self.tried && self.signs.last == Some(Sign::Newer) && !self.joins;
        self.surface.as_ref().filter(|_| read)
    }

    /// What a rotate on this very server left, which its process has not taken.
    #[must_use]
    pub fn moved(&self) -> Option<&Secret> {
        self.on_disk.as_ref().filter(|on_disk| {
            self.passwd.as_ref() == Some(on_disk) && self.surface.as_ref() != Some(on_disk)
        })
    }

    /// What it would start with, where its files have the same.
    fn alike(&self) -> Option<&Secret> {
        let files = [&self.on_disk, &self.passwd];
        self.surface
            .as_ref()
            .filter(|own| files.iter().all(|file| file.as_ref() == Some(own)))
    }

    /// The token that the datastore is encrypted with.
    ///
    /// # Errors
    /// When nothing proves which it is.
    pub fn right(&self, evidence: &Evidence<'_>) -> Result<Secret, Unclear> {
        let is_denied = |it: &Secret| evidence.asked == Some((it, false));
        let decided = self.decided().filter(|it| !is_denied(it));
        let known = self.confirmed().or(decided);
        let found = match (known, evidence.asked) {
            (Some(known), _) => Some(known),
            (None, Some((asked, true))) => Some(asked),
            (None, Some((asked, false))) => self.other_than(asked, evidence),
            (None, None) => self.found(evidence),
        };
        let found = found.or_else(|| self.tried_out(evidence));
        let given = evidence
            .given
            .filter(|given| !self.has_refused(given, evidence));
        // What is told by files alone is less than what the operator says.
        let is_sure = known.is_some() || evidence.asked.is_some() || self.is_sure(evidence);
        let right = if is_sure {
            found.or(given)
        } else {
            given.or(found)
        };
        right.cloned().ok_or(Unclear::Token)
    }

    /// Whether processes tell, and not files alone: one runs with NEW, or all run with the one token that there is, and no
    /// start of this server speaks against it.
    fn is_sure(&self, evidence: &Evidence<'_>) -> bool {
        evidence.standing.is_some_and(|standing| {
            let is_told = evidence.witnessed || !standing.is_rotated() && !evidence.unseen;
            is_told && !self.has_refused(&standing.datastore, evidence)
        })
    }

    /// Whether a start with this token was refused by a datastore that is up to date.
    fn has_refused(&self, secret: &Secret, evidence: &Evidence<'_>) -> bool {
        let common = evidence.standing.map(|standing| &standing.datastore);
        !self.is_behind() && !self.reads_own_copy() && self.refuted(common) == Some(secret)
    }

    /// What a rotate on this very server left, unless the datastore is known not to have it.
    fn rotated_to(&self, evidence: &Evidence<'_>) -> Option<&Secret> {
        let moved = self.moved();
        moved.filter(|moved| !evidence.denied.contains(moved))
    }

    /// A token that files tell of, where nobody can be asked: the next one that no start was refused with.
    fn tried_out<'a>(&'a self, evidence: &Evidence<'a>) -> Option<&'a Secret> {
        if !evidence.trial {
            return None;
        }
        let refuted = self.refuted(None);
        let common = evidence.standing.map(|standing| &standing.datastore);
        let all = [self.rotated_to(evidence), self.surface.as_ref(), common];
        let mut all = all.into_iter().flatten().chain(evidence.others);
        all.find(|it| Some(*it) != refuted && !evidence.denied.contains(it))
    }

    /// What an earlier part of this rescue has found out, and no start has been refused with since.
    fn decided(&self) -> Option<&Secret> {
        self.decided.as_ref().filter(|_| !self.refused_now)
    }

    /// From what is seen, without the datastore's own answer.
    fn found<'a>(&'a self, evidence: &Evidence<'a>) -> Option<&'a Secret> {
        match evidence.standing {
            Some(standing) if standing.is_rotated() && evidence.witnessed => {
                let right = &standing.datastore;
                // It was taken back since, by a rotate here.
                let moved = self.rotated_to(evidence).filter(|moved| *moved != right);
                if self.has_refused(right, evidence) {
                    moved
                } else {
                    Some(right)
                }
            }
            Some(standing) if standing.is_rotated() => self.unwitnessed(standing),
            Some(standing) => self.unrotated(&standing.datastore, evidence),
            None => self.unanswered(evidence),
        }
    }

    /// Files alone say that the datastore has NEW.
    fn unwitnessed<'a>(&'a self, standing: &'a Standing) -> Option<&'a Secret> {
        let refuted = self.refuted(standing.old.as_ref())?;
        let old = standing.old.as_ref()?;
        let is_other = |moved: &Secret| *moved != standing.new && moved != old;
        if self.moved().is_some_and(is_other) {
            return None;
        }
        if *refuted == standing.new {
            // A server on which nothing was rotated may have been away while another one was.
            let was_away = self.is_behind() && self.passwd.as_ref() != Some(refuted);
            Some(old).filter(|_| !self.reads_own_copy() && !was_away)
        } else {
            (refuted == old).then_some(&standing.new)
        }
    }

    /// All that run hold one token, and no file of theirs says that the datastore has another.
    fn unrotated<'a>(&'a self, common: &'a Secret, evidence: &Evidence<'_>) -> Option<&'a Secret> {
        let refuted = self.refuted(Some(common));
        // One that asks nobody starts with the token of its own copy, which then catches up.
        let is_over = evidence.overtaken && self.joins;
        let moved = self.rotated_to(evidence).filter(|_| !is_over);
        match (refuted.filter(|_| !self.reads_own_copy()), moved) {
            (Some(refuted), Some(moved)) if refuted == common => Some(moved),
            (Some(refuted), _) if refuted == common => None,
            (_, Some(moved)) if moved != common => None,
            // It may have taken a rotate before it was stopped.
            (None, _) if self.newer && self.alike().is_some_and(|own| own != common) => None,
            _ if evidence.unseen || self.has_lost_its_trap() => None,
            _ => Some(common),
        }
    }

    /// Whether somebody has removed the passwd that kept it from starting: what it was refused with is told by nothing now.
    fn has_lost_its_trap(&self) -> bool {
        self.joins && self.signs.last == Some(Sign::Newer) && self.passwd.is_none()
    }

    /// No server runs that says what it accepts.
    fn unanswered<'a>(&'a self, evidence: &Evidence<'a>) -> Option<&'a Secret> {
        let refuted = self.refuted(None).filter(|_| !self.reads_own_copy());
        match (refuted, self.rotated_to(evidence)) {
            (Some(_), Some(moved)) => Some(moved),
            (Some(refuted), None) => evidence.elsewhere(refuted),
            // Its own copy has told nothing else, and another one does.
            (None, Some(moved)) if evidence.begun == Some(moved) => Some(moved),
            // A rotate that failed leaves such files, too: a start that is refused shows it, and costs nothing where no other
            // server is asked.
            (None, Some(moved))
                if self.pulse == Pulse::Rests && !self.joins && !evidence.unseen =>
            {
                Some(moved)
            }
            (None, None) if self.signs.last.is_none() && (!evidence.unseen || evidence.resting) => {
                self.surface.as_ref()
            }
            _ => None,
        }
    }

    /// The datastore has not this one.
    fn other_than<'a>(&'a self, not: &Secret, evidence: &Evidence<'a>) -> Option<&'a Secret> {
        if let Some(given) = evidence.given.filter(|given| *given != not) {
            return Some(given);
        }
        if evidence.third {
            return None;
        }
        let standing = evidence.standing.filter(|standing| standing.is_rotated());
        let both = standing.and_then(|it| Some([&it.new, it.old.as_ref()?]));
        let is_past = |it: &Secret| evidence.denied.contains(it) || self.has_refused(it, evidence);
        let is_other = |it: &&Secret| *it != not && !is_past(it);
        if let Some(other) = both.and_then(|both| both.into_iter().find(is_other)) {
            return Some(other);
        }
        let moved = self.moved().filter(|moved| *moved != not);
        let alike = self.alike().filter(|own| *own != not);
        let of_files = moved.or(alike).filter(is_other);
        of_files.or_else(|| evidence.elsewhere(not).filter(is_other))
    }

    /// What is to be done, once it is known which token is right. `peers_have_it` says whether every other server that
    /// runs accepts it.
    ///
    /// # Errors
    /// When this is none of the known cases, or not this server's turn.
    pub fn remedy(&self, right: &Secret, peers_have_it: bool) -> Result<Remedy, Unclear> {
        let is_set = self.surface.as_ref() == Some(right);
        match (self.pulse, self.signs.last) {
            (Pulse::Runs, _) if self.newer => Ok(Remedy::Passwd),
            (Pulse::Runs, _) if is_set => Ok(Remedy::Nothing),
            (Pulse::Runs, _) => Ok(Remedy::Surface),
            (Pulse::Rests, None) if self.newer && self.passwd.is_some() => Ok(Remedy::Passwd),
            // What an earlier rescue has started goes on.
            (Pulse::Starts, _) if self.begun && is_set => Ok(Remedy::Start),
            (_, Some(Sign::Newer)) if self.passwd.is_some() => Ok(Remedy::Passwd),
            // The second stage of the trap, which its peers hide while they refuse the token of before.
            (_, Some(Sign::OtherToken)) if self.newer => Ok(Remedy::Passwd),
            (Pulse::Starts, None) => Err(Unclear::Starting),
            _ if !is_set && self.surface.is_some() => Ok(Remedy::Surface),
            (_, Some(Sign::OtherToken))
                if self.tried && self.signs.peer_refuses && !peers_have_it =>
            {
                Err(Unclear::PeersFirst)
            }
            (_, Some(Sign::OtherToken)) if self.refused_now && self.reads_own_copy_last() => {
                // Only one that asks them has anything of its peers.
                Err(if peers_have_it || !self.joins {
                    Unclear::OwnCopy
                } else {
                    Unclear::PeersFirst
                })
            }
            (_, Some(_)) | (Pulse::Rests, None) => Ok(Remedy::Start),
            _ if self.begun => Ok(Remedy::Start),
            _ => Err(Unclear::Unknown),
        }
    }
}

#[cfg(test)]
mod tests;
