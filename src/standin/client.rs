//! One request to a supervisor or to etcd.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::pki;
use crate::sim::world::Answer;

const DEADLINE: Duration = Duration::from_secs(10);

/// Where to ask.
pub(super) struct Door<'a> {
    /// `https://host:port` or `http://host:port`.
    pub(super) url: &'a str,
    /// The CA's PEM, for https.
    pub(super) ca: &'a str,
    /// User and password.
    pub(super) basic: Option<(&'a str, &'a str)>,
    /// What a bearer shows.
    pub(super) bearer: Option<&'a str>,
}

/// Asks; a connection that ends without an answer is an error of kind `UnexpectedEof`.
///
/// # Errors
/// When nobody answers, or not within 10 s.
pub(super) async fn ask(
    door: &Door<'_>,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> io::Result<Answer> {
    let asked = attempt(door, method, path, body);
    match tokio::time::timeout(DEADLINE, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")),
    }
}

async fn attempt(door: &Door<'_>, method: Method, path: &str, body: Vec<u8>) -> io::Result<Answer> {
    let address = address(door.url);
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", &address);
    if let Some((user, password)) = door.basic {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        request = request.header("Authorization", format!("Basic {pair}"));
    }
    if let Some(token) = door.bearer {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let stream = TcpStream::connect(&address).await?;
    if door.url.starts_with("http://") {
        return exchange(stream, request).await;
    }
    let name = address.rsplit_once(':').map_or("", |(host, _)| host);
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(pki::trusting(door.ca)?);
    exchange(connector.connect(name, stream).await?, request).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> io::Result<Answer> {
    let eof = |_| io::Error::new(io::ErrorKind::UnexpectedEof, "EOF");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(eof)?;
    let read = async {
        let response = sender.send_request(request).await.map_err(eof)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(eof)?;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Answer::said(status, body))
    };
    tokio::pin!(read);
    tokio::select! {
        answer = &mut read => answer,
        // The connection may end together with the answer.
        _ = connection => read.await,
    }
}

/// `host:port` of a URL.
pub(super) fn address(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:443")
    }
}
