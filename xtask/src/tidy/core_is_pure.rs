//! The core has no clock, no IO and no dependencies: `#![no_std]` and an empty `[dependencies]`.

use super::finding::Finding;
use super::graph::{Kind, Member};

/// Checks the core's manifest and the text of its root file.
pub(super) fn check(members: &[Member], root_text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for core in members.iter().filter(|member| member.name == CORE) {
        let foreign = core
            .declared
            .iter()
            .filter(|declared| declared.kind == Kind::Normal);
        findings.extend(foreign.map(|declared| {
            Finding::new(
                &core.manifest,
                core.line_of(&declared.name, Kind::Normal),
                format!("`{CORE}` depends on `{}`", declared.name),
                "the core has no dependencies; write it here or move the code up a layer",
            )
        }));
    }
    if !root_text.lines().any(|line| line.trim() == "#![no_std]") {
        findings.push(Finding::new(
            ROOT_FILE,
            1,
            "the core is not `#![no_std]`",
            "add the attribute below the crate's documentation",
        ));
    }
    findings
}

const CORE: &str = "tollgate-limits";

/// Where the core says that it needs no standard library.
pub(super) const ROOT_FILE: &str = "crates/tollgate-limits/src/lib.rs";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::tests::member;

    #[test]
    fn the_core_stands_alone() {
        let core = [member(CORE, &[], &["proptest"])];
        assert_eq!(check(&core, "//! Limits.\n#![no_std]\n"), []);
    }

    #[test]
    fn a_dependency_or_the_standard_library_in_the_core_is_a_finding() {
        let core = [
            member(CORE, &["libm"], &[]),
            member("tollgate-gate", &["tokio"], &[]),
        ];
        let findings = check(&core, "//! Not #![no_std].\n");
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "crates/tollgate-limits/Cargo.toml:3: `tollgate-limits` depends on `libm`; the core has no \
                 dependencies; write it here or move the code up a layer",
                "crates/tollgate-limits/src/lib.rs:1: the core is not `#![no_std]`; add the attribute below the \
                 crate's documentation",
            ]
        );
    }
}
