//! What was learned outlives the program.

use std::path::PathBuf;

use tollgate::tokens::{Dialect, Estimator, OutputLimits, Usage, describe};
use tollgate::{Tollgate, tokens::Descriptor};

/// A folder that is deleted with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn call() -> Descriptor {
    let body = br#"{"model":"house-1","messages":[{"role":"user","content":"What is the answer to everything?"}]}"#;
    describe(Some(Dialect::OpenAiChat), "/v1/chat/completions", body)
}

fn expected(estimator: &Estimator) -> u64 {
    let estimate = estimator.estimate(&call(), OutputLimits::default());
    estimate.output_expected
}

#[test]
fn the_next_run_knows_what_this_one_has_learned() {
    let folder = Folder::new("learned");
    let path = folder.0.join("learned.json");
    let gate = || Tollgate::builder().learned(&path).build().unwrap();
    let first = gate();
    assert_eq!(
        expected(first.estimator()),
        1_024,
        "nothing is known, and no file is there"
    );
    for _ in 0..1_000 {
        first.estimator().learn(&call(), &Usage::new(20, 50));
    }
    let learned = expected(first.estimator());
    first.save_learned(&path).unwrap();
    assert_eq!(expected(gate().estimator()), learned);
    // Nothing is left beside it.
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_broken_file_is_named_and_stays_as_it_is() {
    let folder = Folder::new("broken");
    let path = folder.0.join("learned.json");
    std::fs::write(&path, "half a fi").unwrap();
    let build = || Tollgate::builder().learned(&path).build();
    let error = build().unwrap_err().to_string();
    assert!(
        error.contains("learned.json") && error.contains("cannot be read"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a fi");
    let error = Tollgate::builder()
        .build()
        .unwrap()
        .save_learned(folder.0.join("no such folder").join("file"));
    assert!(error.is_err());
}

#[test]
fn an_estimator_of_one_s_own_is_used_and_shared() {
    let estimator = Estimator::new();
    let gate = Tollgate::builder()
        .estimator(estimator.clone())
        .build()
        .unwrap();
    for _ in 0..8 {
        estimator.learn(&call(), &Usage::new(20, 50));
    }
    assert_eq!(expected(gate.estimator()), expected(&estimator));
    assert_ne!(expected(&estimator), 1_024);
}
