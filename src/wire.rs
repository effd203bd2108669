//! What crosses to a host: typed requests, their responses, and the trait that carries them.
//!
//! A request is never shell text: the SSH transport renders a whole batch into one script, and the simulated
//! fleet answers the same requests from its model.

mod error;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures::future::BoxFuture;
use serde::Serialize;

pub use error::TransportError;

use crate::model::{HostName, HostTime};
use crate::secret::Content;

/// As whom a batch runs on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Become {
    /// As the login user.
    Login,
    /// As root: directly when the login's uid is 0, else through sudo.
    Root,
    /// As another user, through sudo.
    User(String),
}

/// A program with its arguments, looked up in the host's PATH, under a deadline that the host enforces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Command {
    /// Program and arguments. Never a secret.
    pub argv: Vec<String>,
    /// Standard input; empty when `None`.
    pub stdin: Option<Content>,
    /// What the program reads from `/dev/fd/3`; the descriptor is closed when `None`.
    pub fd3: Option<Content>,
    /// The program is killed on the host after this time (SIGTERM, 5 s later SIGKILL).
    pub timeout: Duration,
    /// Whether it passes by the proxies that root's environment names: it asks the cluster itself.
    #[serde(skip)]
    pub direct: bool,
}

impl Command {
    /// A command without input and with a deadline of 30 s.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: None,
            fd3: None,
            timeout: Duration::from_secs(30),
            direct: false,
        }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same past all proxies.
    #[must_use]
    pub fn directly(mut self) -> Self {
        self.direct = true;
        self
    }

    /// The same with standard input.
    #[must_use]
    pub fn stdin(mut self, input: Content) -> Self {
        self.stdin = Some(input);
        self
    }

    /// The same with `/dev/fd/3`.
    #[must_use]
    pub fn fd3(mut self, input: Content) -> Self {
        self.fd3 = Some(input);
        self
    }
}

/// A question that changes nothing on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Query {
    /// Runs a read-only command. Answer: [`Response::Ran`].
    Run(Command),
    /// Reads a file, following links, at most `limit` bytes (a longer one is [`Response::Failed`]). Answer: [`Response::Content`].
    Read {
        /// Absolute path.
        path: Utf8PathBuf,
        /// Bytes.
        limit: u64,
    },
    /// Looks at a path. Answer: [`Response::Stat`].
    Stat {
        /// Absolute path.
        path: Utf8PathBuf,
        /// Whether a symbolic link is followed.
        follow: bool,
    },
    /// Lists the names in a directory, sorted. Answer: [`Response::List`].
    List {
        /// Absolute path.
        path: Utf8PathBuf,
    },
    /// Reads many files at once, each with what `stat` says of it, links not followed by `stat` and followed by the
    /// read; what is not there is left out. Answer: [`Response::Files`].
    Files {
        /// Absolute paths.
        paths: Vec<Utf8PathBuf>,
        /// Directories of which all files with certain endings are read, hidden ones too.
        folders: Vec<Folder>,
        /// Bytes of a file; a longer one comes without its content.
        limit: u64,
    },
    /// Reads the environment of the main process of each unit that runs. Answer: [`Response::Files`], where a path is
    /// `/proc/PID/environ`.
    Environments {
        /// Names or patterns of units.
        units: Vec<String>,
        /// Bytes of an environment.
        limit: u64,
    },
}

/// Files of a directory, by their endings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Folder {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// Such as `.yaml`; letters, digits, dots and dashes; in upper or lower case.
    pub endings: Vec<String>,
}

impl Folder {
    /// Whether a file is one of them.
    #[must_use]
    pub fn holds(&self, path: &Utf8Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_lowercase();
        path.parent() == Some(&self.path) && self.endings.iter().any(|end| name.ends_with(end))
    }
}

impl Query {
    /// Reads a file of at most 1 MiB.
    pub fn read(path: impl Into<Utf8PathBuf>) -> Self {
        Self::Read {
            path: path.into(),
            limit: 1 << 20,
        }
    }

    /// Looks at what a path leads to.
    pub fn stat(path: impl Into<Utf8PathBuf>) -> Self {
        Self::Stat {
            path: path.into(),
            follow: true,
        }
    }
}

/// Whose owner a written file gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Owner {
    /// The user that the batch runs as.
    Runner,
    /// Owner, group, ACL, extended attributes and SELinux context of this path, which exists.
    Like(Utf8PathBuf),
}

