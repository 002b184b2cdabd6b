//! `Finding`: one broken rule, where it is and what to do about it.

use std::fmt;

/// One broken rule. Prints as `path:line: what is wrong; what to do`, which editors turn into a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Relative to the workspace root, with `/`.
    pub(super) path: String,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) what: String,
    pub(super) todo: String,
}

impl Finding {
    pub(super) fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            line,
            what: what.into(),
            todo: todo.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            todo,
        } = self;
        write!(f, "{path}:{line}: {what}; {todo}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding::new("a/b.rs", 3, "it is wrong", "set it right");
        assert_eq!(finding.to_string(), "a/b.rs:3: it is wrong; set it right");
    }
}
