//! The one Jinja environment: strict about unknown names, bounded in work.

use std::sync::OnceLock;

use minijinja::{Environment, UndefinedBehavior};

use super::filters;

/// Instructions that one template may take; an endless loop ends here.
const FUEL: u64 = 200_000;

/// Said by `default(omit)`: stands for an argument that was not given.
pub(super) const OMIT: &str = "__omit__keyroll__";

/// The environment that every template is rendered in.
pub(super) fn shared() -> &'static Environment<'static> {
    static SHARED: OnceLock<Environment<'static>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(100);
        environment.add_global("omit", OMIT);
        filters::add(&mut environment);
        environment
    })
}
