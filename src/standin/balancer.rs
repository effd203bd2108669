//! An agent's load balancer: passes connections through to the first server that takes them.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::shared::Shared;

const CONNECT: Duration = Duration::from_secs(2);

/// Serves until the process ends. `first` is what `server:` names; the others are tried after it.
pub(super) async fn serve(listener: TcpListener, first: String, shared: Shared) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn_local(pass(stream, first.clone(), shared.clone()));
    }
}

async fn pass(mut stream: TcpStream, first: String, shared: Shared) {
    let others = shared.peers().into_iter().filter(|(_, alive)| *alive);
    let others = others.map(|(peer, _)| peer.address);
    for address in std::iter::once(first).chain(others) {
        if let Ok(Ok(mut server)) = timeout(CONNECT, TcpStream::connect(&address)).await {
            // Either end may go at any time.
            tokio::io::copy_bidirectional(&mut stream, &mut server)
                .await
                .ok();
            return;
        }
    }
}
