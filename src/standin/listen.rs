//! Listeners: HTTPS for the supervisor, plain HTTP for etcd's health.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::answer::Desk;
use crate::sim::world::{Answer, Asked};

/// Serves the supervisor's port.
pub(super) async fn https(listener: TcpListener, tls: Arc<ServerConfig>, desk: Rc<Desk>) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (acceptor, desk) = (acceptor.clone(), desk.clone());
        connections.spawn_local(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, |request| supervisor(desk.clone(), request)).await;
            }
        });
    }
}

/// Serves etcd's port for health and metrics.
pub(super) async fn http(listener: TcpListener, desk: Rc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let desk = desk.clone();
        connections.spawn_local(async move {
            converse(stream, |request| {
                let answer = desk.etcd(request.uri().path());
                std::future::ready(response(answer))
            })
            .await;
        });
    }
}

async fn converse<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> F,
) where
    F: Future<Output = io::Result<Response<Full<Bytes>>>>,
{
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
    // Whoever asked has gone, or is not to hear anything.
    served.ok();
}

async fn supervisor(
    desk: Rc<Desk>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let header = parts.headers.get("authorization");
    let basic = header.and_then(|value| basic(value.to_str().ok()?));
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    response(
        desk.answer(Asked {
            method: parts.method.as_str(),
            path,
            basic: basic
                .as_ref()
                .map(|(user, word)| (user.as_str(), word.as_str())),
            bearer: header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")),
            body: &body,
        }),
    )
}

fn basic(header: &str) -> Option<(String, String)> {
    let pair = header.strip_prefix("Basic ")?;
    let pair = base64::engine::general_purpose::STANDARD
        .decode(pair)
        .ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, word) = pair.split_once(':')?;
    Some((user.to_owned(), word.to_owned()))
}

fn response(answer: Answer) -> io::Result<Response<Full<Bytes>>> {
    match answer {
        Answer::Said { status, body } => Response::builder()
            .status(status)
            .body(Full::new(Bytes::from(body)))
            .map_err(io::Error::other),
        Answer::Dropped => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
