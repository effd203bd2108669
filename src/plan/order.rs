//! In which order a play takes its hosts.

use std::collections::HashMap;

use crate::model::HostName;
use crate::playbook::Order;

/// Hosts in the play's order. `looked_up` is the order that `join_target_first` has found on the hosts; those that
/// it does not name come last, as they stood.
pub(super) fn ordered(
    mut hosts: Vec<HostName>,
    order: Order,
    looked_up: Option<&[HostName]>,
) -> Vec<HostName> {
    match order {
        Order::Inventory => {}
        Order::ReverseInventory => hosts.reverse(),
        Order::Sorted => hosts.sort(),
        Order::ReverseSorted => {
            hosts.sort();
            hosts.reverse();
        }
        Order::JoinTargetFirst => {
            let ranks: HashMap<&HostName, usize> = looked_up
                .unwrap_or_default()
                .iter()
                .enumerate()
                .map(|(rank, host)| (host, rank))
                .collect();
            hosts.sort_by_key(|host| ranks.get(host).copied().unwrap_or(usize::MAX));
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<HostName> {
        text.split(' ')
            .map(|name| HostName::new(name).expect("a name"))
            .collect()
    }

    #[test]
    fn hosts_are_sorted_as_asked() {
        assert_eq!(
            ordered(names("b c a"), Order::Inventory, None),
            names("b c a")
        );
        assert_eq!(
            ordered(names("b c a"), Order::ReverseInventory, None),
            names("a c b")
        );
        assert_eq!(ordered(names("b c a"), Order::Sorted, None), names("a b c"));
        assert_eq!(
            ordered(names("b c a"), Order::ReverseSorted, None),
            names("c b a")
        );
    }

    #[test]
    fn a_looked_up_order_wins_and_the_unknown_come_last() {
        let looked_up = names("c x a");
        assert_eq!(
            ordered(names("b c a d"), Order::JoinTargetFirst, Some(&looked_up)),
            names("c a b d")
        );
        assert_eq!(
            ordered(names("b a"), Order::JoinTargetFirst, None),
            names("b a")
        );
    }
}
