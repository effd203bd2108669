//! What a dry run has predicted so far, laid over what hosts really answer.
//!
//! Empty on a real run. Only files are predicted: later tasks read the files that earlier ones would have written.

use camino::{Utf8Path, Utf8PathBuf};
use imbl::HashMap;

use crate::model::{HostName, HostTime};
use crate::op::{Act, Op, Until};
use crate::secret::Content;
use crate::wire::{FileKind, FileStat, FoundFile, Query, Response};

/// Predicted files of all hosts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Overlay(HashMap<HostName, Predicted>);

#[derive(Debug, Clone, Default)]
struct Predicted {
    files: HashMap<Utf8PathBuf, Entry>,
    restarted: bool,
}

#[derive(Debug, Clone)]
enum Entry {
    Written {
        content: Content,
        mode: u32,
    },
    /// What stands at this other path on the real host.
    MovedFrom(Utf8PathBuf),
    Gone,
}

impl Overlay {
    /// Whether anything was predicted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what an operation would leave.
    pub fn predict(&mut self, op: &Op) {
        let host = self.0.entry(op.on.clone()).or_default();
        match &op.act {
            Act::Run { leaves, .. } => {
                for (path, content) in leaves {
                    host.files.insert(
                        path.clone(),
                        Entry::Written {
                            content: content.clone(),
                            mode: 0o600,
                        },
                    );
                }
            }
            Act::WriteFile(file) => {
                host.files.insert(
                    file.path.clone(),
                    Entry::Written {
                        content: file.content.clone(),
                        mode: file.mode,
                    },
                );
            }
            Act::Rename { from, to } => {
                let moved = host
                    .files
                    .remove(from)
                    .unwrap_or_else(|| Entry::MovedFrom(from.clone()));
                host.files.insert(from.clone(), Entry::Gone);
                host.files.insert(to.clone(), moved);
            }
            Act::Remove { path } => {
                host.files.insert(path.clone(), Entry::Gone);
            }
            Act::Wait(wait) if matches!(wait.until, Until::Restarted { .. }) => {
                host.restarted = true;
            }
            Act::Tell(_) | Act::Keep(_) | Act::Fetch(_) | Act::Wait(_) => {}
        }
    }

    /// What is left to ask the real host, in the order of `queries`.
    pub(super) fn ask(&self, host: &HostName, queries: &[Query]) -> Vec<Query> {
        queries
            .iter()
            .filter_map(|query| self.substitute(host, query))
            .collect()
    }

    /// Puts predicted answers between the real ones.
    pub(super) fn lay_over(
        &self,
        host: &HostName,
        queries: &[Query],
        answers: Vec<Response>,
    ) -> Vec<Response> {
        let Some(predicted) = self.0.get(host) else {
            return answers;
        };
        let mut real = answers.into_iter();
        let answer = |query| match self.substitute(host, query) {
            Some(_) => real.next().map(|answer| predicted.aged(query, answer)),
            None => Some(predicted.answer(query)),
        };
        queries.iter().filter_map(answer).collect()
    }

    fn substitute(&self, host: &HostName, query: &Query) -> Option<Query> {
        let entry = path_of(query).and_then(|path| self.0.get(host)?.files.get(path));
        match (entry, query) {
            (None, _) => Some(query.clone()),
            (Some(Entry::MovedFrom(from)), Query::Read { limit, .. }) => Some(Query::Read {
                path: from.clone(),
                limit: *limit,
            }),
            (Some(Entry::MovedFrom(from)), Query::Stat { follow, .. }) => Some(Query::Stat {
                path: from.clone(),
                follow: *follow,
            }),
            (Some(_), _) => None,
        }
    }
}

impl Predicted {
    fn changed_at(&self) -> HostTime {
        HostTime(if self.restarted { 0 } else { i64::MAX })
    }

    fn aged(&self, query: &Query, answer: Response) -> Response {
        if let (Query::Files { paths, folders, .. }, Response::Files(files)) = (query, &answer) {
            let asked = |path: &Utf8PathBuf| {
                paths.contains(path) || folders.iter().any(|folder| folder.holds(path))
            };
            return Response::Files(self.among(files, asked));
        }
        let moved = path_of(query).is_some_and(|path| self.files.contains_key(path));
        match answer {
            Response::Stat(Some(stat)) if moved || self.restarted => {
                Response::Stat(Some(FileStat {
                    ctime: self.changed_at(),
                    ..stat
                }))
            }
            answer => answer,
        }
    }

    /// Many files, with those that were predicted. What was moved is left for a look of its own.
    fn among(&self, files: &[FoundFile], asked: impl Fn(&Utf8PathBuf) -> bool) -> Vec<FoundFile> {
        let real = files.iter().cloned().map(|mut file| {
            if let (true, Some(stat)) = (self.restarted, &mut file.stat) {
                stat.ctime = self.changed_at();
            }
            file
        });
        let mut all: Vec<FoundFile> = real
            .filter(|file| !self.files.contains_key(&file.path))
            .collect();
        for (path, entry) in self.files.iter().filter(|(path, _)| asked(path)) {
            let content = match entry {
                Entry::Gone => continue,
                Entry::MovedFrom(_) => None,
                Entry::Written { content, .. } => Some(content.clone()),
            };
            let stat = match entry {
                Entry::Written { content, mode } => Some(self.written(content, *mode)),
                Entry::MovedFrom(_) | Entry::Gone => None,
            };
            let path = path.clone();
            all.push(FoundFile {
                path,
                stat,
                content,
            });
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    fn written(&self, content: &Content, mode: u32) -> FileStat {
        FileStat {
            kind: FileKind::File,
            mode,
            uid: 0,
            gid: 0,
            size: content.bytes().len() as u64,
            mtime: self.changed_at(),
            ctime: self.changed_at(),
        }
    }

    fn answer(&self, query: &Query) -> Response {
        let entry = path_of(query).and_then(|path| self.files.get(path));
        match (query, entry) {
            (Query::Read { .. }, Some(Entry::Written { content, .. })) => {
                Response::Content(Some(content.clone()))
            }
            (Query::Stat { .. }, Some(Entry::Written { content, mode })) => {
                Response::Stat(Some(self.written(content, *mode)))
            }
            (Query::Stat { .. }, _) => Response::Stat(None),
            _ => Response::Content(None),
        }
    }
}

fn path_of(query: &Query) -> Option<&Utf8Path> {
    match query {
        Query::Read { path, .. } | Query::Stat { path, .. } => Some(path),
        Query::Run(_) | Query::List { .. } | Query::Files { .. } | Query::Environments { .. } => {
            None
        }
    }
}
