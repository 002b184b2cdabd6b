//! `Graph`: what `cargo metadata` says about our crates and everything below them, as far as the rules ask.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::process::Command;

use cargo_metadata::semver::Version;
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};

use super::source::read;

/// Our crates, and the packages that are compiled for them on this machine with all features.
pub(super) struct Graph {
    pub(super) members: Vec<Member>,
    /// By cargo's package id.
    pub(super) packages: BTreeMap<String, Package>,
    /// The text of Cargo.lock, to point at a line of it.
    pub(super) lock: String,
}

/// One of our crates.
pub(super) struct Member {
    pub(super) name: String,
    /// Relative to the root.
    pub(super) manifest: String,
    pub(super) manifest_text: String,
    /// Whether users can add it.
    pub(super) published: bool,
    pub(super) declared: Vec<Declared>,
}

/// One line of a manifest's dependency tables, for any platform and any feature.
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What a dependency is needed for. Build dependencies count as normal: who uses the crate compiles them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Dev,
}

/// One package of the resolved graph.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) rust_version: Option<Version>,
    /// The ids of what it needs outside of its own tests.
    pub(super) needs: Vec<String>,
}

impl Graph {
    /// Asks cargo, for this machine's platform and with all features.
    pub(super) fn load(root: &Path) -> Result<Self, String> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .features(CargoOpt::AllFeatures)
            .other_options(["--filter-platform".to_owned(), host()?])
            .exec()
            .map_err(|error| format!("cargo metadata: {error}"))?;
        Ok(Self {
            members: members(root, &metadata)?,
            packages: packages(&metadata)?,
            lock: read(root, "Cargo.lock")?,
        })
    }

    /// Everything that `name` needs, itself included, nearest first; each with the shortest chain of names that leads there.
    pub(super) fn below(&self, name: &str) -> Vec<(String, &Package)> {
        let starts = self
            .packages
            .iter()
            .filter(|(_, package)| package.name == name);
        let mut queue: VecDeque<(String, &str)> = starts
            .map(|(id, _)| (name.to_owned(), id.as_str()))
            .collect();
        let mut seen: Vec<&str> = queue.iter().map(|(_, id)| *id).collect();
        let mut found = Vec::new();
        while let Some((chain, id)) = queue.pop_front() {
            let Some(package) = self.packages.get(id) else {
                continue;
            };
            for need in &package.needs {
                if let (false, Some(next)) =
                    (seen.contains(&need.as_str()), self.packages.get(need))
                {
                    seen.push(need);
                    queue.push_back((format!("{chain} -> {}", next.name), need));
                }
            }
            found.push((chain, package));
        }
        found
    }
}

impl Member {
    /// The line of its manifest that declares a dependency.
    pub(super) fn line_of(&self, dependency: &str, kind: Kind) -> usize {
        let mut in_table = false;
        for (number, line) in (1..).zip(self.manifest_text.lines()) {
            let line = line.trim();
            if let Some(table) = line.strip_prefix('[') {
                let is_dev = table.contains("dev-dependencies");
                in_table = table.contains("dependencies") && is_dev == (kind == Kind::Dev);
            } else if let Some(rest) = line.strip_prefix(dependency)
                && in_table
                && rest.starts_with([' ', '.', '='])
            {
                return number;
            }
        }
        1
    }
}

fn members(root: &Path, metadata: &Metadata) -> Result<Vec<Member>, String> {
    let mut members = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = package
            .manifest_path
            .strip_prefix(&metadata.workspace_root)
            .unwrap_or(&package.manifest_path)
            .as_str()
            .replace('\\', "/");
        members.push(Member {
            name: package.name.to_string(),
            manifest_text: read(root, &manifest)?,
            manifest,
            published: package.publish.as_ref().is_none_or(|to| !to.is_empty()),
            declared: package
                .dependencies
                .iter()
                .map(|dependency| Declared {
                    name: dependency.name.clone(),
                    kind: kind(dependency.kind),
                })
                .collect(),
        });
    }
    Ok(members)
}

