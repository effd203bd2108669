//! Faults of the model's catalogue as a real host has them: made by systemd, mounts and cables, never by K3s itself, so
//! that a real K3s has them too.

use super::backend::Backend as _;
use super::lab::Cluster;

const DROP_IN: &str = "90-fault.conf";
/// What keyroll says of the built-in playbook when the datastore has the new token,
const ROTATED: &str = ": Re-encrypt the datastore";
/// when all servers have it in their configuration,
const FLIPPED: &str = "Servers take it, one at a time (1 of";
/// and when the first agent has restarted.
const WATCHED: &str = "gate:One agent first#1 watches";

pub(super) fn inflict(cluster: &Cluster<'_>, host: &str, fault: &str) {
    let data = &cluster.desk().topology.data_dir;
    match fault {
        "never-returns" => drop_in(cluster, host, "ExecStartPre=/bin/sleep infinity"),
        "slow-start" => drop_in(cluster, host, "ExecStartPre=/bin/sleep 12"),
        "dies-in-settle" => drop_in(
            cluster,
            host,
            &format!("Restart=no\nExecStartPost={}", killer(2)),
        ),
        "crash-once" => {
            let once = format!(
                "test -e /run/crashed || {{ : >/run/crashed; {}; }}",
                killer(2)
            );
            drop_in(cluster, host, &format!("ExecStartPost=/bin/sh -c '{once}'"));
        }
        "unreachable" => cluster.power(host, "unplugged"),
        "unreachable-at-restart" => when_started(cluster, host, &["link", "down"]),
        "frozen" => when_started(cluster, host, &["pause"]),
        "power-cut" => once_watched(cluster, host, &["kill"]),
        "unit-failing" => drop_in(cluster, host, "ExecStartPre=/nowhere"),
        "unreachable-after-flip" => {
            let mut unplug = cluster.call_later(host, &["link", "down"]);
            let file = surface(cluster, host);
            cluster.when_replaced(host, &file, move || {
                unplug.assert().success();
            });
        }
        "writer-reverts" => {
            let file = surface(cluster, host);
            let former = cluster.read(host, &file).unwrap().text;
            let path = cluster.disk(host).join(&file[1..]);
            cluster.once_said(FLIPPED, move || std::fs::write(path, former).unwrap());
        }
        "sudo-refused" => log_in_as(cluster, host, "ansible_user: plain"),
        "password-wrong" => log_in_as(
            cluster,
            host,
            "ansible_user: asker\n          ansible_become_password: not-this-one",
        ),
        "host-keys-unknown" => {
            let config = std::fs::read_to_string(cluster.ssh_config()).unwrap();
            let known = cluster.lab_file("known_hosts").display().to_string();
            let strange = cluster.desk().file("strange").display().to_string();
            std::fs::write(cluster.ssh_config(), config.replace(&known, &strange)).unwrap();
        }
        "read-only-etc" => cluster.shell(host, &read_only("/etc")),
        "snapshot-fails" => {
            let folder = format!("{data}/server/db/snapshots");
            cluster.shell(host, &format!("mkdir -p {folder}"));
            cluster.shell(host, &read_only(&folder));
        }
        _ => of_files(cluster, host, fault),
    }
}

fn of_files(cluster: &Cluster<'_>, host: &str, fault: &str) {
    let topology = &cluster.desk().topology;
    let unit = topology.unit_of(host);
    let data = &topology.data_dir;
    match fault {
        "foreign-token" => {
            let path = format!("/etc/systemd/system/{unit}.service.env");
            let held = cluster.read(host, &path).unwrap();
            let foreign = held.text.replace(&cluster.desk().old, &"f".repeat(32));
            cluster.write(host, &path, &foreign);
        }
        "unit-missing" => {
            let script =
                format!("mv /etc/systemd/system/{unit}.service /root/; systemctl daemon-reload");
            cluster.shell(host, &script);
        }
        "unit-masked" => {
            of_files(cluster, host, "unit-missing");
            let script = format!(
                "ln -s /dev/null /etc/systemd/system/{unit}.service; systemctl daemon-reload"
            );
            cluster.shell(host, &script);
        }
        "no-certificate" => cluster.shell(host, &format!("rm {data}/agent/client-kubelet.crt")),
        "reboot-mid-rotation" => {
            let [mut off, mut on] = ["kill", "start"].map(|verb| cluster.call_later(host, &[verb]));
            cluster.once_said(ROTATED, move || {
                off.assert().success();
                on.assert().success();
            });
        }
        _ => panic!("lab hosts have no fault `{fault}`"),
    }
}

