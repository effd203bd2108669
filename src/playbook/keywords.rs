//! The words that may stand in a playbook, and those that Ansible knows and keyroll does not yet.

/// What may stand in one place.
pub(super) struct Words {
    /// The place, for messages.
    pub(super) place: &'static str,
    /// What is read.
    pub(super) known: &'static [&'static str],
    /// What Ansible or a later release reads.
    pub(super) later: &'static [&'static str],
}

/// What may stand in a play.
pub(super) const IN_PLAY: Words = Words {
    place: "a play",
    known: PLAY,
    later: PLAY_LATER,
};

/// What may stand in a task beside its step.
pub(super) const IN_TASK: Words = Words {
    place: "a task",
    known: TASK,
    later: TASK_LATER,
};

/// What may stand in `health`.
pub(super) const IN_HEALTH: Words = Words {
    place: "`health`",
    known: HEALTH,
    later: HEALTH_LATER,
};

const PLAY: &[&str] = &[
    "name",
    "hosts",
    "serial",
    "order",
    "health",
    "needs",
    "tasks",
    "vars",
    "become",
    "become_user",
    "any_errors_fatal",
    "max_fail_percentage",
    "gather_facts",
];

/// Keywords of a task; beside them stands its one step.
pub(super) const TASK: &[&str] = &[
    "name",
    "when",
    "run_once",
    "timeout",
    "ignore_errors",
    "undo",
];

const HEALTH: &[&str] = &["nodes", "etcd", "settle", "timeout", "interval"];

const HEALTH_LATER: &[&str] = &["fresh", "api", "pods", "command"];

/// Ansible's keywords of plays.
const PLAY_LATER: &[&str] = &[
    "become_exe",
    "become_flags",
    "become_method",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "diff",
    "environment",
    "fact_path",
    "force_handlers",
    "gather_subset",
    "gather_timeout",
    "handlers",
    "ignore_errors",
    "ignore_unreachable",
    "import_playbook",
    "module_defaults",
    "no_log",
    "port",
    "post_tasks",
    "pre_tasks",
    "remote_user",
    "roles",
    "run_once",
    "strategy",
    "tags",
    "throttle",
    "timeout",
    "vars_files",
    "vars_prompt",
];

/// Ansible's keywords of tasks, and its statements and modules that people may try.
pub(super) const TASK_LATER: &[&str] = &[
    "action",
    "always",
    "any_errors_fatal",
    "args",
    "async",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "block",
    "changed_when",
    "check_mode",
    "connection",
    "debugger",
    "delay",
    "delegate_facts",
    "delegate_to",
    "diff",
    "environment",
    "failed_when",
    "ignore_unreachable",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "include_vars",
    "listen",
    "local_action",
    "loop",
    "loop_control",
    "max_fail_percentage",
    "module_defaults",
    "no_log",
    "notify",
    "poll",
    "port",
    "register",
    "remote_user",
    "rescue",
    "retries",
    "tags",
    "throttle",
    "until",
    "vars",
    "with_dict",
    "with_fileglob",
    "with_items",
    "with_sequence",
];

/// Modules of Ansible without a step of that name.
pub(super) const MODULES_LATER: &[&str] = &[
    "apt",
    "copy",
    "dnf",
    "fail",
    "fetch",
    "file",
    "get_url",
    "lineinfile",
    "meta",
    "package",
    "pause",
    "ping",
    "raw",
    "reboot",
    "script",
    "service",
    "set_fact",
    "setup",
    "shell",
    "slurp",
    "stat",
    "systemd",
    "systemd_service",
    "template",
    "uri",
    "wait_for",
    "wait_for_connection",
    "yum",
];
