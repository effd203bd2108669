//! An inventory as written: groups, their children and variables, before anything is inherited.

use indexmap::IndexMap;

use super::names;
use crate::model::HostName;
use crate::source::{Problem, Problems, Source, SourceSpan, SourceText};

/// A variable and where it is set.
#[derive(Clone)]
pub(super) struct Var {
    pub(super) value: minijinja::Value,
    pub(super) text: SourceText,
    pub(super) at: SourceSpan,
}

/// Variables by name.
pub(super) type VarMap = IndexMap<String, Var>;

/// A group as written.
#[derive(Default)]
pub(super) struct RawGroup {
    /// Where it first stands; `None` for `all` and `ungrouped` when the file does not name them.
    pub(super) at: Option<SourceSpan>,
    /// Each with its first place here.
    pub(super) hosts: IndexMap<HostName, SourceSpan>,
    pub(super) children: IndexMap<String, SourceSpan>,
    pub(super) vars: VarMap,
    /// From `group_vars`: stronger than what any group says in the inventory itself.
    pub(super) file_vars: VarMap,
}

/// A host as written.
#[derive(Default)]
pub(super) struct RawHost {
    pub(super) at: Option<SourceSpan>,
    pub(super) vars: VarMap,
    /// From `host_vars`.
    pub(super) file_vars: VarMap,
}

/// All that the files say.
pub(super) struct Raw<'a> {
    pub(super) source: &'a Source,
    pub(super) groups: IndexMap<String, RawGroup>,
    pub(super) hosts: IndexMap<HostName, RawHost>,
    /// From the command line: stronger than all others.
    pub(super) extra: VarMap,
    pub(super) problems: Problems,
}

impl<'a> Raw<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        let mut groups = IndexMap::new();
        groups.insert("all".to_owned(), RawGroup::default());
        groups.insert("ungrouped".to_owned(), RawGroup::default());
        Self {
            source,
            groups,
            hosts: IndexMap::new(),
            extra: VarMap::new(),
            problems: Problems::default(),
        }
    }

    pub(super) fn problem(
        &mut self,
        code: &'static str,
        what: impl Into<String>,
        at: SourceSpan,
        help: &str,
    ) {
        let problem = Problem::new(code, what).at(&self.source.shown, at);
        self.problems.push(problem.help(help));
    }

    /// The group of this name, which begins to exist here if it did not.
    pub(super) fn group(&mut self, name: &str, at: SourceSpan) -> &mut RawGroup {
        if !self.groups.contains_key(name)
            && let Err(error) = crate::model::GroupName::new(name)
        {
            self.problem("inventory::name", error.to_string(), at, "rename the group");
        }
        let group = self.groups.entry(name.to_owned()).or_default();
        group.at.get_or_insert(at);
        group
    }

    /// Puts the hosts of an entry into a group, with the variables that stand beside them.
    pub(super) fn add_hosts(&mut self, group: &str, entry: &str, at: SourceSpan, mut vars: VarMap) {
        let expanded = match names::expand(entry) {
            Ok(expanded) => expanded,
            Err(why) => {
                let help = "a host is a name, an address or a range such as `web[01:20]`";
                return self.problem("inventory::host", why, at, help);
            }
        };
        if let Some(port) = expanded.port {
            let text = self.source.shown.clone();
            let value = minijinja::Value::from(port);
            vars.insert("ansible_port".to_owned(), Var { value, text, at });
        }
        for host in expanded.hosts {
            let hosts = &mut self.group(group, at).hosts;
            hosts.entry(host.clone()).or_insert(at);
            self.set(&host, at, &vars);
        }
    }

    fn set(&mut self, host: &HostName, at: SourceSpan, vars: &VarMap) {
        let known = self.hosts.entry(host.clone()).or_default();
        known.at.get_or_insert(at);
        let mut clashes = Vec::new();
        for (name, var) in vars {
            match known.vars.get(name) {
                Some(old) if old.value != var.value => clashes.push((name.clone(), var.at)),
                Some(_) => {}
                None => {
                    known.vars.insert(name.clone(), var.clone());
                }
            }
        }
        for (name, at) in clashes {
            let what = format!("host `{host}` has another `{name}` further up");
            self.problem(
                "inventory::contradiction",
                what,
                at,
                "set it once, or in a group",
            );
        }
    }
}
