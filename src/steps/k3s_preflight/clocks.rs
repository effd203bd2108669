//! The servers' clocks: K3s compares the times of files that different servers wrote, and forgives three seconds.

use futures::future::join_all;

use crate::facts::{FactError, Probe};
use crate::model::HostName;
use crate::steps::look::Cluster;
use crate::steps::{StepError, Unmet};

/// What K3s forgives, in microseconds.
const FORGIVEN: i64 = 3_000_000;

/// How far a host's clock is ahead of ours, at least and at most: the answer took its time on the way.
struct Ahead<'a> {
    host: &'a HostName,
    least: i64,
    most: i64,
}

/// Says which server's clock is off; only what no round trip explains.
pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
) -> Result<Option<Unmet>, StepError> {
    let asked = cluster.servers.iter().map(|server| async {
        let host = &server.seen.host;
        let (least, most) = probe.ahead(host).await?;
        Ok::<_, FactError>(Ahead { host, least, most })
    });
    let mut clocks = Vec::new();
    for clock in join_all(asked).await {
        clocks.push(clock?);
    }
    let (Some(last), Some(first)) = (
        clocks.iter().max_by_key(|clock| clock.least),
        clocks.iter().min_by_key(|clock| clock.most),
    ) else {
        return Ok(None);
    };
    let apart = last.least - first.most;
    Ok((apart > FORGIVEN).then(|| {
        Unmet::new(
            "clocks-differ",
            format!(
                "the clock of {} is {} s ahead of that of {}, and K3s forgives 3 s",
                last.host,
                apart / 1_000_000,
                first.host
            ),
            "let every server keep its time by NTP (timedatectl), and wait until they agree",
        )
    }))
}
