//! Every relative link in the documentation leads somewhere.

use super::finding::Finding;

/// Checks the links of one page; `exists` answers for a path relative to the root.
pub(super) fn check(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for link in links(&without_code(line)) {
            let leads = resolve(path, link).is_some_and(|target| exists(&target));
            if is_file(link) && !leads {
                findings.push(Finding::new(
                    path,
                    number,
                    format!("the link `{link}` leads nowhere"),
                    "correct it or remove it",
                ));
            }
        }
    }
    findings
}

/// The line with everything between backticks taken out.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The targets of `[text](target)` and of `[label]: target` in a line.
fn links(line: &str) -> Vec<&str> {
    let mut links: Vec<&str> = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    if line.starts_with('[')
        && let Some((_, rest)) = line.split_once("]: ")
    {
        links.push(rest);
    }
    links
        .into_iter()
        .filter_map(|link| link.split_whitespace().next())
        .collect()
}

/// Whether a link names a file, and not an address, a place on its own page or a Rust item.
fn is_file(link: &str) -> bool {
    let elsewhere = link.contains("://") || link.starts_with("mailto:");
    let item = link.contains("::");
    !elsewhere && !item && !link.starts_with('#')
}

/// Where a link leads, relative to the root; nothing if it leaves the workspace.
fn resolve(page: &str, link: &str) -> Option<String> {
    let file = link.split(['#', '?']).next()?;
    let mut place: Vec<&str> = match file.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => page.split('/').collect(),
    };
    place.pop();
    for step in file.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                place.pop()?;
            }
            name => place.push(name),
        }
    }
    Some(place.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The links of a page at `docs/A.md` that lead nowhere, where only these two files exist.
    fn expect(text: &str, dead: &[&str]) {
        let exists = |target: &str| ["docs/B.md", "README.md"].contains(&target);
        let findings = check("docs/A.md", text, exists);
        let whats: Vec<String> = findings.into_iter().map(|found| found.what).collect();
        let expected: Vec<String> = dead
            .iter()
            .map(|link| format!("the link `{link}` leads nowhere"))
            .collect();
        assert_eq!(whats, expected, "{text}");
    }

    #[test]
    fn a_link_leads_to_a_file_beside_or_above_the_page() {
        expect(
            "See [B](B.md), [part](./B.md#part) and [the map](../README.md).",
            &[],
        );
        expect("[root](/README.md)", &[]);
        expect("[B]: B.md \"title\"", &[]);
        expect("[gone](C.md) and [up](../B.md)", &["C.md", "../B.md"]);
        expect("![chart](chart.svg)", &["chart.svg"]);
        expect("[B]: C.md", &["C.md"]);
        expect("[out](../../README.md)", &["../../README.md"]);
    }

    #[test]
    fn addresses_anchors_items_and_code_are_not_files() {
        expect(
            "[a](https://example.com/x) [b](#part) [c](mailto:a@example.com)",
            &[],
        );
        expect("[`Gate`](tollgate_gate::Gate)", &[]);
        expect("```text\n[a](C.md)\n```\n", &[]);
        expect("write `[a](C.md)` like this", &[]);
        expect("```text\n```\n[a](C.md)", &["C.md"]);
    }
}
