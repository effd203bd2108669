//! Words that keyroll leaves on a server below `server/.keyroll`, and tokens that it keeps there for a while.

use camino::Utf8PathBuf;

use super::Seen;
use crate::k3s::phase::Proven;
use crate::k3s::surface::Surface;
use crate::k3s::token::{Token, TokenKind};
use crate::model::{HostTime, RunId};
use crate::secret::Secret;

/// Where a rotate that was answered well leaves its mark, below the data directory.
pub(super) const ROTATED: &str = "server/.keyroll/rotated";
/// Where a roll back keeps NEW aside, and a rescue what a server runs with while no surface has it any more.
pub(in crate::steps) const WITHDRAWN: &str = "server/.keyroll/withdrawn";
/// Where a rescue leaves word of how far it is.
pub(super) const RESCUE: &str = "server/.keyroll/rescue";

/// Where a rescue leaves the token that it has taken off a server's surface, until it is over: it may have been the right one.
pub(in crate::steps) const REPLACED: &str = "server/.keyroll/replaced";

/// Where a rescue leaves what the datastore has answered to it.
pub(super) const ASKED: &str = "server/.keyroll/asked";

/// What the datastore has answered when a server was asked to rotate to a token that it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The run that asked.
    pub run: RunId,
    /// [`token::tag`](crate::k3s::token::tag) of that token.
    pub tag: String,
    /// Whether the datastore is encrypted with it.
    pub has_it: bool,
}

impl Seen {
    /// The datastore's last answer.
    #[must_use]
    pub fn asked(&self) -> Option<Asked> {
        let text = self.file(&self.asked_path())?.text().into_owned();
        let mut words = text.split_whitespace();
        let (run, tag, word) = (words.next()?, words.next()?, words.next()?);
        Some(Asked {
            run: RunId(run.to_owned()),
            tag: tag.to_owned(),
            has_it: word == "yes",
        })
    }

    /// Where the datastore's answer is left.
    #[must_use]
    pub fn asked_path(&self) -> Utf8PathBuf {
        self.install.data(ASKED)
    }

    /// OLD as keyroll keeps it until the proof.
    #[must_use]
    pub fn kept(&self) -> Option<Secret> {
        self.kept_of(self.about)
    }

    /// The same of either token.
    #[must_use]
    pub fn kept_of(&self, kind: TokenKind) -> Option<Secret> {
        self.token_in(&self.install.data(kind.kept()))
            .map(|token| token.secret)
    }

    /// The secret in the file that waits beside the winning surface.
    #[must_use]
    pub fn staged(&self) -> Option<Secret> {
        self.waiting(self.install.winner()?)
    }

    /// The whole text of the file that waits beside the winning surface.
    #[must_use]
    pub fn waiting_text(&self) -> Option<String> {
        let staged = self.file(&self.install.winner()?.staged())?;
        Some(staged.text().into_owned())
    }

    /// The secret in the file that waits beside a surface.
    #[must_use]
    pub fn waiting(&self, surface: &Surface) -> Option<Secret> {
        let staged = self.file(&surface.staged())?;
        let original = self.file(&surface.file)?.bytes();
        let tail = original.len().checked_sub(surface.slot.range.end)?;
        let inner = staged
            .bytes()
            .get(surface.slot.range.start..staged.bytes().len().checked_sub(tail)?)?;
        let text = std::str::from_utf8(inner).ok()?.trim_matches(['"', '\'']);
        Token::parse(text).ok().map(|token| token.secret)
    }

    /// The CA hash of the time when OLD was put by.
    #[must_use]
    pub fn kept_ca(&self) -> Option<String> {
        self.token_in(&self.kept_path())?.hash().map(str::to_owned)
    }

    /// What a green proof left here.
    #[must_use]
    pub fn proven(&self) -> Option<Proven> {
        self.proven_of(self.about)
    }

    /// The same of either token.
    #[must_use]
    pub fn proven_of(&self, kind: TokenKind) -> Option<Proven> {
        Proven::parse(&self.file(&self.install.data(kind.proven()))?.text())
    }

    /// Where a green proof leaves its mark.
    #[must_use]
    pub fn proven_path(&self) -> Utf8PathBuf {
        self.install.data(self.about.proven())
    }

    /// Tag of the token that a rotate here was answered well for.
    #[must_use]
    pub fn rotated(&self) -> Option<String> {
        Some(self.file(&self.rotated_path())?.text().trim().to_owned())
    }

    /// Where a rotate that was answered well leaves its mark.
    #[must_use]
    pub fn rotated_path(&self) -> Utf8PathBuf {
        self.install.data(ROTATED)
    }

    /// What is kept aside until it is shown to be refused; there is none of the agent token.
    #[must_use]
    pub fn aside(&self) -> Option<Secret> {
        self.withdrawn().filter(|_| self.about == TokenKind::Server)
    }

    /// What a roll back or a rescue keeps aside until it is shown to be refused.
    #[must_use]
    pub fn withdrawn(&self) -> Option<Secret> {
        self.token_in(&self.withdrawn_path())
            .map(|token| token.secret)
    }

    /// Where a roll back or a rescue keeps a token aside.
    #[must_use]
    pub fn withdrawn_path(&self) -> Utf8PathBuf {
        self.install.data(WITHDRAWN)
    }

    /// What a rescue that is not over has taken off the surface.
    #[must_use]
    pub fn replaced(&self) -> Option<Secret> {
        self.token_in(&self.replaced_path())
            .map(|token| token.secret)
    }

    /// Where a rescue leaves it.
    #[must_use]
    pub fn replaced_path(&self) -> Utf8PathBuf {
        self.install.data(REPLACED)
    }

    /// How far a rescue of this server is; `None` when none is under way.
    #[must_use]
    pub fn rescue(&self) -> Option<String> {
        Some(self.file(&self.rescue_path())?.text().trim().to_owned())
    }

    /// When a rescue has left word of how far it is.
    #[must_use]
    pub fn rescue_left(&self) -> Option<HostTime> {
        self.written(&self.rescue_path())
    }

    /// Where a rescue leaves word of how far it is.
    #[must_use]
    pub fn rescue_path(&self) -> Utf8PathBuf {
        self.install.data(RESCUE)
    }

    /// Where OLD is kept.
    #[must_use]
    pub fn kept_path(&self) -> Utf8PathBuf {
        self.install.data(self.about.kept())
    }
}
