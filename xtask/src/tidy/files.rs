//! Each file says in its first line what it is for, has a name that means something, and ends within reach.

use super::finding::Finding;

/// Checks one source file.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let says_something = |rest: &str| !rest.trim().is_empty();
    if !text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//!"))
        .is_some_and(says_something)
    {
        findings.push(Finding::new(
            path,
            1,
            "the first line does not say what the file is for",
            "begin it with one `//!` sentence",
        ));
    }
    let mut folders = path.split('/');
    let name = folders.next_back().unwrap_or(path);
    let in_tests = folders.any(|folder| folder == "tests");
    if NAMELESS.contains(&name) && !in_tests {
        findings.push(Finding::new(
            path,
            1,
            format!("`{name}` names no idea"),
            "write `foo.rs` beside `foo/`, and put a helper beside its user",
        ));
    }
    let lines = text.lines().count();
    if lines > MOST {
        findings.push(Finding::new(
            path,
            MOST + 1,
            format!("the file has {lines} lines, more than {MOST}"),
            "split it by idea",
        ));
    }
    findings
}

/// A line for the listing if the file is allowed but growing.
pub(super) fn long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LONG && lines <= MOST).then(|| format!("{path}: {lines} lines"))
}

/// Above this many lines a file is listed.
pub(super) const LONG: usize = 350;

/// Above this many lines a file is a finding.
const MOST: usize = 500;

const NAMELESS: [&str; 4] = ["mod.rs", "utils.rs", "helpers.rs", "common.rs"];

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(path: &str, text: &str, expected: &[&str]) {
        let whats: Vec<String> = check(path, text)
            .into_iter()
            .map(|found| found.what)
            .collect();
        assert_eq!(whats, expected, "{path}");
    }

    #[test]
    fn the_first_line_says_what_the_file_is_for() {
        let finding = ["the first line does not say what the file is for"];
        expect("a.rs", "//! The ledger.\n", &[]);
        expect("a.rs", "", &finding);
        expect("a.rs", "//!\n//! The ledger.\n", &finding);
        expect("a.rs", "\n//! The ledger.\n", &finding);
        expect("a.rs", "// The ledger.\n", &finding);
        expect("a.rs", "use std::fmt;\n", &finding);
    }

    #[test]
    fn a_file_is_named_after_its_idea() {
        expect("crates/a/src/ledger.rs", "//! A.\n", &[]);
        expect(
            "crates/a/src/b/mod.rs",
            "//! A.\n",
            &["`mod.rs` names no idea"],
        );
        expect(
            "crates/a/src/utils.rs",
            "//! A.\n",
            &["`utils.rs` names no idea"],
        );
        expect(
            "crates/a/src/helpers.rs",
            "//! A.\n",
            &["`helpers.rs` names no idea"],
        );
        expect("common.rs", "//! A.\n", &["`common.rs` names no idea"]);
        expect("crates/a/tests/common/mod.rs", "//! A.\n", &[]);
        expect("crates/a/src/tests.rs", "//! A.\n", &[]);
    }

    #[test]
    fn a_file_of_500_lines_is_the_longest() {
        let of = |lines: usize| format!("//! A.\n{}", "\n".repeat(lines - 1));
        expect("a.rs", &of(500), &[]);
        expect("a.rs", &of(501), &["the file has 501 lines, more than 500"]);
    }

    #[test]
    fn a_file_over_350_lines_is_listed() {
        let of = |lines: usize| long("a.rs", &"\n".repeat(lines));
        assert_eq!(of(350), None);
        assert_eq!(of(351), Some("a.rs: 351 lines".into()));
        assert_eq!(of(500), Some("a.rs: 500 lines".into()));
        assert_eq!(of(501), None);
    }
}
