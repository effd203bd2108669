//! Requests as they come over the wire, answered from the model.

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;
use indexmap::IndexSet;

use super::{Event, Fleet, Host, show};
use crate::model::HostName;
use crate::secret::Content;
use crate::sim::fault::Fault;
use crate::sim::world::Files as _;
use crate::wire::{
    Become, Change, Folder, FoundFile, Guard, Holds, Owner, Query, Ran, Request, Response,
    TransportError, WriteFile,
};

/// An answer, how long it takes, and what it still waits for.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer.
    pub response: Response,
    /// On the fleet's clock.
    pub takes: Duration,
    /// Whether a systemd job must end first; see [`Fleet::job`].
    pub waits: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The model does not know the request.
    Unmodelled(String),
    /// The connection breaks now.
    Cut,
    /// The connection holds, and nobody answers.
    Frozen,
}

impl Reply {
    pub(super) fn at_once(response: Response) -> Self {
        Self {
            response,
            takes: Duration::ZERO,
            waits: false,
        }
    }
}

pub(super) fn ran(status: i32, stdout: impl AsRef<str>, stderr: impl AsRef<str>) -> Response {
    Response::Ran(words(status, stdout.as_ref(), stderr.as_ref()))
}

fn words(status: i32, stdout: &str, stderr: &str) -> Ran {
    Ran {
        status,
        stdout: Content::new(stdout.as_bytes()),
        stderr: Content::new(stderr.as_bytes()),
        timed_out: false,
    }
}

fn outcome(what: &str, path: &str, result: io::Result<()>) -> Response {
    match result {
        Ok(()) => Response::Done,
        Err(error) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            Response::Failed(words(1, "", &format!("{what}: {path}: {text}\n")))
        }
    }
}

impl Fleet {
    /// Whether a batch gets to a host at all.
    ///
    /// # Errors
    /// As a real transport's, when a fault says so.
    pub fn reach(&mut self, name: &HostName, r#become: &Become) -> Result<(), TransportError> {
        let found = self
            .by_name
            .get(name)
            .and_then(|at| self.hosts.get_mut(*at));
        let unreachable = |why: &str| {
            Err(TransportError::Unreachable {
                host: name.clone(),
                why: why.to_owned(),
                hint: format!("ssh {name} true"),
            })
        };
        let Some(host) = found else {
            return unreachable("the simulated fleet has no such host");
        };
        let boots = host.time(self.now) < host.booted;
        if boots || host.away || host.has(Fault::Unreachable) {
            return unreachable("connect: connection timed out");
        }
        host.connections += 1;
        if host.has(Fault::Flaky) && host.connections.is_multiple_of(3) {
            return Err(TransportError::NotStarted {
                host: name.clone(),
                why: "connection reset by peer".to_owned(),
            });
        }
        if *r#become != Become::Login && host.has(Fault::SudoRefused) {
            return Err(TransportError::Denied {
                host: name.clone(),
                why: "sudo: a password is required".to_owned(),
                hint: "give the password with -K, or allow sudo without one".to_owned(),
            });
        }
        Ok(())
    }

    /// Does one request now.
    ///
    /// # Errors
    /// When the model does not know it, or the connection breaks.
    pub fn perform(
        &mut self,
        name: &HostName,
        r#become: &Become,
        request: &Request,
    ) -> Result<Reply, Trouble> {
        let at = self.by_name.get(name).copied().unwrap_or(usize::MAX);
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return Err(Trouble::Cut);
        };
        host.disk.now = host.time(now);
        if host.frozen {
            return Err(Trouble::Frozen);
        }
        let writes = matches!(request, Request::Change(Change::WriteFile(_)));
        if writes && host.spend(Fault::CutWrite) {
            return Err(Trouble::Cut);
        }
        match request {
            Request::Query(Query::Run(command)) | Request::Change(Change::Run(command)) => {
                self.run(at, r#become, command)
            }
            Request::Query(query) => Ok(Reply::at_once(look(host, query, now))),
            Request::Guard(guard) => Ok(Reply::at_once(held(host, guard))),
            Request::Change(change) => Ok(Reply::at_once(self.change(at, change))),
        }
    }

    fn change(&mut self, at: usize, change: &Change) -> Response {
        let Some(host) = self.hosts.get_mut(at) else {
            return Response::Done;
        };
        host.changes += 1;
        match change {
            Change::WriteFile(file) => {
                let former = former(host, file.path.as_str());
                let response = outcome("write", file.path.as_str(), write(host, file));
                self.flipped(at, former, &response);
                response
            }
            Change::Rename { from, to } => {
                let former = former(host, to.as_str());
                let result = host.disk.rename(from.as_str(), to.as_str());
                let response = outcome("rename", from.as_str(), result);
                self.flipped(at, former, &response);
                response
            }
            Change::Remove { path } => {
                outcome("remove", path.as_str(), host.disk.remove(path.as_str()))
            }
            Change::Run(_) => Response::Done,
        }
    }

    /// A file of the configuration was replaced: faults that wait for that begin.
    fn flipped(&mut self, at: usize, former: Option<(String, Vec<u8>)>, response: &Response) {
        let (Some(former), Response::Done, Some(host)) = (former, response, self.hosts.get_mut(at))
        else {
            return;
        };
        if host.spend(Fault::UnreachableAfterFlip) {
            host.away = true;
        }
        if host.spend(Fault::WriterReverts) {
            host.former = Some(former);
            self.later(at, Duration::from_secs(5), Event::Revert);
        }
    }
}

