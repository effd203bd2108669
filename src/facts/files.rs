//! Files and directories, and the node name in a kubelet's certificate.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::der::oid::db::rfc4519::CN;

use super::{Fact, FactError, said, succeeded, unreadable};
use crate::k3s::install::{Known, Wanted};
use crate::model::HostTime;
use crate::secret::Content;
use crate::wire::{Command, FileStat, Query, Response};

/// Reads files and lists directories; what is not there is known to be absent.
#[derive(Debug, Clone)]
pub struct Contents(pub Wanted);

impl Fact for Contents {
    type Value = Known;

    fn queries(&self) -> Vec<Query> {
        let files = self.0.files.iter().map(Query::read);
        files
            .chain(
                self.0
                    .folders
                    .iter()
                    .map(|path| Query::List { path: path.clone() }),
            )
            .collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Known, FactError> {
        let mut known = Known::default();
        let mut answers = responses.iter();
        for path in &self.0.files {
            known
                .files
                .insert(path.clone(), content(path, answers.next())?);
        }
        for path in &self.0.folders {
            let names = match answers.next() {
                Some(Response::List(names)) => names.clone().unwrap_or_default(),
                other => return Err(odd(path, other)),
            };
            known.folders.insert(path.clone(), names);
        }
        Ok(known)
    }
}

fn content(path: &Utf8PathBuf, answer: Option<&Response>) -> Result<Option<Content>, FactError> {
    match answer {
        Some(Response::Content(content)) => Ok(content.clone()),
        other => Err(odd(path, other)),
    }
}

fn odd(path: &Utf8PathBuf, answer: Option<&Response>) -> FactError {
    match answer {
        Some(Response::Failed(ran)) => unreadable(path.as_str(), said(ran)),
        other => unreadable(path.as_str(), format!("the answer is {other:?}")),
    }
}

/// What `stat` says of paths, links not followed; `None` for what is not there.
#[derive(Debug, Clone)]
pub struct Paths(pub BTreeSet<Utf8PathBuf>);

impl Fact for Paths {
    type Value = std::collections::BTreeMap<Utf8PathBuf, Option<FileStat>>;

    fn queries(&self) -> Vec<Query> {
        self.0
            .iter()
            .map(|path| Query::Stat {
                path: path.clone(),
                follow: false,
            })
            .collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let read = |(path, answer): (&Utf8PathBuf, &Response)| match answer {
            Response::Stat(stat) => Ok((path.clone(), stat.clone())),
            other => Err(odd(path, Some(other))),
        };
        self.0.iter().zip(responses).map(read).collect()
    }
}

/// Where a path leads when every link on the way is followed.
#[derive(Debug, Clone)]
pub struct RealPath(pub Utf8PathBuf);

impl Fact for RealPath {
    type Value = Utf8PathBuf;

    fn queries(&self) -> Vec<Query> {
        let command = Command::new(["readlink", "-f", self.0.as_str()]);
        vec![Query::Run(command)]
    }

    fn parse(&self, responses: &[Response]) -> Result<Utf8PathBuf, FactError> {
        let text = succeeded(responses, 0, self.0.as_str())?.stdout.text();
        let path = text.strip_suffix('\n').filter(|path| path.starts_with('/'));
        let path = path.map(Utf8PathBuf::from);
        path.ok_or_else(|| unreadable(self.0.as_str(), format!("readlink said {text:?}")))
    }
}

/// The name of the node that a host is: CN of the kubelet's client certificate. `None` when there is none.
#[derive(Debug, Clone)]
pub struct NodeName {
    /// `<data-dir>/agent/client-kubelet.crt`.
    pub certificate: Utf8PathBuf,
}

impl Fact for NodeName {
    type Value = Option<String>;

    fn queries(&self) -> Vec<Query> {
        vec![Query::read(&self.certificate)]
    }

    fn parse(&self, responses: &[Response]) -> Result<Option<String>, FactError> {
        let Some(certificate) = first_certificate(&self.certificate, responses)? else {
            return Ok(None);
        };
        let names = certificate
            .tbs_certificate
            .subject
            .0
            .iter()
            .flat_map(|part| part.0.iter());
        let common = names
            .filter(|name| name.oid == CN)
            .find_map(|name| std::str::from_utf8(name.value.value()).ok());
        Ok(common
            .and_then(|name| name.strip_prefix("system:node:"))
            .map(str::to_owned))
    }
}

/// Until when a certificate is valid; `None` when there is none.
#[derive(Debug, Clone)]
pub struct CertificateEnd {
    /// A PEM file, of which the first certificate counts.
    pub certificate: Utf8PathBuf,
}

impl Fact for CertificateEnd {
    type Value = Option<HostTime>;

    fn queries(&self) -> Vec<Query> {
        vec![Query::read(&self.certificate)]
    }

    fn parse(&self, responses: &[Response]) -> Result<Option<HostTime>, FactError> {
        let found = first_certificate(&self.certificate, responses)?;
        let end = found.map(|found| found.tbs_certificate.validity.not_after.to_unix_duration());
        let micros = |end: std::time::Duration| i64::try_from(end.as_micros()).unwrap_or(i64::MAX);
        Ok(end.map(|end| HostTime(micros(end))))
    }
}

fn first_certificate(
    path: &Utf8PathBuf,
    responses: &[Response],
) -> Result<Option<Certificate>, FactError> {
    let Some(pem) = content(path, responses.first())? else {
        return Ok(None);
    };
    let text = pem.text();
    let end = "-----END CERTIFICATE-----\n";
    let first = text
        .find(end)
        .and_then(|at| text.get(..at + end.len()))
        .unwrap_or(&text);
    Certificate::from_pem(first)
        .map(Some)
        .map_err(|error| unreadable(path.as_str(), error.to_string()))
}
