//! `when`: whether a task applies to a host.

use crate::template::{TemplateError, Vars, evaluate};

/// Whether all expressions are true with these variables; what is wrong with the first that cannot be evaluated.
pub(super) fn holds(expressions: &[String], vars: &Vars) -> Result<bool, String> {
    for expression in expressions {
        let told = |error: TemplateError| format!("`when` {error}");
        if !evaluate(expression, vars).map_err(told)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        Vars::new([("rank".to_owned(), minijinja::Value::from(3))].into())
    }

    #[test]
    fn all_expressions_must_hold() {
        assert_eq!(holds(&["rank == 3".into()], &vars()), Ok(true));
        assert_eq!(
            holds(&["rank == 3".into(), "rank > 5".into()], &vars()),
            Ok(false)
        );
    }

    #[test]
    fn an_unknown_variable_is_told_and_not_taken_for_false() {
        let told = holds(&["rnak > 2".into()], &vars());
        assert!(told.is_err_and(|text| text.contains("rnak > 2")));
    }
}