fn packages(metadata: &Metadata) -> Result<BTreeMap<String, Package>, String> {
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or("cargo metadata resolved nothing")?;
    let mut needs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for node in &resolve.nodes {
        let outside_tests = node.deps.iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|of| kind(of.kind) == Kind::Normal)
        });
        let ids = outside_tests
            .map(|dependency| dependency.pkg.repr.clone())
            .collect();
        needs.insert(&node.id.repr, ids);
    }
    // A package without a node is for another platform.
    let packages = metadata.packages.iter().filter_map(|package| {
        let needs = needs.remove(package.id.repr.as_str())?;
        let resolved = Package {
            name: package.name.to_string(),
            version: package.version.clone(),
            rust_version: package.rust_version.clone(),
            needs,
        };
        Some((package.id.repr.clone(), resolved))
    });
    Ok(packages.collect())
}

fn kind(kind: DependencyKind) -> Kind {
    match kind {
        DependencyKind::Development => Kind::Dev,
        _ => Kind::Normal,
    }
}

/// This machine's platform, as rustc names it.
fn host() -> Result<String, String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("rustc cannot be started: {error}"))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(String::from))
        .ok_or_else(|| "`rustc -vV` names no host".into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A member with a manifest that declares what is given.
    pub(crate) fn member(name: &str, normal: &[&str], dev: &[&str]) -> Member {
        let lines = |names: &[&str]| -> String {
            names
                .iter()
                .map(|name| format!("{name} = {{}}\n"))
                .collect()
        };
        let declared = |names: &[&str], kind| -> Vec<Declared> {
            let declare = |name: &&str| Declared {
                name: (*name).into(),
                kind,
            };
            names.iter().map(declare).collect()
        };
        Member {
            name: name.into(),
            manifest: format!("crates/{name}/Cargo.toml"),
            manifest_text: format!(
                "[package]\n[dependencies]\n{}[dev-dependencies]\n{}",
                lines(normal),
                lines(dev)
            ),
            published: true,
            declared: [declared(normal, Kind::Normal), declared(dev, Kind::Dev)]
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// A graph of packages that are each `(name, rust-version or "", needs)`, all of version 1.0.0, with one published member.
    pub(crate) fn graph(published: &str, packages: &[(&str, &str, &[&str])]) -> Graph {
        let package = |(name, rust_version, needs): &(&str, &str, &[&str])| {
            let package = Package {
                name: (*name).into(),
                version: Version::new(1, 0, 0),
                rust_version: rust_version.parse().ok(),
                needs: needs.iter().map(|need| (*need).into()).collect(),
            };
            (String::from(*name), package)
        };
        Graph {
            members: vec![member(published, &[], &[])],
            packages: packages.iter().map(package).collect(),
            lock: packages
                .iter()
                .map(|(name, ..)| format!("name = \"{name}\"\nversion = \"1.0.0\"\n"))
                .collect(),
        }
    }

    #[test]
    fn the_shortest_chain_leads_to_each_package_once() {
        let graph = graph(
            "a",
            &[
                ("a", "", &["b", "c"]),
                ("b", "", &["c"]),
                ("c", "", &["a"]),
                ("d", "", &[]),
            ],
        );
        let chains: Vec<String> = graph
            .below("a")
            .into_iter()
            .map(|(chain, _)| chain)
            .collect();
        assert_eq!(chains, ["a", "a -> b", "a -> c"]);
    }

    #[test]
    fn a_declaration_is_found_in_its_own_table() {
        let member = member("a", &["serde_json", "serde"], &["serde"]);
        assert_eq!(member.line_of("serde", Kind::Normal), 4);
        assert_eq!(member.line_of("serde", Kind::Dev), 6);
        assert_eq!(member.line_of("tokio", Kind::Normal), 1);
    }

    #[test]
    fn cargo_tells_us_about_this_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let graph = Graph::load(root).unwrap();
        let of = |name| {
            graph
                .members
                .iter()
                .find(|member| member.name == name)
                .unwrap()
        };
        assert_eq!(of("xtask").manifest, "xtask/Cargo.toml");
        assert!(!of("xtask").published);
        assert!(of("tollgate").published);
        assert!(
            of("tollgate-limits")
                .declared
                .iter()
                .all(|d| d.kind == Kind::Dev)
        );
        let below = graph.below("tollgate-gate");
        assert!(below.iter().any(|(_, package)| package.name == "tokio"));
        assert!(below.iter().all(|(_, package)| package.name != "proptest"));
    }
}
