//! `cargo xtask tidy`: the rules of the house that no compiler checks, one file each.

mod finding;
pub(crate) mod source;

mod graph;

mod core_is_pure;
mod dependencies;
mod files;
mod layers;
mod links;
mod reasons;

use std::path::Path;

use graph::Graph;
use source::{files_under, read};

/// Checks every rule, prints each finding and the files that grow long, and fails if there is a finding.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut findings = Vec::new();
    let graph = Graph::load(root)?;
    findings.extend(layers::check(&graph.members));
    findings.extend(core_is_pure::check(
        &graph.members,
        &read(root, core_is_pure::ROOT_FILE)?,
    ));
    findings.extend(dependencies::check_tokio(&graph));
    findings.extend(dependencies::check_rust_version(&graph));
    findings.extend(reasons::check("Cargo.toml", &read(root, "Cargo.toml")?));

    let mut long = Vec::new();
    for folder in ["crates", "examples", "xtask"] {
        for path in files_under(root, folder)? {
            if path.ends_with(".rs") {
                let text = read(root, &path)?;
                findings.extend(files::check(&path, &text));
                long.extend(files::long(&path, &text));
            }
        }
    }

    for path in pages(root)? {
        let text = read(root, &path)?;
        findings.extend(links::check(&path, &text, |target| {
            root.join(target).exists()
        }));
    }

    if !long.is_empty() {
        println!(
            "{} files grow long (over {} lines):",
            long.len(),
            files::LONG
        );
        long.iter().for_each(|file| println!("  {file}"));
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => Ok(()),
        1 => Err("1 finding".into()),
        count => Err(format!("{count} findings")),
    }
}

/// Every page whose links a reader may follow: docs/, the README and the crates' own.
fn pages(root: &Path) -> Result<Vec<String>, String> {
    let mut pages = vec![String::from("README.md")];
    for folder in ["docs", "crates"] {
        pages.extend(files_under(root, folder)?);
    }
    pages.retain(|path| path.ends_with(".md") && root.join(path).exists());
    Ok(pages)
}
