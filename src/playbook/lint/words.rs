//! The words of a command, those inside `sh -c '…'` too.

use crate::template::Templated;

/// What a command's words are, split as a shell would split them, without obeying quotes.
pub(super) struct Words {
    words: Vec<String>,
    whole: String,
}

/// An argument as written.
pub(super) fn text(word: &Templated<String>) -> &str {
    match word {
        Templated::Literal(text) | Templated::Expression(text) => text,
    }
}

impl Words {
    /// The words of an argument vector.
    pub(super) fn of(argv: &[&str]) -> Self {
        let whole = argv.join(" ");
        // A redirection is a word of its own, what separates commands is none.
        let spaced = whole
            .replace('>', " > ")
            .replace([';', '|', '&', '(', ')'], " ");
        let words = spaced.split_whitespace();
        let words = words.map(|word| word.trim_matches(['\'', '"']).to_owned());
        Self {
            words: words.collect(),
            whole,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().map(String::as_str)
    }

    pub(super) fn last(&self) -> Option<&str> {
        self.words.last().map(String::as_str)
    }

    /// The first word that ends so.
    pub(super) fn ending(&self, end: &str) -> Option<String> {
        self.iter()
            .find(|word| word.ends_with(end))
            .map(str::to_owned)
    }

    /// Whether one of these is among the words, as a program with or without its path.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.program(name).is_some())
    }

    /// The word that is this program, with or without its path.
    pub(super) fn program(&self, name: &str) -> Option<&str> {
        let base = |word: &str| word.rsplit('/').next().unwrap_or(word) == name;
        self.iter().find(|word| base(word))
    }

    /// What follows a word.
    pub(super) fn after(&self, name: &str) -> impl Iterator<Item = &str> {
        let base = move |word: &&str| word.rsplit('/').next().unwrap_or(word) != name;
        self.iter().skip_while(base).skip(1)
    }

    /// What stands between `{{` and `}}`.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        let parts = self.whole.split("{{").skip(1);
        parts.filter_map(|part| part.split("}}").next())
    }
}

/// The word by which a command restarts, stops or kills K3s.
pub(super) fn restarts(words: &Words) -> Option<String> {
    if let Some(script) = words.ending("k3s-killall.sh") {
        return Some(script);
    }
    let manager = ["systemctl", "service", "rc-service"];
    let verbs = [
        "restart",
        "stop",
        "start",
        "try-restart",
        "reload-or-restart",
        "kill",
    ];
    let is_unit = |word: &str| {
        let name = word.trim_end_matches(".service");
        name == "k3s" || name.starts_with("k3s-")
    };
    let is_ours = words.has_any(&manager) && words.iter().any(is_unit);
    let verb = words.iter().find(|word| verbs.contains(word))?;
    is_ours.then(|| verb.to_owned())
}