/// Writes a whole file: a temporary file in the same directory, synced, then renamed; the directory is synced too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WriteFile {
    /// Absolute path; a symbolic link there is replaced, not followed.
    pub path: Utf8PathBuf,
    /// The new bytes.
    pub content: Content,
    /// Permission bits, such as `0o600`.
    pub mode: u32,
    /// Whose it is.
    pub owner: Owner,
    /// Whether a missing parent directory is made (mode 0700).
    pub make_parent: bool,
}

impl WriteFile {
    /// A file of keyroll's own: mode 0600, owned by who writes it, in a directory that is made when it is missing.
    #[must_use]
    pub fn private(path: Utf8PathBuf, content: Content) -> Self {
        Self {
            path,
            content,
            mode: 0o600,
            owner: Owner::Runner,
            make_parent: true,
        }
    }
}

/// Time that a change of a file may take on the host, slow disks included: after it the host itself has ended it.
pub const CHANGE: Duration = Duration::from_mins(4);

/// Something that changes the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Change {
    /// Runs a command. Answer: [`Response::Ran`].
    Run(Command),
    /// Writes a file. Answer: [`Response::Done`] or [`Response::Failed`].
    WriteFile(WriteFile),
    /// Renames over whatever is at `to`, in one file system; both directories are synced. Answer as for `WriteFile`.
    Rename {
        /// Absolute path that exists.
        from: Utf8PathBuf,
        /// Absolute path.
        to: Utf8PathBuf,
    },
    /// Removes a file or an empty directory; a missing one is fine. Answer as for `WriteFile`.
    Remove {
        /// Absolute path.
        path: Utf8PathBuf,
    },
}

/// What must still be so on the host: looked at there in the same script, right before the change that relies on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Guard {
    /// Absolute path; links are followed.
    pub path: Utf8PathBuf,
    /// What is there.
    pub holds: Holds,
}

/// What a guarded path holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Holds {
    /// A file with exactly these bytes; only their digest travels.
    Bytes(Content),
    /// Nothing: there is no such path.
    Nothing,
    /// A directory with these names, sorted; a missing one has none.
    Names(Vec<String>),
}

/// One line of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub enum Request {
    /// A question.
    Query(Query),
    /// A condition of all that follows. Answer: [`Response::Done`], or [`Response::Moved`], which ends the batch.
    Guard(Guard),
    /// A change.
    Change(Change),
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ran {
    /// Exit status; 128 + n after signal n; 127 when there is no such program.
    pub status: i32,
    /// Standard output, unchanged.
    pub stdout: Content,
    /// Standard error, unchanged.
    pub stderr: Content,
    /// Whether the deadline ended it.
    pub timed_out: bool,
}

/// What kind of thing a path is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and the text it holds.
    Symlink(Utf8PathBuf),
    /// A socket, device or pipe.
    Other,
}

/// What `stat` says of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits only, such as `0o600`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the bytes, on the host's clock.
    pub mtime: HostTime,
    /// Last change of the inode: a rename moves it, unlike `mtime`.
    pub ctime: HostTime,
}

/// One of many files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundFile {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// What `stat` says; `None` for an environment.
    pub stat: Option<FileStat>,
    /// Its bytes; `None` when it is no file, too long, or cannot be read, or when they are not known.
    pub content: Option<Content>,
}

/// The answer to one request, in the order of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Response {
    /// A command ended.
    Ran(Ran),
    /// A file's bytes; `None` when there is no such file.
    Content(Option<Content>),
    /// A path's state; `None` when there is no such path.
    Stat(Option<FileStat>),
    /// Names in a directory; `None` when there is no such directory.
    List(Option<Vec<String>>),
    /// Files that were found, in the order of their paths.
    Files(Vec<FoundFile>),
    /// A change was made, or a guard holds.
    Done,
    /// A guard does not hold: what was seen. Nothing behind it was done.
    Moved(String),
    /// The host could not do it: `status` and what it said.
    Failed(Ran),
}

/// Requests that travel together. They are done in order; the first change or guard that fails ends the batch, and the
/// responses then are fewer than the requests, with [`Response::Failed`] or [`Response::Moved`] (or a `Ran` with a
/// status) last. A failed query does not end a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// As whom.
    pub r#become: Become,
    /// What.
    pub requests: Vec<Request>,
}

/// Carries batches to hosts. Implementations: `transport::ssh`, `transport::sim`.
pub trait Transport: Send + Sync {
    /// Sends a batch and waits for its answers.
    ///
    /// # Errors
    /// See [`TransportError`]; a command that fails on the host is an answer, not an error.
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>>;
}