/// A file below `/etc` as it is before it is replaced.
fn former(host: &Host, path: &str) -> Option<(String, Vec<u8>)> {
    let bytes = host.disk.read(path)?;
    path.starts_with("/etc/").then(|| (path.to_owned(), bytes))
}

fn write(host: &mut Host, file: &WriteFile) -> io::Result<()> {
    let path = file.path.as_str();
    let above = path.rsplit_once('/').map_or("/", |(above, _)| above);
    let above = if above.is_empty() { "/" } else { above };
    if !host.disk.is_directory(above) {
        if !file.make_parent || host.disk.full {
            return Err(io::ErrorKind::NotFound.into());
        }
        host.disk.make_directories(above, 0o700);
    }
    let owner = match &file.owner {
        Owner::Runner => None,
        Owner::Like(other) => {
            let stat = host.disk.stat(&host.disk.resolve(other.as_str()));
            Some(stat.ok_or(io::ErrorKind::NotFound)?)
        }
    };
    host.disk.replace(path, file.content.bytes(), file.mode)?;
    if let Some(owner) = owner {
        host.disk.set_owner(path, owner.uid, owner.gid);
    }
    Ok(())
}

/// Whether a path still holds what it held.
fn held(host: &Host, guard: &Guard) -> Response {
    let path = guard.path.as_str();
    let found = host.disk.read(path);
    let moved = match (&guard.holds, found) {
        (Holds::Bytes(_), None) => "was removed",
        (Holds::Bytes(content), Some(bytes)) if bytes != content.bytes() => "was changed",
        (Holds::Nothing, Some(_)) => "was made",
        (Holds::Names(names), _) if host.disk.list(path).unwrap_or_default() != *names => {
            return Response::Moved(format!(
                "files in {path} came or went since it was looked at"
            ));
        }
        _ => return Response::Done,
    };
    Response::Moved(format!("{path} {moved} since it was looked at"))
}

fn look(host: &Host, query: &Query, now: crate::model::HostTime) -> Response {
    match query {
        Query::Read { path, .. } if path == "/proc/uptime" => {
            let up = host.time(now).since(host.booted).as_secs_f64();
            Response::Content(Some(Content::new(format!("{up:.2} {up:.2}\n"))))
        }
        Query::Read { path, .. } if host.title(path.as_str()).is_some() => {
            Response::Content(host.title(path.as_str()).map(Content::new))
        }
        Query::Read { path, limit } => match host.disk.read(path.as_str()) {
            Some(bytes) if u64::try_from(bytes.len()).is_ok_and(|size| size > *limit) => {
                Response::Failed(words(
                    1,
                    "",
                    &format!("{path}: larger than {limit} bytes\n"),
                ))
            }
            bytes => Response::Content(bytes.map(Content::new)),
        },
        Query::Stat { path, follow } => {
            let path = if *follow {
                host.disk.resolve(path.as_str())
            } else {
                path.to_string()
            };
            Response::Stat(host.disk.stat(&path))
        }
        Query::List { path } => Response::List(host.disk.list(path.as_str())),
        Query::Files {
            paths,
            folders,
            limit,
        } => files(host, paths, folders, *limit),
        Query::Environments { units, .. } => environments(host, units),
        Query::Run(_) => Response::Done,
    }
}

fn files(host: &Host, paths: &[Utf8PathBuf], folders: &[Folder], limit: u64) -> Response {
    let listed = folders.iter().flat_map(|folder| {
        let names = host.disk.list(folder.path.as_str()).unwrap_or_default();
        let paths = names.into_iter().map(|name| folder.path.join(name));
        paths.filter(|path| folder.holds(path))
    });
    let wanted: IndexSet<Utf8PathBuf> = paths.iter().cloned().chain(listed).collect();
    let found = wanted.into_iter().filter_map(|path| {
        let stat = host.disk.stat(path.as_str())?;
        let bytes = host.disk.read(path.as_str());
        let fits = |bytes: &Vec<u8>| u64::try_from(bytes.len()).is_ok_and(|size| size <= limit);
        Some(FoundFile {
            path,
            stat: Some(stat),
            content: bytes.filter(fits).map(Content::new),
        })
    });
    Response::Files(found.collect())
}

fn environments(host: &Host, units: &[String]) -> Response {
    let runs = units
        .iter()
        .any(|pattern| show::matches(pattern, &host.unit.name));
    let settings = host.life.settings().filter(|_| runs);
    let found = settings.map(|settings| {
        let variables = settings.env.iter();
        let text: String = variables
            .flat_map(|(name, value)| [name, "=", value, "\0"])
            .collect();
        FoundFile {
            path: format!("/proc/{}/environ", host.unit.main_pid).into(),
            stat: None,
            content: Some(Content::new(text)),
        }
    });
    Response::Files(found.into_iter().collect())
}

impl Fleet {
    /// What a command answers that its deadline ended.
    #[must_use]
    pub fn timed_out() -> Response {
        super::command::timed_out()
    }
}
