//! In which order servers are restarted: the one that others join first comes first.

use crate::model::HostName;

/// What the order depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joiner {
    /// As the inventory calls it.
    pub host: HostName,
    /// Every address and name that a `server:` could mean it by.
    pub known_as: Vec<String>,
    /// The host part of its own `server:`; `None` for the first server.
    pub joins: Option<String>,
    /// Whether it keeps etcd data, or the datastore needs none.
    pub has_data: bool,
}

/// Orders servers: join targets before those that join them; servers without etcd data last (they need the join
/// target's answer to start); otherwise as given. A VIP or name that no server bears gives no edge, and a circle of
/// servers that name each other is broken in the given order.
#[must_use]
pub fn restart_order(servers: &[Joiner]) -> Vec<HostName> {
    let mut left: Vec<&Joiner> = servers.iter().collect();
    left.sort_by_key(|server| !server.has_data);
    let mut order: Vec<HostName> = Vec::new();
    while !left.is_empty() {
        let waits =
            |server: &Joiner| target(server, &left).is_some_and(|other| other.host != server.host);
        let next = left.iter().position(|server| !waits(server)).unwrap_or(0);
        order.push(left.remove(next).host.clone());
    }
    order
}

/// The server that this one joins, where it can be told.
#[must_use]
pub fn join_target<'a>(host: &HostName, servers: &'a [Joiner]) -> Option<&'a HostName> {
    let all: Vec<&Joiner> = servers.iter().collect();
    let server = servers.iter().find(|server| server.host == *host)?;
    target(server, &all).map(|other| &other.host)
}

fn target<'a>(server: &Joiner, among: &[&'a Joiner]) -> Option<&'a Joiner> {
    let joins = server.joins.as_deref()?;
    among.iter().copied().find(|other| {
        other
            .known_as
            .iter()
            .any(|name| name.eq_ignore_ascii_case(joins))
    })
}

/// The host part of `https://HOST:PORT/…`; brackets of IPv6 are taken off.
#[must_use]
pub fn host_of(url: &str) -> Option<String> {
    let rest = url.trim().strip_prefix("https://")?;
    let authority = rest.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, joins: Option<&str>, has_data: bool) -> Joiner {
        Joiner {
            host: HostName::new(name).unwrap(),
            known_as: vec![name.to_owned(), format!("10.0.0.{name}")],
            joins: joins.map(str::to_owned),
            has_data,
        }
    }

    fn order(servers: &[Joiner]) -> Vec<String> {
        restart_order(servers)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_join_target_comes_first_wherever_it_stands() {
        assert_eq!(
            order(&[
                server("a", Some("c"), true),
                server("b", Some("10.0.0.c"), true),
                server("c", None, true)
            ]),
            ["c", "a", "b"]
        );
    }

    #[test]
    fn servers_without_etcd_come_last() {
        assert_eq!(
            order(&[
                server("cp", Some("10.0.0.9"), false),
                server("etcd", None, true)
            ]),
            ["etcd", "cp"]
        );
        assert_eq!(
            order(&[server("cp", None, false), server("etcd", Some("cp"), true)]),
            ["cp", "etcd"]
        );
    }

    #[test]
    fn a_vip_gives_no_edge_and_a_circle_is_broken() {
        assert_eq!(
            order(&[
                server("a", Some("vip"), true),
                server("b", Some("vip"), true)
            ]),
            ["a", "b"]
        );
        assert_eq!(
            order(&[server("a", Some("b"), true), server("b", Some("a"), true)]),
            ["a", "b"]
        );
        assert_eq!(order(&[server("a", Some("a"), true)]), ["a"]);
    }

    #[test]
    fn the_host_of_a_url_is_found() {
        assert_eq!(
            host_of("https://10.0.0.1:6443").as_deref(),
            Some("10.0.0.1")
        );
        assert_eq!(
            host_of("https://[fd00::1]:6443/").as_deref(),
            Some("fd00::1")
        );
        assert_eq!(
            host_of("https://k3s.example.org").as_deref(),
            Some("k3s.example.org")
        );
        assert_eq!(host_of("http://10.0.0.1"), None);
    }
}
