//! Reading the workspace's files, under names that are the same on every system.

use std::fs;
use std::path::Path;

/// The text of one file, named relative to the root.
pub(super) fn read(root: &Path, path: &str) -> Result<String, String> {
    fs::read_to_string(root.join(path)).map_err(|error| format!("{path} cannot be read: {error}"))
}

/// Every file below a folder, sorted, relative to the root and with `/`; a folder that does not exist holds none.
///
/// Build output (`target`) and hidden folders are left out.
pub(crate) fn files_under(root: &Path, folder: &str) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    if root.join(folder).exists() {
        collect(root, folder, &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, folder: &str, files: &mut Vec<String>) -> Result<(), String> {
    let cannot = |error| format!("{folder} cannot be listed: {error}");
    for entry in fs::read_dir(root.join(folder)).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let path = format!("{folder}/{name}");
        if entry.file_type().map_err(cannot)?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_root_and_sorted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = files_under(root, "src").unwrap();
        assert!(files.contains(&"src/main.rs".into()), "{files:?}");
        assert!(files.contains(&"src/tidy/source.rs".into()), "{files:?}");
        assert!(files.is_sorted(), "{files:?}");
        assert_eq!(files_under(root, "no-such-folder"), Ok(Vec::new()));
    }
}
