use super::*;
use crate::inventory::parse;
use crate::source::Source;

fn chosen(pattern: &str) -> Result<String, String> {
    let text = "server:\n  hosts:\n    s[1:3]:\nagent:\n  hosts:\n    a[1:4]:\n    s1:\n";
    let inventory = parse(&Source::new("hosts.yml", text, &[])).expect("an inventory");
    let hosts = select(&inventory, pattern).map_err(|error| error.what)?;
    Ok(hosts
        .iter()
        .map(HostName::as_str)
        .collect::<Vec<_>>()
        .join(" "))
}

#[test]
fn patterns_choose_hosts_in_order() {
    for (pattern, hosts) in [
        ("all", "s1 s2 s3 a1 a2 a3 a4"),
        ("*", "s1 s2 s3 a1 a2 a3 a4"),
        ("agent", "s1 a1 a2 a3 a4"),
        ("a2", "a2"),
        ("a3,s2", "a3 s2"),
        ("agent:server", "s1 a1 a2 a3 a4 s2 s3"),
        ("all:!server", "a1 a2 a3 a4"),
        ("!server", "a1 a2 a3 a4"),
        ("server:&agent", "s1"),
        // The group `all` fits too, as in Ansible.
        ("a*:!a1", "s1 s2 s3 a2 a3 a4"),
        ("ag*:!a1", "s1 a2 a3 a4"),
        ("?2", "s2 a2"),
        ("s*", "s1 s2 s3"),
        ("server[0]", "s1"),
        ("server[-1]", "s3"),
        ("server[1:2]", "s2 s3"),
        ("server[1:]", "s2 s3"),
        ("server[:1]", "s1 s2"),
        ("server[0-1]", "s1 s2"),
        ("server[9]", ""),
        ("all[1:2],a4", "s2 s3 a4"),
    ] {
        assert_eq!(chosen(pattern), Ok(hosts.to_owned()), "{pattern}");
    }
}

#[test]
fn what_names_nothing_is_an_error() {
    for pattern in [
        "x",
        "x*",
        "server:!x",
        "server[x]",
        "server[]",
        "",
        " , ",
        "~s.*",
        "@file",
        "s1[",
        "[0]",
    ] {
        assert!(chosen(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn a_fleet_without_agents_has_an_empty_group_of_them() {
    let inventory =
        parse(&Source::new("h.yml", "server:\n  hosts:\n    s1:\n", &[])).expect("an inventory");
    assert_eq!(select(&inventory, "agent[0]"), Ok(Vec::new()));
}

#[test]
fn older_group_names_are_told() {
    let text = "master:\n  hosts:\n    s1:\nnode:\n  hosts:\n    a1:\n";
    let inventory = parse(&Source::new("h.yml", text, &[])).expect("an inventory");
    let error = select(&inventory, "server").expect_err("no such group");
    assert!(error.help.contains("`master`"), "{}", error.help);
    assert!(
        select(&inventory, "agent")
            .expect_err("no such group")
            .help
            .contains("`node`")
    );
}
