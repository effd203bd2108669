//! The way to one host: its master connection, connected once and again when it died.

use std::sync::OnceLock;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::{Mutex, Semaphore};

use super::sessions::Sessions;
use super::trouble::{self, Trouble};
use super::{SshOptions, command, master, session};
use crate::inventory::Connect;
use crate::model::HostName;
use crate::wire::TransportError;

/// How often a connect that the server dropped is tried.
const TRIES: u32 = 6;

/// A live master connection.
#[derive(Debug, Clone)]
pub(super) struct Master {
    /// Where it listens.
    pub(super) socket: Utf8PathBuf,
    /// The login's user id.
    pub(super) uid: u32,
    /// Tells one connection from the next.
    pub(super) generation: u64,
    /// Whether this transport started it.
    opened: bool,
}

/// One host.
pub(super) struct Link {
    pub(super) host: HostName,
    pub(super) connect: Connect,
    pub(super) sessions: Sessions,
    /// Set when sudo has refused the password, which is then not offered again.
    pub(super) wrong_password: OnceLock<()>,
    /// What this run has left on the host when it took its lock.
    pub(super) held: OnceLock<String>,
    /// Set when sudo has said yes.
    pub(super) risen: OnceLock<()>,
    /// Held while sudo is asked for the first time.
    pub(super) turn: Mutex<()>,
    /// Held while connecting, so that batches that come together share one connection.
    master: Mutex<State>,
}

#[derive(Default)]
struct State {
    master: Option<Master>,
    generation: u64,
}

impl Link {
    pub(super) fn new(host: HostName, connect: Connect) -> Self {
        Self {
            host,
            connect,
            sessions: Sessions::default(),
            wrong_password: OnceLock::new(),
            held: OnceLock::new(),
            risen: OnceLock::new(),
            turn: Mutex::default(),
            master: Mutex::default(),
        }
    }

    /// The live connection; a new one when there is none, or when `broken` is the generation that we have.
    pub(super) async fn master(
        &self,
        options: &SshOptions,
        pace: &Semaphore,
        broken: Option<u64>,
    ) -> Result<Master, TransportError> {
        let mut state = self.master.lock().await;
        if let Some(old) = state.master.take_if(|old| Some(old.generation) == broken) {
            master::stop(&old.socket, options).await;
        }
        if let Some(live) = &state.master {
            return Ok(live.clone());
        }
        let socket = command::socket(&self.host, &self.connect, options);
        let found = self.found(&socket, options).await;
        let opened = found.is_none();
        let uid = match found {
            Some(uid) => uid,
            None => self.dial(&socket, options, pace).await?,
        };
        state.generation += 1;
        let live = Master {
            socket,
            uid,
            generation: state.generation,
            opened,
        };
        Ok(state.master.insert(live).clone())
    }

    /// The login's user id over a connection that an earlier run left; `None` when there is none that works.
    async fn found(&self, socket: &Utf8Path, options: &SshOptions) -> Option<u32> {
        if !master::answers(socket).await {
            return None;
        }
        let uid = session::login_uid(self, socket, options).await.ok();
        if uid.is_none() {
            master::stop(socket, options).await;
        }
        uid
    }

    /// Connects and asks for the login's user id.
    async fn dial(
        &self,
        socket: &Utf8Path,
        options: &SshOptions,
        pace: &Semaphore,
    ) -> Result<u32, TransportError> {
        self.log_in(socket, options, pace).await?;
        let uid = session::login_uid(self, socket, options).await;
        if uid.is_err() {
            master::stop(socket, options).await;
        }
        uid
    }

    /// Connects, and tries again a few times when the server was too busy.
    async fn log_in(
        &self,
        socket: &Utf8Path,
        options: &SshOptions,
        pace: &Semaphore,
    ) -> Result<(), TransportError> {
        let args = command::start(&self.host, &self.connect, options, socket.as_str());
        let address = command::address(&self.host, &self.connect);
        let mut pause = Duration::from_millis(250);
        let mut tries = 0;
        loop {
            let permit = pace.acquire().await;
            let Err(said) = master::start(&args, options).await else {
                return Ok(());
            };
            drop(permit);
            let why = match trouble::of_ssh(&self.host, address, &said) {
                Trouble::Final(error) => return Err(error),
                Trouble::Busy(why) => why,
            };
            tries += 1;
            if tries == TRIES {
                return Err(self.not_started(&why));
            }
            tokio::time::sleep(pause + session::jitter(pause)).await;
            pause *= 2;
        }
    }

    /// Ends the connection if this transport opened it.
    pub(super) async fn close(&self, options: &SshOptions) {
        let mut state = self.master.lock().await;
        if let Some(master) = state.master.take().filter(|master| master.opened) {
            master::stop(&master.socket, options).await;
        }
    }

    pub(super) fn not_started(&self, why: &str) -> TransportError {
        TransportError::NotStarted {
            host: self.host.clone(),
            why: why.to_owned(),
        }
    }
}
