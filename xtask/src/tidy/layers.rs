//! Arrows point down: which of our crates may use which, and no other.

use super::finding::Finding;
use super::graph::{Kind, Member};

/// Checks every dependency between our crates against the table, and that the table knows every crate.
pub(super) fn check(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let Some(row) = row(&member.name) else {
            findings.push(Finding::new(
                &member.manifest,
                1,
                format!("`{}` is in no layer", member.name),
                "give it a row in xtask/src/tidy/layers.rs and in docs/ARCHITECTURE.md",
            ));
            continue;
        };
        for declared in &member.declared {
            let Some(target) = self::row(&declared.name) else {
                continue; // not one of ours
            };
            if !row.may_use(target, declared.kind) {
                findings.push(Finding::new(
                    &member.manifest,
                    member.line_of(&declared.name, declared.kind),
                    match declared.kind {
                        Kind::Normal => format!("`{}` must not use `{}`", row.name, target.name),
                        Kind::Dev => {
                            format!("the tests of `{}` must not use `{}`", row.name, target.name)
                        }
                    },
                    format!("it may use {}", row.allowed(declared.kind)),
                ));
            }
        }
    }
    findings
}

/// One crate, its layer, and what it may use outside of its tests.
struct Row {
    layer: u8,
    name: &'static str,
    uses: &'static [&'static str],
}

impl Row {
    /// Tests may use every lower layer, and the simulated provider, which uses none of us.
    fn may_use(&self, target: &Self, kind: Kind) -> bool {
        let in_tests = target.layer < self.layer || target.name == SIM;
        self.uses.contains(&target.name) || (kind == Kind::Dev && in_tests)
    }

    fn allowed(&self, kind: Kind) -> String {
        let names: Vec<&str> = TABLE
            .iter()
            .filter(|target| target.name != self.name && self.may_use(target, kind))
            .map(|target| target.name)
            .collect();
        if names.is_empty() {
            "none of our crates".into()
        } else {
            format!("only {}", names.join(", "))
        }
    }
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

const SIM: &str = "tollgate-sim";

const TABLE: &[Row] = &[
    Row {
        layer: 0,
        name: "tollgate-limits",
        uses: &[],
    },
    // Strangers to one another: a provider's JSON changes weekly, and waiting must not notice.
    Row {
        layer: 1,
        name: "tollgate-tokens",
        uses: &["tollgate-limits"],
    },
    Row {
        layer: 1,
        name: "tollgate-gate",
        uses: &["tollgate-limits"],
    },
    Row {
        layer: 2,
        name: "tollgate-http",
        uses: &["tollgate-limits", "tollgate-tokens", "tollgate-gate"],
    },
    Row {
        layer: 2,
        name: "tollgate-otel",
        uses: &["tollgate-gate"],
    },
    Row {
        layer: 2,
        name: "tollgate-journal",
        uses: &["tollgate-gate"],
    },
    // Adapters hold no logic, so one crate below is all they need.
    Row {
        layer: 3,
        name: "tollgate-tower",
        uses: &["tollgate-http"],
    },
    Row {
        layer: 3,
        name: "tollgate-reqwest",
        uses: &["tollgate-http"],
    },
    Row {
        layer: 4,
        name: "tollgate",
        uses: &[
            "tollgate-limits",
            "tollgate-tokens",
            "tollgate-gate",
            "tollgate-http",
            "tollgate-otel",
            "tollgate-journal",
            "tollgate-tower",
            "tollgate-reqwest",
        ],
    },
    // Enforces quotas by its own code, so that one bug cannot hide on both sides.
    Row {
        layer: 5,
        name: SIM,
        uses: &[],
    },
    // Measures; what it compares us with are its own dev-dependencies.
    Row {
        layer: 5,
        name: "tollgate-bench",
        uses: &[
            "tollgate-limits",
            "tollgate-tokens",
            "tollgate-gate",
            "tollgate-http",
            SIM,
        ],
    },
    Row {
        layer: 5,
        name: "tollgate-examples",
        uses: &[
            "tollgate-limits",
            "tollgate-tokens",
            "tollgate-gate",
            "tollgate-http",
            "tollgate-otel",
            "tollgate-journal",
            "tollgate-tower",
            "tollgate-reqwest",
            "tollgate",
            SIM,
        ],
    },
    // Plays the limiter against the simulated provider; both sides meet in it alone.
    Row {
        layer: 5,
        name: "tollgate-lab",
        uses: &["tollgate-limits", "tollgate-tokens", "tollgate-gate", SIM],
    },
    // Runs when the rest does not compile.
    Row {
        layer: 5,
        name: "xtask",
        uses: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::tests::member;

    /// What the rule says about one crate that uses one other.
    fn check_one(name: &str, normal: &[&str], dev: &[&str]) -> Vec<String> {
        let findings = check(&[member(name, normal, dev)]);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_arrow_that_points_down_is_fine() {
        let check = |name, normal, dev| {
            assert_eq!(check_one(name, normal, dev), Vec::<String>::new());
        };
        check("tollgate-limits", &[], &["proptest"]);
        check("tollgate-tokens", &["tollgate-limits", "serde"], &[]);
        check("tollgate-http", &["tollgate-gate", "tollgate-tokens"], &[]);
        check(
            "tollgate-tower",
            &["tollgate-http"],
            &["tollgate-gate", SIM],
        );
        check("tollgate-sim", &["axum"], &["tollgate-limits"]);
        check("tollgate-examples", &["tollgate", SIM], &[]);
    }

    #[test]
    fn an_arrow_that_points_up_or_sideways_is_a_finding() {
        let check = |name, target, allowed| {
            let expected = format!(
                "crates/{name}/Cargo.toml:3: `{name}` must not use `{target}`; it may use {allowed}"
            );
            assert_eq!(check_one(name, &[target], &[]), [expected]);
        };
        check("tollgate-limits", "tollgate-gate", "none of our crates");
        check("tollgate-tokens", "tollgate-gate", "only tollgate-limits");
        check("tollgate-gate", "tollgate-tokens", "only tollgate-limits");
        check("tollgate-otel", "tollgate-http", "only tollgate-gate");
        check("tollgate-tower", "tollgate-gate", "only tollgate-http");
        check("tollgate-reqwest", "tollgate-tower", "only tollgate-http");
        check("tollgate-sim", "tollgate-limits", "none of our crates");
        check("xtask", "tollgate", "none of our crates");
    }

    #[test]
    fn tests_reach_down_only_too() {
        assert_eq!(
            check_one("tollgate-gate", &[], &["tollgate-tokens"]),
            [
                "crates/tollgate-gate/Cargo.toml:4: the tests of `tollgate-gate` must not use \
              `tollgate-tokens`; it may use only tollgate-limits, tollgate-sim"
            ]
        );
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_a_finding() {
        let found = check_one("tollgate-grpc", &[], &[]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].contains("`tollgate-grpc` is in no layer"),
            "{found:?}"
        );
    }

    #[test]
    fn the_table_itself_points_down() {
        for row in TABLE {
            for name in row.uses {
                let target = self::row(name).unwrap();
                assert!(
                    target.layer < row.layer || target.name == SIM,
                    "{} -> {name}",
                    row.name
                );
            }
        }
    }
}
