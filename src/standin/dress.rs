//! `dress ROOT INSTALLER ROLE SERVER NAME`: writes what an installer leaves on a host below a folder, and prints the
//! unit's name. The token comes on standard input, bare on the first line and in full form on the second.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::sim::dress::{Body, Dress, Fill, Item, Role};
use crate::sim::kubectl::Ended;

pub(super) fn dress(args: &[String]) -> Ended {
    let [root, installer, role, server, name] = args else {
        return Ended::bad(2, "dress ROOT INSTALLER ROLE SERVER NAME");
    };
    let (Some(dress), Some(role)) = (Dress::named(installer), Role::named(role)) else {
        return Ended::bad(2, format!("there is no {installer} for a {role}"));
    };
    let mut given = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut given) {
        return Ended::bad(1, error.to_string());
    }
    let mut lines = given.lines().map(str::to_owned);
    let fill = Fill {
        token: lines.next().unwrap_or_default(),
        full: lines.next().unwrap_or_default(),
        server: server.clone(),
        name: name.clone(),
    };
    let items = dress.items(role, &fill);
    for item in &items {
        if let Err(error) = write(Path::new(root), item) {
            return Ended::bad(1, format!("{}: {error}", item.path));
        }
    }
    let unit = items.iter().find(|item| item.is_unit());
    let unit = unit.and_then(|item| item.path.rsplit('/').next());
    Ended::fine(format!("{}\n", unit.unwrap_or_default()))
}

fn write(root: &Path, item: &Item) -> std::io::Result<()> {
    let path = root.join(item.path.trim_start_matches('/'));
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    match &item.body {
        Body::Text(text) => std::fs::write(&path, text)?,
        Body::Program => std::fs::copy(std::env::current_exe()?, &path).map(|_| ())?,
        // A link has no mode of its own.
        Body::Link(target) => return std::os::unix::fs::symlink(target, &path),
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(item.mode))
}
