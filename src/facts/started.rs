//! When a process started, by the host's clock of now and by that of then: out of several clocks that need not agree.

use std::collections::BTreeMap;

use crate::k3s::unsaved::Start;
use crate::model::HostTime;

/// Ticks a second in `/proc`, on every architecture that K3s is built for.
const TICKS: i64 = 100;
/// On a machine of its own the first process starts with the kernel; later only in a container.
const BOOT: i64 = 5 * TICKS;
/// Stamps that differ by less are the same: one of them has whole seconds.
const SAME: i64 = 2_500_000;

/// A moment as systemd recorded it when it came.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// Microseconds of the clock that stands still while the machine sleeps.
    pub(super) monotonic: i64,
    /// The clock of then: to the microsecond, or before systemd 247 in whole seconds.
    pub(super) wall: String,
}

impl Stamp {
    /// From when to when it may have been, by the clock of then.
    fn wall(&self) -> Option<(i64, i64)> {
        let time =
            jiff::civil::DateTime::strptime("%a %Y-%m-%d %H:%M:%S%.f UTC", &self.wall).ok()?;
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        let time = time.timestamp().as_microsecond();
        let is_exact = self.wall.contains('.');
        Some((
            time,
            if is_exact {
                time
            } else {
                time.saturating_add(999_999)
            },
        ))
    }
}

/// When a start may have written files, whose stamps are of the clock of then as well. Unlike a moment by the clock of now
/// it is the same at every look, and a clock that was stepped since changes nothing. One that was stepped *during* the
/// start makes it as long as it can have been.
pub(super) fn start(started: &Stamp, ready: &Stamp) -> Option<Start> {
    let ((from, latest), (earliest, until)) = (started.wall()?, ready.wall()?);
    let took = ready.monotonic.saturating_sub(started.monotonic);
    let by_ready = earliest.saturating_sub(took);
    let (from, until) = if by_ready.saturating_sub(from).abs() <= SAME {
        (from, until)
    } else {
        (from.min(by_ready), until.max(latest.saturating_add(took)))
    };
    Some(Start {
        from: HostTime(from),
        until: HostTime(until),
    })
}

/// When the machine booted, and which processes started when, counted from there.
pub(super) struct BootClock {
    booted: i64,
    /// By process id.
    ticks: BTreeMap<u32, i64>,
}

impl BootClock {
    /// Reads lines `Started=` with a line of `/proc/PID/stat` each.
    pub(super) fn read(text: &str, booted: i64) -> Self {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("Started="));
        let ticks = lines.filter_map(ticks).collect();
        Self { booted, ticks }
    }

    /// The moment by the clock of now. The monotonic stamp tells it, unless the machine slept; a disagreement with the
    /// clock of then means that, or that the clock was stepped since, as on boards that boot without one. The process
    /// itself knows of neither. Where it cannot be asked the clock of then counts, as it does where both agree and it is
    /// exact: it is the same at every look.
    pub(super) fn moment(&self, stamp: &Stamp, started: Option<&Stamp>, main_pid: u32) -> HostTime {
        let counted = self.booted.saturating_add(stamp.monotonic);
        let Some((wall, latest)) = stamp.wall() else {
            return HostTime(counted);
        };
        if counted.saturating_sub(wall).abs() <= SAME {
            return HostTime(if wall == latest { wall } else { counted });
        }
        let own = self.own(main_pid).zip(started).map(|(own, started)| {
            let since = stamp.monotonic.saturating_sub(started.monotonic);
            HostTime(own.saturating_add(since))
        });
        own.unwrap_or(HostTime(latest))
    }

    /// When the process started. Not in a container, whose uptime may be its own while its processes count from the
    /// boot of the machine.
    fn own(&self, pid: u32) -> Option<i64> {
        self.ticks.get(&1).filter(|first| **first <= BOOT)?;
        let ticks = self.ticks.get(&pid)?;
        Some(
            self.booted
                .saturating_add(ticks.saturating_mul(1_000_000 / TICKS)),
        )
    }
}

/// The process id and field 22 of a line of `/proc/PID/stat`; the program's name in parentheses may hold anything.
fn ticks(stat: &str) -> Option<(u32, i64)> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some((pid, fields.split(' ').nth(19)?.parse().ok()?))
}
