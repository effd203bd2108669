//! Every mistake has its place.

use super::*;

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

const SHAPE: &str = "write `sim:SERVERS+AGENTS`";
const FAULTS: &str = "There are: never-returns, dies-in-settle";

/// Each string, what its mistake is, the part that is pointed at, and a part of what there is instead.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("sim:0+3", "a fleet needs a server", "0", SHAPE),
    ("sim:x+3", "`x` is not a number of servers", "x", SHAPE),
    ("sim:+3", "the number of servers is missing", ":", SHAPE),
    ("sim:3+", "the number of agents is missing", "+", SHAPE),
    ("sim:3", "`3` is not SERVERS+AGENTS", "3", SHAPE),
    ("sim:", "`` is not SERVERS+AGENTS", ":", SHAPE),
    ("sim:3+-1", "`-1` is not a number of agents", "-1", SHAPE),
    ("sim:3+1.5", "`1.5` is not a number", "1.5", SHAPE),
    ("sim:3+9999999", "up to 100000", "9999999", SHAPE),
    ("sim:3+8?", "there is no parameter here", "?", "one `&`"),
    (
        "sim:3+8?seed=1&",
        "there is no parameter here",
        "&",
        "one `&`",
    ),
    (
        "sim:3+8?seed=1&&k3s=x",
        "there is no parameter here",
        "&",
        "one `&`",
    ),
    (
        "sim:3+8?colour=red",
        "there is no parameter `colour`",
        "colour",
        "There are: datastore, state,",
    ),
    (
        "sim:3+8?seeed=1",
        "there is no parameter `seeed`",
        "seeed",
        "did you mean `seed`?",
    ),
    ("sim:3+8?seed", "`seed` has no value", "seed", "a number"),
    ("sim:3+8?seed=", "`seed` has no value", "seed=", "a number"),
    ("sim:3+8?seed=x", "`seed` cannot be `x`", "x", "a number"),
    (
        "sim:3+8?seed=1&seed=1",
        "`seed` is given twice",
        "seed=1",
        "leave one",
    ),
    ("sim:3+8?state=", "`state` has no value", "state=", "a file"),
    (
        "sim:3+8?unknown=maybe",
        "`unknown` cannot be `maybe`",
        "maybe",
        "can be ok",
    ),
    (
        "sim:3+8?k3s=v9",
        "`k3s` cannot be `v9`",
        "v9",
        "v1.34.3+k3s1, v1.32.4+k3s1, v1.28.8+k3s1 or v1.28.2+k3s1",
    ),
    (
        "sim:3+8?datastore=mysql",
        "there is no datastore `mysql`",
        "mysql",
        "sqlite, etcd, external",
    ),
    (
        "sim:3+8?datastore=sqlite",
        "3 servers cannot share",
        "sqlite",
        "datastore=external",
    ),
    (
        "sim:3+8?surface=moon",
        "`surface` cannot be `moon`",
        "moon",
        "drop-in",
    ),
    (
        "sim:1+8?topology=split",
        "`topology` cannot be `split`",
        "split",
        "at least 2 servers",
    ),
    (
        "sim:3+8?topology=split&datastore=external",
        "split roles",
        "topology=split&datastore=external",
        "leave",
    ),
    ("sim:3+8?joins=me", "`joins` cannot be `me`", "me", "vip"),
    (
        "sim:3+8?agent-token=x",
        "`agent-token` cannot be `x`",
        "x",
        "separate",
    ),
    (
        "sim:3+8?disable-agent=no",
        "`disable-agent` cannot be `no`",
        "no",
        "can be yes",
    ),
    (
        "sim:3+8?data-dir=x",
        "`data-dir` cannot be `x`",
        "x",
        "an absolute path",
    ),
    (
        "sim:3+8?unit=a b",
        "`unit` cannot be `a b`",
        "a b",
        "a name",
    ),
    ("sim:3+8?port=x", "`port` cannot be `x`", "x", "1 to 65535"),
    ("sim:3+8?port=0", "`port` cannot be `0`", "0", "1 to 65535"),
    (
        "sim:3+8?fault=",
        "`fault` has no value",
        "fault=",
        "HOST:NAME",
    ),
    (
        "sim:3+8?fault=agent-1",
        "`agent-1` is not HOST:NAME",
        "agent-1",
        "fault=agent-2:unreachable",
    ),
    (
        "sim:3+8?fault=agent-9:flaky",
        "no host `agent-9`",
        "agent-9",
        "server-1 to server-3 and agent-1 to agent-8",
    ),
    (
        "sim:1+0?fault=agent-1:flaky",
        "no host `agent-1`",
        "agent-1",
        "there are server-1",
    ),
    (
        "sim:3+8?fault=agent-1:",
        "there is no fault ``",
        ":",
        FAULTS,
    ),
    (
        "sim:3+8?fault=agent-1:moon",
        "there is no fault `moon`",
        "moon",
        FAULTS,
    ),
    (
        "sim:3+8?fault=agent-1:etcd-ill",
        "`etcd-ill` is a fault of servers",
        "agent-1:etcd-ill",
        "there are server-1",
    ),
    (
        "sim:3+8?fault=server-1:foreign-token",
        "is a fault of agents",
        "server-1:foreign-token",
        "agent-1",
    ),
    (
        "sim:3+8?fault=agent-1:flaky&fault=agent-1:flaky",
        "has the fault `flaky` twice",
        "agent-1:flaky",
        "leave one",
    ),
];

#[test]
fn each_mistake_is_pointed_at() {
    for (text, what, part, help) in MISTAKES {
        let error = parse(text).unwrap_err();
        let at = error.at.offset()..error.at.offset() + error.at.len();
        assert!(error.what.contains(what), "{text}: {}", error.what);
        assert_eq!(&error.text[at], *part, "{text}");
        assert!(error.help.contains(help), "{text}: {}", error.help);
    }
}

#[test]
fn the_part_is_marked_below_the_string() {
    let error = parse("sim:3+8?state=ä.json&fault=agent-9:flaky").unwrap_err();
    let wanted = [
        "  sim:3+8?state=ä.json&fault=agent-9:flaky",
        "                             ^^^^^^^",
    ];
    assert_eq!(error.pointed(), wanted.join("\n"));
    let error = parse("sim:").unwrap_err();
    assert_eq!(error.pointed(), "  sim:\n     ^");
}

#[test]
fn the_second_of_two_parameters_is_pointed_at() {
    let error = parse("sim:3+8?seed=1&seed=1").unwrap_err();
    assert_eq!(error.at.offset(), "sim:3+8?seed=1&".len());
}

/// Each parameter's help names no value that the parser does not take.
#[test]
fn what_the_help_names_exists() {
    for text in [
        "k3s=v1.34.3+k3s1",
        "k3s=v1.32.4+k3s1",
        "datastore=etcd",
        "datastore=external",
        "surface=drop-in",
        "surface=token-file",
        "topology=split",
        "joins=vip",
        "agent-token=separate",
        "disable-agent=yes",
        "unknown=ok",
        "unit=k3s-main",
        "port=65535",
    ] {
        parse(&format!("sim:3+8?{text}")).unwrap();
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
