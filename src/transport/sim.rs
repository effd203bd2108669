//! The simulated fleet behind the wire: answers after a small virtual latency, so that a run takes milliseconds.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::clock::Clock;
use crate::model::{HostName, HostTime};
use crate::sim::fleet::{Reply, Trouble};
use crate::sim::spec::SpecError;
use crate::sim::{Fleet, Spec};
use crate::wire::{Batch, Command, Request, Response, Transport, TransportError};

const ROUND_TRIP: Duration = Duration::from_millis(5);
/// How long an answer may be late before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// As many as Linux follows.
const MOST_LINKS: usize = 40;
const LOOK_AT_JOB: Duration = Duration::from_millis(200);

/// A fleet that could not be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read or written.
    #[error("the kept fleet {path} cannot be read or written")]
    File {
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a kept fleet.
    #[error("{path} is not a kept fleet")]
    Garbled {
        /// Which file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The kept fleet is another than the string asks for.
    #[error("the kept fleet is another one")]
    Other(#[from] SpecError),
}

/// Carries requests to a fleet in memory.
#[derive(Clone)]
pub struct SimTransport {
    fleet: Arc<Mutex<Fleet>>,
    clock: Clock,
    /// What the clock showed when the fleet showed `began`.
    opened: Timestamp,
    began: HostTime,
    state: Option<Utf8PathBuf>,
}

impl SimTransport {
    /// Opens the fleet of a spec: the kept one, else a fresh one whose clock shows what `clock` shows.
    ///
    /// # Errors
    /// When the kept fleet cannot be read, or is another than the spec asks for.
    pub fn open(spec: &Spec, clock: Clock) -> Result<Self, StateError> {
        let opened = clock.now();
        let state = Self::kept_in(spec)?;
        let kept = state.as_deref().map(read).transpose()?.flatten();
        let fleet = match kept {
            Some(mut kept) => {
                kept.take_up(spec)?;
                kept
            }
            None => Fleet::raise(spec, HostTime(opened.as_microsecond())),
        };
        Ok(Self {
            began: fleet.now(),
            fleet: Arc::new(Mutex::new(fleet)),
            clock,
            opened,
            state,
        })
    }

    /// The file in which a fleet of this spec is kept, behind all links.
    ///
    /// # Errors
    /// When its folder cannot be entered.
    pub fn kept_in(spec: &Spec) -> Result<Option<Utf8PathBuf>, StateError> {
        let place = |path: &Utf8PathBuf| {
            behind_links(path).map_err(|source| StateError::File {
                path: path.clone(),
                source,
            })
        };
        spec.state.as_ref().map(place).transpose()
    }

    /// Tries whether the fleet could be kept, before anything is done to it.
    ///
    /// # Errors
    /// When nothing can be written beside the file.
    pub fn can_be_kept(&self) -> Result<(), StateError> {
        let Some(path) = &self.state else {
            return Ok(());
        };
        let tried = tempfile::NamedTempFile::new_in(above(path)).map(drop);
        tried.map_err(|source| StateError::File {
            path: path.clone(),
            source,
        })
    }

    /// Keeps the fleet for the next command, if the spec asked for it: written whole, mode 0600.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> Result<(), StateError> {
        let Some(path) = &self.state else {
            return Ok(());
        };
        let text = self.fleet().to_json();
        let text = text.map_err(|source| StateError::Garbled {
            path: path.clone(),
            source,
        })?;
        write(path, &text).map_err(|source| StateError::File {
            path: path.clone(),
            source,
        })
    }

    /// How often anything was changed on any host.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.fleet().changes()
    }

    /// Requests that had no model and were assumed to succeed.
    #[must_use]
    pub fn assumed(&self) -> Vec<String> {
        self.fleet().assumed()
    }

    /// Looks at or changes the fleet from outside, at the present moment: a person at a keyboard.
    pub fn with<T>(&self, act: impl FnOnce(&mut Fleet) -> T) -> T {
        act(&mut self.fleet())
    }

    /// The fleet, after everything has happened that is due by now.
    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        let gone = self.clock.now().as_microsecond() - self.opened.as_microsecond();
        let mut fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        fleet.advance(HostTime(self.began.0 + gone));
        fleet
    }

    async fn one(
        &self,
        host: &HostName,
        batch: &Batch,
        request: &Request,
    ) -> Result<Response, Trouble> {
        let reply = self.fleet().perform(host, &batch.r#become, request)?;
        let Reply {
            response,
            takes,
            waits,
        } = reply;
        // A sleep of no time still costs a round through the timer.
        if !takes.is_zero() {
            self.clock.sleep(takes).await;
        }
        if !waits {
            return Ok(response);
        }
        let limit = command(request).map_or(Duration::MAX, |command| command.timeout);
        let job = async {
            loop {
                if let Some(end) = self.fleet().job(host) {
                    return end;
                }
                self.clock.sleep(LOOK_AT_JOB).await;
            }
        };
        let ended = self.clock.within(limit, job).await;
        Ok(ended.unwrap_or_else(Fleet::timed_out))
    }

    async fn all(&self, host: &HostName, batch: &Batch) -> Result<Vec<Response>, TransportError> {
        self.clock.sleep(ROUND_TRIP).await;
        self.fleet().reach(host, &batch.r#become)?;
        let mut done = Vec::with_capacity(batch.requests.len());
        for request in &batch.requests {
            match self.one(host, batch, request).await {
                Ok(response) => {
                    let ends = !matches!(request, Request::Query(_)) && failed(&response);
                    done.push(response);
                    if ends {
                        break;
                    }
                }
                Err(Trouble::Unmodelled(request)) => {
                    let host = host.clone();
                    return Err(TransportError::Unmodelled { host, request });
                }
                Err(Trouble::Frozen) => {
                    let patience = command(request).map_or(PATIENCE, |of| of.timeout + PATIENCE);
                    self.clock.sleep(patience).await;
                    return Err(TransportError::Unknown {
                        host: host.clone(),
                        done,
                        why: "the host takes the connection and does not answer".to_owned(),
                    });
                }
                Err(Trouble::Cut) => {
                    return Err(TransportError::Unknown {
                        host: host.clone(),
                        done,
                        why: "connection reset by peer".to_owned(),
                    });
                }
            }
        }
        // A host may have gone out of reach while the batch ran.
        Ok(done)
    }
}

fn command(request: &Request) -> Option<&Command> {
    match request {
        Request::Query(crate::wire::Query::Run(command))
        | Request::Change(crate::wire::Change::Run(command)) => Some(command),
        _ => None,
    }
}

fn failed(response: &Response) -> bool {
    match response {
        Response::Failed(_) | Response::Moved(_) => true,
        Response::Ran(ran) => ran.status != 0,
        _ => false,
    }
}

impl Transport for SimTransport {
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
        Box::pin(self.all(host, batch))
    }
}

fn read(path: &Utf8Path) -> Result<Option<Fleet>, StateError> {
    let path = path.to_owned();
    match std::fs::read_to_string(&path) {
        Ok(text) => Fleet::from_json(&text)
            .map(Some)
            .map_err(|source| StateError::Garbled { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::File { path, source }),
    }
}

/// Where a path leads, whether or not a file is there yet.
fn behind_links(path: &Utf8Path) -> std::io::Result<Utf8PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(next) = at.read_link_utf8() else {
            let folder = above(&at).canonicalize_utf8()?;
            return Ok(folder.join(at.file_name().unwrap_or_default()));
        };
        at = above(&at).join(next);
    }
    Err(std::io::Error::other("too many links"))
}

fn above(path: &Utf8Path) -> &Utf8Path {
    let above = path.parent().filter(|above| !above.as_str().is_empty());
    above.unwrap_or(Utf8Path::new("."))
}

fn write(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    // A temporary file of this crate is 0600 from its first moment.
    let mut file = tempfile::NamedTempFile::new_in(above(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
