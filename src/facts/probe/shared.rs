//! What many tasks work out from the same answers of all servers: looked at and worked out once for all of them.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{FRESH, Probe, Scope};
use crate::k3s::token::TokenKind;
use crate::secret::Secret;

/// Kept by type and token, since there is one thing to know of a kind, and by how often servers were changed before.
pub(super) type Shelf = quick_cache::sync::Cache<(TypeId, TokenKind, u64), Kept>;

/// What was worked out, and when the looks for it began.
#[derive(Clone)]
pub(super) struct Kept {
    at: Timestamp,
    value: Arc<dyn Any + Send + Sync>,
}

/// What a run is for, where only its first look at the servers tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The token of a rotation by hand that has forgotten its agents.
    pub left_behind: Option<Secret>,
    /// Whether a rotation of the server token was past the datastore before this run, which then makes no new token.
    pub was_begun: bool,
    /// Whether somebody had taken that rotation back beside servers that run with its token.
    pub was_taken_back: bool,
}

impl Probe<'_> {
    /// What the run is for: the first answer counts to its end.
    pub async fn settled(&self, look: impl Future<Output = Settled> + Send) -> &Settled {
        self.scope.settled.get_or_init(|| look).await
    }

    /// What `look` finds by asking the servers *now*. It serves other tasks for as long as an answer does: for 30 s,
    /// unless any server is changed in between. What comes as `Err` serves this task alone. `None` in a dry run that
    /// has predicted changes: then each task must look for itself.
    pub async fn shared<T: Send + Sync + 'static>(
        &self,
        about: TokenKind,
        look: impl Future<Output = Result<T, T>> + Send,
    ) -> Option<Arc<T>> {
        if !self.overlay.is_empty() {
            return None;
        }
        let (changes, at) = (self.scope.changes_of_servers(), self.scope.clock.now());
        let (cache, kind) = (&self.scope.shelf, (TypeId::of::<T>(), about, changes));
        let is_stale = |kept: Kept| at.duration_since(kept.at) > FRESH;
        if cache.get(&kind).is_some_and(is_stale) {
            cache.remove(&kind);
        }
        let keep = async {
            let value: Arc<dyn Any + Send + Sync> = Arc::new(look.await?);
            Ok(Kept { at, value })
        };
        match cache.get_or_insert_async(&kind, keep).await {
            Ok(kept) => kept.value.downcast().ok(),
            Err(own) => Some(Arc::new(own)),
        }
    }
}

impl Scope {
    fn changes_of_servers(&self) -> u64 {
        let servers = self.fleet.servers.iter();
        servers
            .filter_map(|member| Some(self.changes.get(&member.name)?.load(Ordering::Acquire)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::BoxFuture;

    use super::super::{Fleet, Member, NewAgentToken, Overlay, RunOptions};
    use super::*;
    use crate::clock::Clock;
    use crate::model::{HostName, RunId};
    use crate::op::{Act, Op};
    use crate::secret::Secret;
    use crate::template::Vars;
    use crate::wire::{Batch, Become, Response, Transport, TransportError};

    struct Nobody;

    impl Transport for Nobody {
        fn exec<'a>(
            &'a self,
            _: &'a HostName,
            _: &'a Batch,
        ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn scope() -> Scope {
        let member = |name: &str| Member {
            name: host(name),
            address: name.to_owned(),
        };
        let fleet = Fleet {
            servers: vec![member("s1")],
            agents: vec![member("a1")],
        };
        let options = RunOptions {
            given: None,
            generated: Secret::new("generated"),
            agent: NewAgentToken {
                given: None,
                generated: Secret::new("generated for agents"),
            },
            run: RunId("r".to_owned()),
            forks: std::num::NonZeroUsize::MIN,
            words: crate::facts::probe::Words::default(),
        };
        let (learn, _) = std::sync::mpsc::channel();
        Scope::new(
            Arc::new(Nobody),
            fleet,
            options,
            Clock::starting_at(jiff::Timestamp::now(), 1),
            learn,
        )
    }

    async fn ask(scope: &Scope, overlay: &Overlay, found: Result<u8, u8>) -> Option<u8> {
        let (agent, vars) = (host("a1"), Vars::default());
        let probe = Probe::new(&agent, &Become::Root, &vars, scope, overlay);
        let about = TokenKind::Server;
        probe
            .shared(about, async move { found })
            .await
            .map(|found| *found)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_serves_until_a_server_is_changed_or_half_a_minute_is_over() {
        let (scope, real) = (scope(), Overlay::default());
        assert_eq!(ask(&scope, &real, Ok(1)).await, Some(1));
        assert_eq!(ask(&scope, &real, Ok(2)).await, Some(1));
        scope.changed(&host("a1"));
        assert_eq!(ask(&scope, &real, Ok(3)).await, Some(1));
        scope.changed(&host("s1"));
        assert_eq!(ask(&scope, &real, Ok(4)).await, Some(4));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(ask(&scope, &real, Ok(5)).await, Some(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_sure_and_what_is_predicted_serves_one_task() {
        let (scope, mut predicted) = (scope(), Overlay::default());
        assert_eq!(ask(&scope, &predicted, Err(1)).await, Some(1));
        assert_eq!(ask(&scope, &predicted, Ok(2)).await, Some(2));
        let path = "/etc/x".into();
        predicted.predict(&Op::root(&host("s1"), "for a test", Act::Remove { path }));
        assert_eq!(ask(&scope, &predicted, Ok(3)).await, None);
    }
}
