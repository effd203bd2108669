//! What playbooks do that bad runbooks do; `lint` reports these with a caret.

use super::{Entry, warn};

pub(super) const ENTRIES: &[Entry] = &[
    warn(
        "writes-node-token",
        "a command writes or removes `node-token`",
        "it is a link to `server/token`, which K3s writes anew at each start: no authentication and no encryption changes",
        "use `k3s_token`, which changes the datastore and what K3s starts with",
    ),
    warn(
        "deletes-agent-db-token",
        "a command deals with `agent/db/token`",
        "K3s has no such file: agents keep no token, they come in with a certificate",
        "use `k3s_token: { state: active }`, which changes what the agent is configured with",
    ),
    warn(
        "widens-token-file",
        "a command lets others read a file that holds a token",
        "the server token opens the whole cluster, its CA keys included",
        "leave it at 0600; let those who need it be root",
    ),
    warn(
        "restarts-servers-at-once",
        "several servers are restarted at the same time",
        "etcd loses its quorum, and a server that joins another one finds nobody; a wrong token then stops them all",
        "add `serial: 1` and a `health:` to this play",
    ),
    warn(
        "rotates-by-command",
        "a command runs `k3s token rotate`",
        "the new token stands on the command line, where every user of the host sees it, and no configuration is changed: the next restart of a server is fatal",
        "use `k3s_token: { state: rotated }` in a play like the built-in one: keyroll graph @rotate-token -i INVENTORY",
    ),
    warn(
        "secret-in-arguments",
        "a secret stands in the arguments of a command",
        "every user of the host sees arguments in the list of processes, and they are logged",
        "let the program read it from a file or from standard input",
    ),
    warn(
        "restarts-by-command",
        "a command restarts or stops K3s",
        "nothing looks whether the server's token is the datastore's, whether another server is down, or whether it comes back",
        "use `k3s_restart: {}`, which looks at all three",
    ),
];
