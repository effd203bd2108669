//! Cuts the hosts of a play into batches.

use crate::playbook::BatchSize;

/// Hosts in the order given, batch by batch. Without `serial` one batch; the last entry of `serial` repeats.
/// A share is one of all hosts of the play, rounded down, and at least one host.
#[must_use]
pub fn batches<H: Clone>(hosts: &[H], serial: &[BatchSize]) -> Vec<Vec<H>> {
    let mut rest = hosts;
    let mut sizes = serial.iter();
    let mut size = hosts.len();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        if let Some(next) = sizes.next() {
            size = count(*next, hosts.len());
        }
        let (batch, later) = rest.split_at(size.clamp(1, rest.len()));
        batches.push(batch.to_vec());
        rest = later;
    }
    batches
}

fn count(size: BatchSize, hosts: usize) -> usize {
    match size {
        BatchSize::Count(count) => count.get(),
        BatchSize::Share(share) => hosts.saturating_mul(usize::from(share.get())) / 100,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::batches;
    use crate::model::Percent;
    use crate::playbook::BatchSize;

    fn some(count: usize) -> BatchSize {
        BatchSize::Count(NonZeroUsize::new(count).expect("not zero"))
    }

    fn share(percent: u64) -> BatchSize {
        BatchSize::Share(Percent::new(percent).expect("a percentage"))
    }

    fn sizes(hosts: usize, serial: &[BatchSize]) -> Vec<usize> {
        let hosts: Vec<usize> = (0..hosts).collect();
        batches(&hosts, serial).iter().map(Vec::len).collect()
    }

    #[test]
    fn without_serial_all_hosts_are_one_batch() {
        assert_eq!(sizes(7, &[]), [7]);
        assert_eq!(sizes(0, &[]), [0; 0]);
    }

    #[test]
    fn a_share_rounds_down_and_is_at_least_one() {
        assert_eq!(
            sizes(25, &[share(10)]),
            [2; 12].into_iter().chain([1]).collect::<Vec<_>>()
        );
        assert_eq!(sizes(3, &[share(10)]), [1, 1, 1]);
        assert_eq!(sizes(3, &[share(100)]), [3]);
    }

    #[test]
    fn the_last_entry_of_a_list_repeats() {
        assert_eq!(sizes(20, &[some(1), share(25)]), [1, 5, 5, 5, 4]);
        assert_eq!(sizes(2, &[some(1), some(10)]), [1, 1]);
    }

    proptest! {
        #[test]
        fn every_host_is_in_exactly_one_batch_in_order(
            hosts in 0..200_usize,
            counts in proptest::collection::vec((any::<bool>(), 1..100_usize), 0..4),
        ) {
            let serial: Vec<BatchSize> = counts
                .iter()
                .map(|(by_share, n)| if *by_share { share(*n as u64) } else { some(*n) })
                .collect();
            let all: Vec<usize> = (0..hosts).collect();
            let cut = batches(&all, &serial);
            prop_assert!(cut.iter().all(|batch| !batch.is_empty()));
            prop_assert_eq!(cut.concat(), all);
        }
    }
}
