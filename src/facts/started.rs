//! When a process started, by the host's clock of now: out of several clocks that need not agree.

use std::collections::BTreeMap;

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
    /// The clock of then, in whole seconds.
    pub(super) wall: String,
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

    /// The moment by the clock of now. The monotonic stamp is exact, unless the machine slept; a disagreement with the
    /// clock of then means that, or that the clock was stepped since, as on boards that boot without one. The process
    /// itself knows of neither. Where it cannot be asked the clock of then counts.
    pub(super) fn moment(&self, stamp: &Stamp, started: Option<&Stamp>, main_pid: u32) -> HostTime {
        let exact = self.booted.saturating_add(stamp.monotonic);
        let Some(wall) = second(&stamp.wall) else {
            return HostTime(exact);
        };
        if exact.saturating_sub(wall).abs() <= SAME {
            return HostTime(exact);
        }
        let own = self.own(main_pid).zip(started).map(|(own, started)| {
            let since = stamp.monotonic.saturating_sub(started.monotonic);
            HostTime(own.saturating_add(since))
        });
        own.unwrap_or(HostTime(wall.saturating_add(999_999)))
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

fn second(wall: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%a %Y-%m-%d %H:%M:%S UTC", wall).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(time.timestamp().as_microsecond())
}
