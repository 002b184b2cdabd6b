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

fn limited(rpm: u64) -> tollgate::Builder {
    let text = format!(
        "[provider.openai]\nlimits = [\n\
         {{ name = \"rpm\", unit = \"requests\", limit = {rpm}, window = \"1m\" }},\n\
         {{ name = \"hidden\", unit = \"tokens\", limit = 9000, window = \"1m\", adaptive = {{ floor = 100, ceiling = 90000 }} }}]"
    );
    Tollgate::from_toml(&text).unwrap()
}

/// One call that is refused for want of a unit.
fn refuse(tollgate: &Tollgate, unit: tollgate::gate::Unit) {
    use tollgate::gate::{Amounts, Call, Labels, Source};
    let labels = Labels::new()
        .with("profile", "openai")
        .with("tenant", "sk-secret-tenant")
        .with("model", "m");
    // The search spaces calls by their tokens, and nobody waits here.
    let tokens = u64::from(unit == tollgate::gate::Unit::TotalTokens) * 200;
    let call = Call::new(labels, Amounts::call(tokens, 0));
    let mut permit = tollgate.gate().try_acquire(&call).unwrap();
    permit.mark_sent();
    permit.throttled(Some(unit), std::time::Duration::ZERO);
    permit.settle(&Amounts::call(0, 0), Source::Rejected);
}

#[test]
fn the_next_run_need_not_be_refused_to_know_what_refusals_have_taught() {
    use tollgate::gate::Unit;
    let folder = Folder::new("lessons");
    let path = folder.0.join("learned.json");
    let first = limited(600).build().unwrap();
    refuse(&first, Unit::Requests);
    refuse(&first, Unit::TotalTokens);
    let learned = first.gate().learned();
    assert_eq!(learned.len(), 2);
    first.save_learned(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let second = limited(600).learned(&path).build().unwrap();
    assert!(second.warnings().is_empty(), "{:?}", second.warnings());
    assert_eq!(second.gate().learned(), learned);
    second.save_learned(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn what_refusals_taught_of_another_quota_is_left_out_with_a_warning() {
    let folder = Folder::new("stale");
    let path = folder.0.join("learned.json");
    let first = limited(600).build().unwrap();
    refuse(&first, tollgate::gate::Unit::Requests);
    first.save_learned(&path).unwrap();
    let warned = |builder: tollgate::Builder| {
        let tollgate = builder.learned(&path).build().unwrap();
        assert!(tollgate.gate().learned().is_empty());
        let warnings = tollgate.warnings().iter();
        warnings
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    let message = warned(limited(700));
    assert!(
        message.contains("policy `openai/rpm` was left out"),
        "{message}"
    );
    let message = warned(Tollgate::builder());
    assert!(
        message.contains("policy `openai/rpm` was left out"),
        "{message}"
    );
    // A part that nobody understands stops nothing, and what was learned of models is kept.
    let text = std::fs::read_to_string(&path).unwrap();
    let models = text.lines().next().unwrap();
    for lessons in [
        "half a li",
        "{\"format\":\"tollgate lessons\",\"version\":2}",
        "[]",
    ] {
        std::fs::write(&path, format!("{models}\n{lessons}\n")).unwrap();
        let message = warned(limited(600));
        assert!(message.contains("cannot be read"), "{lessons}: {message}");
    }
    // Nor does one that is missing, as in a file of an earlier version.
    std::fs::write(&path, models).unwrap();
    assert_eq!(warned(limited(600)), "");
}
