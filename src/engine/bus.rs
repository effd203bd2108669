//! How tasks tell the loop what happened: a bounded queue, and an answer once the line is on disk.

use tokio::sync::{mpsc, oneshot};

use crate::event::{EventKind, Failure};
use crate::exit::Exit;

/// One thing that happened, and whom to tell once it is written.
pub(super) struct Message {
    pub(super) kind: EventKind,
    pub(super) written: oneshot::Sender<()>,
}

/// The tasks' end of the queue.
#[derive(Clone)]
pub(super) struct Bus(mpsc::Sender<Message>);

/// A queue of at most `bound` messages.
pub(super) fn bus(bound: usize) -> (Bus, mpsc::Receiver<Message>) {
    let (sender, receiver) = mpsc::channel(bound);
    (Bus(sender), receiver)
}

impl Bus {
    /// Says what happened and waits until it is on disk; an operation starts only after this returned well.
    pub(super) async fn say(&self, kind: EventKind) -> Result<(), Failure> {
        let (written, heard) = oneshot::channel();
        let message = Message { kind, written };
        self.0.send(message).await.map_err(|_| unwritten())?;
        heard.await.map_err(|_| unwritten())
    }
}

fn unwritten() -> Failure {
    Failure {
        what: vec!["the journal cannot be written, so nothing more is done".to_owned()],
        next: vec!["make room for the journal, then run the same command again".to_owned()],
        exit: Exit::Journal,
    }
}
