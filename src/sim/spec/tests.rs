//! Every mistake has its place.

use super::*;

fn wrong(text: &str) -> (String, String) {
    let error = parse(text).unwrap_err();
    let at = error.at.offset()..error.at.offset() + error.at.len();
    (error.what, error.text[at].to_owned())
}

#[test]
fn a_fleet_with_all_parameters_is_read() {
    let spec = parse("sim:1+2?datastore=etcd&state=a%20b.json&fault=agent-2:unreachable&fault=server-1:put-500&seed=7&unknown=ok").unwrap();
    assert_eq!(
        (spec.servers, spec.agents, spec.datastore),
        (1, 2, Datastore::Etcd)
    );
    assert_eq!(
        (spec.seed, spec.unknown_ok, spec.faults.len()),
        (7, true, 2)
    );
    assert_eq!(spec.state.unwrap(), "a b.json");
}

#[test]
fn one_server_has_sqlite_and_more_have_etcd() {
    assert_eq!(parse("sim:1+0").unwrap().datastore, Datastore::Sqlite);
    assert_eq!(parse("sim:3+0").unwrap().datastore, Datastore::Etcd);
}

#[test]
fn each_mistake_is_pointed_at() {
    for (text, part) in [
        ("sim:0+3", "0"),
        ("sim:x+3", "x"),
        ("sim:3", "3"),
        ("sim:", ""),
        ("sim:3+-1", "-1"),
        ("sim:3+8?fault=agent-9:unreachable", "agent-9"),
        ("sim:3+8?fault=agent-1:unreachible", "unreachible"),
        ("sim:3+8?fault=agent-1", "agent-1"),
        ("sim:3+8?colour=red", "colour"),
        ("sim:3+8?seed=x", "x"),
        ("sim:3+8?unknown=maybe", "maybe"),
        ("sim:3+8?datastore=mysql", "mysql"),
        ("sim:3+8?datastore=sqlite", "sqlite"),
        ("sim:3+8?state=", "state="),
        ("sim:3+8?", ""),
        ("sim:3+8?surface=moon", "moon"),
        ("sim:1+8?topology=split", "split"),
        ("sim:3+8?joins=me", "me"),
        ("sim:3+8?port=x", "x"),
        ("sim:3+8?data-dir=x", "x"),
    ] {
        assert_eq!(wrong(text).1, part, "{text}");
    }
}

#[test]
fn an_unknown_fault_lists_what_there_is() {
    let error = parse("sim:3+8?fault=agent-1:unreachible").unwrap_err();
    assert!(
        error.help.starts_with("did you mean `unreachable`?"),
        "{}",
        error.help
    );
    assert!(error.help.contains("reboot-mid-rotation"));
}

#[test]
fn the_inventory_has_both_groups_and_their_parent() {
    let inventory = parse("sim:3+8").unwrap().inventory();
    let size = |name: &str| inventory.groups[&GroupName::new(name).unwrap()].len();
    assert_eq!(
        (
            size("server"),
            size("agent"),
            size("k3s_cluster"),
            size("all")
        ),
        (3, 8, 11, 11)
    );
    let host = &inventory.hosts[&HostName::new("agent-1").unwrap()];
    assert_eq!(host.connect.address.as_deref(), Some("10.0.1.4"));
}
