//! What can be said of the places from which a host takes its token.

use super::{Entry, refuse, warn};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "config-missing",
        "a config file is named that is not there",
        "K3s would not start again",
        "put it back, or do not name it",
    ),
    refuse(
        "data-dir-not-certain",
        "a variable names the data directory, and the version of K3s cannot be told",
        "K3s before v1.27.16, v1.28.12, v1.29.7 and v1.30.3 passes over it: which directory is used is not known",
        "name the directory that is used as `data-dir:` in the configuration, or take the variable out",
    ),
    warn(
        "data-dir-not-heeded",
        "a variable names a data directory that this version of K3s passes over",
        "after an upgrade K3s would use it, and start as a new cluster in an empty directory",
        "take K3S_DATA_DIR out of the environment before K3s is upgraded",
    ),
    refuse(
        "two-config-files",
        "K3S_CONFIG_FILE and --config name different files",
        "versions of K3s differ in which one wins",
        "keep one of the two",
    ),
    refuse(
        "environment-file-missing",
        "an EnvironmentFile= without `-` is not there",
        "systemd would not start the unit again",
        "put it back, or write `-` before its path",
    ),
    refuse(
        "environment-file-pattern",
        "an EnvironmentFile= is a pattern that keyroll does not follow",
        "what it stands for cannot be told with certainty",
        "name the files one by one",
    ),
    refuse(
        "not-k3s-itself",
        "the unit starts something else than k3s",
        "whatever that gives to K3s, a token too, cannot be seen",
        "let ExecStart name k3s itself",
    ),
    refuse(
        "token-hidden",
        "the process runs with a token that stands in no place where keyroll looked",
        "what keyroll would write would not be what K3s takes",
        "find what sets it, and write it into an EnvironmentFile of the unit",
    ),
    refuse(
        "rke2",
        "the host runs RKE2",
        "its paths, port and names are others, and nothing of it was measured",
        "take the host out of the inventory",
    ),
    refuse(
        "openrc",
        "OpenRC runs K3s on the host",
        "no rotation was measured there",
        "rotate by hand, or let systemd run K3s",
    ),
    refuse(
        "no-systemd",
        "the host has no systemd, and no K3s under OpenRC",
        "keyroll cannot see how K3s is started there",
        "take the host out of the inventory",
    ),
    refuse(
        "owned-by-rancher",
        "Rancher owns the file that holds the token",
        "it writes the file anew from its own record of the cluster",
        "change the token where Rancher keeps it",
    ),
    refuse(
        "in-nix-store",
        "the token stands in the Nix store",
        "the store is read-only, and everybody can read it",
        "point services.k3s.tokenFile to a file outside the store",
    ),
    warn(
        "several-surfaces",
        "several places hold the same token",
        "a change by hand in one of them would part them",
        "keep one place, and take the token out of the others",
    ),
    warn(
        "others-can-read",
        "others than the owner can read the token",
        "who reads a server's token has the cluster",
        "chmod 600 FILE; a rotation does it",
    ),
    warn(
        "newer-than-process",
        "the configuration was changed after K3s started",
        "what it says holds from the next start on",
        "nothing, if the change was meant",
    ),
];
