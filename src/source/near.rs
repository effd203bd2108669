//! "Did you mean": the known name nearest to one that is not known.

/// The nearest of `known` names, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = name.to_lowercase().replace('-', "_");
    let distance =
        |candidate: &str| strsim::osa_distance(&plain, &candidate.to_lowercase().replace('-', "_"));
    let best = known
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (best.0 <= plain.chars().count().div_ceil(3).min(3)).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        assert_eq!(nearest("host", ["hosts", "name"]), Some("hosts"));
        assert_eq!(nearest("k3s-restart", ["k3s_restart"]), Some("k3s_restart"));
        assert_eq!(nearest("Serial", ["serial"]), Some("serial"));
        assert_eq!(nearest("disk_ful", ["disk-full"]), Some("disk-full"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(nearest("frobnicate", ["hosts", "name"]), None);
        assert_eq!(nearest("when", [] as [&str; 0]), None);
    }
}
