//! What our crates drag in: token accounting never reaches tokio, and nothing needs a newer Rust than we promise.

use std::collections::BTreeSet;

use cargo_metadata::semver::Version;

use super::finding::Finding;
use super::graph::{Graph, Package};

/// Checks that token accounting works without a runtime.
pub(super) fn check_tokio(graph: &Graph) -> Vec<Finding> {
    let chain = graph
        .below(TOKENS)
        .into_iter()
        .find_map(|(chain, package)| (package.name == "tokio").then_some(chain));
    let finding = chain.map(|chain| {
        Finding::new(
            "crates/tollgate-tokens/Cargo.toml",
            1,
            format!("`{TOKENS}` reaches tokio: {chain}"),
            "turn off the feature or drop the dependency that brings it; reading bytes needs no runtime",
        )
    });
    finding.into_iter().collect()
}

/// Checks that everything a user compiles accepts the Rust version that the crate promises.
pub(super) fn check_rust_version(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for member in graph.members.iter().filter(|member| member.published) {
        let below = graph.below(&member.name);
        let promised = below.first().and_then(|(_, own)| own.rust_version.as_ref());
        let Some(promised) = promised else {
            findings.push(Finding::new(
                &member.manifest,
                1,
                format!("`{}` promises no Rust version", member.name),
                "add `rust-version.workspace = true`",
            ));
            continue;
        };
        for (chain, package) in &below {
            if let Some(needed) = package.rust_version.as_ref()
                && needed > promised
                && told.insert((&package.name, &package.version))
            {
                findings.push(Finding::new(
                    "Cargo.lock",
                    line_of(&graph.lock, package),
                    format!(
                        "{} {} needs Rust {}, we promise {} ({chain})",
                        package.name,
                        package.version,
                        short(needed),
                        short(promised)
                    ),
                    format!(
                        "`cargo update --package {} --precise` an older version, or raise `rust-version`",
                        package.name
                    ),
                ));
            }
        }
    }
    findings
}

/// `1.88` for 1.88.0, as manifests write it.
fn short(version: &Version) -> String {
    match version.patch {
        0 => format!("{}.{}", version.major, version.minor),
        _ => version.to_string(),
    }
}

/// The line of Cargo.lock where a package begins.
fn line_of(lock: &str, package: &Package) -> usize {
    let name = format!("name = \"{}\"", package.name);
    let version = format!("version = \"{}\"", package.version);
    let numbered = lock.lines().zip(lock.lines().skip(1)).zip(1..);
    numbered
        .filter(|((first, second), _)| *first == name && *second == version)
        .map(|(_, number)| number)
        .next()
        .unwrap_or(1)
}

const TOKENS: &str = "tollgate-tokens";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::tests::graph;

    fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn token_accounting_never_reaches_tokio() {
        let far = graph(
            TOKENS,
            &[
                (TOKENS, "", &["http"]),
                ("http", "", &[]),
                ("tokio", "", &[]),
            ],
        );
        assert_eq!(check_tokio(&far), []);

        let near = graph(
            TOKENS,
            &[
                (TOKENS, "", &["http"]),
                ("http", "", &["tokio"]),
                ("tokio", "", &[]),
            ],
        );
        let found = lines(&check_tokio(&near));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("tollgate-tokens -> http -> tokio"),
            "{found:?}"
        );
    }

    #[test]
    fn a_dependency_may_need_the_promised_rust_and_no_newer() {
        let of = |needed| graph("a", &[("a", "1.88.0", &["b"]), ("b", needed, &[])]);
        assert_eq!(check_rust_version(&of("1.88.0")), []);
        assert_eq!(check_rust_version(&of("1.9.0")), []);
        assert_eq!(check_rust_version(&of("")), []);
        assert_eq!(
            lines(&check_rust_version(&of("1.88.1"))),
            [
                "Cargo.lock:3: b 1.0.0 needs Rust 1.88.1, we promise 1.88 (a -> b); `cargo update --package b \
              --precise` an older version, or raise `rust-version`"
            ]
        );
    }

    #[test]
    fn only_what_a_published_crate_needs_counts() {
        let mut graph = graph("a", &[("a", "1.88.0", &[]), ("b", "1.99.0", &[])]);
        assert_eq!(check_rust_version(&graph), []);
        graph.packages.get_mut("a").unwrap().rust_version = None;
        assert_eq!(
            lines(&check_rust_version(&graph)),
            [
                "crates/a/Cargo.toml:1: `a` promises no Rust version; add `rust-version.workspace = true`"
            ]
        );
        graph.members[0].published = false;
        assert_eq!(check_rust_version(&graph), []);
    }
}
