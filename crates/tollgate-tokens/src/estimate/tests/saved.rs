//! What was learned outlives the program.

use super::*;

/// Taught on all kinds of things.
fn taught(seed: u64) -> Estimator {
    let estimator = Estimator::new();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut open = Vec::new();
    for _ in 0..2_000 {
        let mut call = chat(["a", "b"][rng.usize(0..2)], words(rng.u64(1..5_000)));
        call.kinds.add(Kind::Han, rng.u64(0..500_000));
        call.route = rng.bool().then(|| "summary".into());
        call.output_cap = rng.bool().then_some(1_000);
        let call = Arc::new(call);
        let reserved = known(&estimator, &call).output;
        open.push((estimator.admit(&call, reserved), call.kinds.sum() / 900));
        if open.len() > 10 {
            let (in_flight, input) = open.swap_remove(rng.usize(0..open.len()));
            in_flight.settle(&Usage::new(input, rng.u64(1..1_500)));
        }
    }
    estimator
}

#[test]
fn an_estimator_that_loads_what_another_saved_estimates_alike() {
    let before = taught(1);
    let saved = before.save();
    let after = Estimator::new();
    assert_eq!(after.load(&saved), Ok(2));
    for model in ["a", "b", "unheard of"] {
        for route in [None, Some("summary".into())] {
            let mut call = chat(model, words(777));
            call.route.clone_from(&route);
            assert_eq!(
                known(&after, &call),
                known(&before, &call),
                "{model} {route:?}"
            );
        }
    }
    assert_eq!(after.save(), saved);
    // And learns on alike.
    let call = chat("a", words(100));
    for estimator in [&before, &after] {
        estimator.learn(&call, &Usage::new(150, 5_000));
    }
    assert_eq!(after.save(), before.save());
}

#[test]
fn what_is_known_already_is_not_replaced() {
    let saved = taught(1).save();
    let estimator = taught(2);
    let before = estimator.save();
    assert_eq!(estimator.load(&saved), Ok(0));
    assert_eq!(estimator.save(), before);
}

#[test]
fn only_figures_and_names_are_saved() {
    let estimator = Estimator::new();
    let body = br#"{"model":"m","user":"sk-secret","messages":[{"role":"user","content":"sk-secret tells secrets"}]}"#;
    let call = crate::describe(
        Some(Dialect::OpenAiChat),
        "/v1/chat/completions?key=sk-secret",
        body,
    );
    let call = Arc::new(Descriptor {
        share: Some("sk-secret".into()),
        ..call
    });
    let in_flight = estimator.admit(&call, 10);
    let others = estimator.admit(&call, 10);
    in_flight.settle(&Usage::new(12, 10));
    let saved = estimator.save();
    drop(others);
    assert!(!saved.contains("secret"), "{saved}");
    assert!(saved.len() < 5_000, "{}", saved.len());
}

#[test]
fn a_foreign_or_broken_text_is_an_error_that_says_so_and_changes_nothing() {
    let saved = taught(1).save();
    let estimator = taught(3);
    let before = estimator.save();
    let check = |text: &str, expected: &str| {
        let error = estimator.load(text).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(estimator.save(), before, "{expected}");
    };
    check("", "cannot be read");
    check(&saved[..saved.len() / 2], "cannot be read");
    check("{}", "tollgate-learned");
    check(
        r#"{"format":"something else","version":1}"#,
        "tollgate-learned",
    );
    check(
        &saved.replace("\"version\":1", "\"version\":2"),
        "of version 2",
    );
    check(
        &saved.replace("\"han\"", "\"latin\""),
        "not what an estimator has learned",
    );
    check(&saved.replace("\"openai\"", "\"klingon\""), "`dialect`");
    check(
        &saved.replace("\"factors\":[", "\"factors\":[-"),
        "`factors`",
    );
    check(&saved.replace("\"doubt\":[", "\"doubt\":[-"), "`doubt`");
    for list in ["whole_noise", "token_noise", "calls"] {
        let (name, longer) = (format!("\"{list}\":["), format!("\"{list}\":[1,"));
        check(&saved.replace(&name, &longer), &format!("`{list}`"));
    }
    check(
        &saved.replace("\"pool_spread\":", "\"pool_spread\":9"),
        "`pool_spread`",
    );
    check(&saved.replace("\"chat\"", "\"embeddings\""), "`operation`");
    check(&saved.replace("\"bins\":[[", "\"bins\":[[99"), "`bins`");
}

/// Whatever is changed in a text, it is refused or taken, and nothing panics then or later.
#[test]
fn no_change_of_a_text_makes_it_panic() {
    let saved = taught(1).save().into_bytes();
    for seed in 0..2_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut text = saved.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..text.len());
            text[at] = b"0123456789-,[]{}\"e."[rng.usize(0..19)];
        }
        let estimator = Estimator::new();
        if estimator.load(&String::from_utf8_lossy(&text)).is_ok() {
            let call = Arc::new(chat("a", words(1_000)));
            let in_flight = estimator.admit(&call, known(&estimator, &call).output);
            in_flight.settle(&Usage::new(900, 700));
            known(&estimator, &call);
        }
    }
}
