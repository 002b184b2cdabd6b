//! Every foreign dependency has a reason, on its line in the root manifest.

use super::finding::Finding;

/// Checks the table `[workspace.dependencies]` of a manifest. Our own crates, which have a `path`, need no reason.
pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_table = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (code, reason) = split_comment(line);
        let code = code.trim();
        if code.starts_with('[') {
            in_table = code == "[workspace.dependencies]";
        }
        let ours = code.contains("path =") || code.contains("path=");
        if in_table && !code.is_empty() && !code.starts_with('[') && !ours && reason.is_empty() {
            findings.push(Finding::new(
                path,
                number,
                format!("`{}` comes without a reason", key(code)),
                "end the line with `# why we need it`",
            ));
        } else if let Some(name) = code.strip_prefix("[workspace.dependencies.") {
            findings.push(Finding::new(
                path,
                number,
                format!("`{}` has a table of its own", name.trim_end_matches(']')),
                "write it as one line of [workspace.dependencies], with `# why we need it` at its end",
            ));
        }
    }
    findings
}

/// What a line of TOML says, and the text of the comment at its end. A `#` in a string begins no comment.
fn split_comment(line: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') => return (&line[..at], line[at + 1..].trim()),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    (line, "")
}

fn key(code: &str) -> &str {
    code.split('=').next().unwrap_or(code).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one line of the table.
    fn expect(line: &str, what: Option<&str>) {
        let manifest = format!(
            "[workspace]\nmembers = []\n[workspace.dependencies]\n{line}\n[profile.dev]\ndebug = 1\n"
        );
        let findings = check("Cargo.toml", &manifest);
        let whats: Vec<&str> = findings.iter().map(|found| found.what.as_str()).collect();
        assert_eq!(whats, Vec::from_iter(what), "{line}");
        assert!(findings.iter().all(|found| found.line == 4), "{findings:?}");
    }

    #[test]
    fn a_foreign_dependency_says_why_it_is_there() {
        expect(
            "http = \"1.2\" # requests in the ecosystem's own types",
            None,
        );
        expect("http = \"1.2\"", Some("`http` comes without a reason"));
        expect("http = \"1.2\" #", Some("`http` comes without a reason"));
        expect(
            "http = { version = \"1\" }",
            Some("`http` comes without a reason"),
        );
        expect(
            "http = \"1 # not a comment\"",
            Some("`http` comes without a reason"),
        );
        expect(
            "http = '1 \" # not a comment'",
            Some("`http` comes without a reason"),
        );
    }

    #[test]
    fn comments_blank_lines_and_our_own_crates_need_no_reason() {
        expect("# What users compile.", None);
        expect("", None);
        expect(
            "tollgate = { path = \"crates/tollgate\", version = \"0.1.0\" }",
            None,
        );
    }

    #[test]
    fn a_dependency_is_one_line() {
        expect(
            "[workspace.dependencies.http] # why",
            Some("`http` has a table of its own"),
        );
    }
}
