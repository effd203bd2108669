//! An agent's life: join through its own load balancer, then renew a lease.

use std::io;

use hyper::Method;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{self, Door};
use super::disk::Disk;
use super::launch::{Place, fatal, over};
use super::pki::SharedPki;
use super::{balancer, kubelet, log, notify, now};
use crate::sim::agent::{Agent, Joining, ServerReply};
use crate::sim::kubectl::Ended;
use crate::sim::settings::Settings;
use crate::sim::token;
use crate::sim::world::Answer;

/// Runs until the process ends.
pub(super) async fn serve(settings: Settings, place: Place) -> Ended {
    match up(settings, &place).await {
        Ok(()) => over(),
        Err(error) => fatal(format!("Error: {error}")),
    }
}

async fn up(settings: Settings, place: &Place) -> io::Result<()> {
    let agent = Agent { settings };
    let Some((url, secret)) = agent.door() else {
        return Err(io::Error::other("--server is required"));
    };
    let port = agent.settings.flag("lb-server-port");
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(6444);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(balancer::serve(
        listener,
        client::address(&url),
        place.shared.clone(),
    ));
    loop {
        let reply = ask(place, port, &secret).await;
        let pki = &mut SharedPki(&place.shared);
        let (joining, lines) = agent.attempt(&mut Disk, pki, &reply, &place.name, now());
        log(&lines);
        match joining {
            Joining::Joined => break,
            Joining::Again(delay) => sleep(delay).await,
        }
    }
    sleep(place.start).await;
    tasks.spawn_local(kubelet::beat(agent.settings.clone(), place.clone()));
    notify::ready(&place.env)?;
    // None of them ends by itself, unless the process is to die.
    if let Some(dies) = place.dies {
        sleep(dies).await;
    } else {
        tasks.join_next().await;
    }
    Ok(())
}

async fn ask(place: &Place, port: u16, secret: &str) -> ServerReply {
    let trusted = std::fs::read_to_string(place.shared.0.join("pki/server-ca.crt"));
    let url = format!("https://127.0.0.1:{port}");
    let trusted = trusted.unwrap_or_default();
    let get = async |path, (basic, bearer)| {
        let door = Door {
            url: &url,
            ca: &trusted,
            basic,
            bearer,
        };
        client::ask(&door, Method::GET, path, Vec::new()).await
    };
    let ca = match get("/cacerts", (None, None)).await {
        Ok(Answer::Said { status: 503, .. }) => return ServerReply::Starting,
        Ok(Answer::Said { body, .. }) => body,
        Ok(Answer::Dropped) => return ServerReply::Away("EOF".to_owned()),
        Err(error) => return ServerReply::Away(error.to_string()),
    };
    match get("/v1-k3s/config", token::shown("node", secret)).await {
        Ok(Answer::Said { status: 503, .. }) => ServerReply::Starting,
        Ok(Answer::Said { status, .. }) => ServerReply::Here { ca, status },
        Ok(Answer::Dropped) => ServerReply::Away("EOF".to_owned()),
        Err(error) => ServerReply::Away(error.to_string()),
    }
}