pub(super) fn heal(cluster: &Cluster<'_>, host: &str) {
    cluster.power(host, "plugged");
    cluster.power(host, "thawed");
    let data = &cluster.desk().topology.data_dir;
    let unit = cluster.desk().topology.unit_of(host);
    let script = format!(
        "for path in /etc {data}/server/db/snapshots; do while umount -l $path 2>/dev/null; do :; done; done; \
         rm -f /etc/systemd/system/{unit}.service.d/{DROP_IN}; systemctl daemon-reload"
    );
    cluster.shell(host, &script);
    let inventory = std::fs::read_to_string(cluster.inventory()).unwrap();
    let lines = inventory.split_inclusive('\n');
    let usual = lines.filter(|line| !line.starts_with(OWN) || line.contains("ansible_host"));
    std::fs::write(cluster.inventory(), usual.collect::<String>()).unwrap();
}

/// A line about one host in the inventory.
const OWN: &str = "          ";

fn read_only(path: &str) -> String {
    format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}")
}

fn log_in_as(cluster: &Cluster<'_>, host: &str, line: &str) {
    let inventory = std::fs::read_to_string(cluster.inventory()).unwrap();
    let entry = format!("        {host}:\n");
    let changed = inventory.replace(&entry, &format!("{entry}{OWN}{line}\n"));
    std::fs::write(cluster.inventory(), changed).unwrap();
}

/// Waits until a host that was switched on has its K3s running, or trying.
pub(super) fn settled(cluster: &Cluster<'_>, host: &str) {
    let unit = cluster.desk().topology.unit_of(host);
    let ask =
        format!("for i in $(seq 300); do systemctl is-active -q {unit} && exit 0; sleep 0.5; done");
    cluster.command(host, &["sh", "-c", &ask], "");
}

/// Something is done to a host once a gate watches it.
fn once_watched(cluster: &Cluster<'_>, host: &str, call: &[&str]) {
    let mut call = cluster.call_later(host, call);
    cluster.once_said(WATCHED, move || {
        call.assert().success();
    });
}

/// Something is done to a host as soon as its K3s is started next.
fn when_started(cluster: &Cluster<'_>, host: &str, call: &[&str]) {
    let mark = format!("started-{}", cluster.place(host));
    let seen = cluster.lab_file("shared").join(&mark);
    std::fs::remove_file(&seen).ok();
    drop_in(
        cluster,
        host,
        &format!("ExecStartPre=/bin/sh -c ': >/lab/{mark}'"),
    );
    let mut call = cluster.call_later(host, call);
    cluster.when(
        move || seen.exists(),
        move || {
            call.assert().success();
        },
    );
}

fn drop_in(cluster: &Cluster<'_>, host: &str, lines: &str) {
    let unit = cluster.desk().topology.unit_of(host);
    let folder = format!("/etc/systemd/system/{unit}.service.d");
    cluster.shell(host, &format!("mkdir -p {folder}"));
    cluster.write(
        host,
        &format!("{folder}/{DROP_IN}"),
        &format!("[Service]\n{lines}\n"),
    );
    cluster.shell(
        host,
        &format!("chmod 644 {folder}/{DROP_IN}; systemctl daemon-reload"),
    );
}

/// Kills the unit's process a moment later.
fn killer(seconds: u32) -> String {
    format!(
        "/usr/bin/systemd-run -q --on-active={seconds} --timer-property=AccuracySec=100ms /bin/systemctl kill -s KILL %n"
    )
}

/// The file that a host has its token in.
fn surface(cluster: &Cluster<'_>, host: &str) -> String {
    let files = super::look::files_of(cluster, host).into_iter();
    let mut holding = files.filter(|(_, held)| held.text.contains(&cluster.desk().old));
    holding.next().unwrap().0
}
