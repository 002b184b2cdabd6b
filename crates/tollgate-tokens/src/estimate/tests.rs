//! What `Estimator` promises.

mod input;
mod output;
mod saved;

use super::*;
use crate::Dialect;

fn chat(model: &str, kinds: TextKinds) -> Descriptor {
    Descriptor {
        dialect: Some(Dialect::OpenAiChat),
        operation: Operation::Chat,
        model: Some(model.into()),
        output_cap: None,
        choices: 1,
        stream: false,
        reports_usage: true,
        text_bytes: kinds.sum() / 250,
        kinds,
        token_ids: 0,
        messages: 0,
        images: 0,
        image_tokens: 0,
        hidden_context: false,
        route: None,
        share: None,
        warnings: Vec::new(),
    }
}

/// A text of one kind that is expected to take so many tokens.
fn text(kind: Kind, tokens: u64) -> TextKinds {
    let mut kinds = TextKinds::default();
    kinds.add(kind, tokens * 1_000);
    kinds
}

fn words(tokens: u64) -> TextKinds {
    text(Kind::Words, tokens)
}

fn known(estimator: &Estimator, call: &Descriptor) -> Estimate {
    estimator.estimate(call, OutputLimits::default())
}

#[test]
fn what_is_not_understood_is_a_lower_bound() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    assert!(!known(&estimator, &call).lower_bound);
    call.hidden_context = true;
    assert!(known(&estimator, &call).lower_bound);
    call.dialect = None;
    let nothing = Estimate {
        input: 0,
        input_expected: 0,
        output: 0,
        output_expected: 0,
        output_cap_bound: 0,
        lower_bound: true,
    };
    assert_eq!(known(&estimator, &call), nothing);
}

#[test]
fn embeddings_generate_nothing_and_counting_takes_nothing() {
    let mut call = chat("m", words(100));
    call.operation = Operation::Embeddings;
    let estimate = known(&Estimator::new(), &call);
    assert_eq!(
        (
            estimate.input_expected,
            estimate.output,
            estimate.output_cap_bound
        ),
        (100, 0, 0)
    );
    call.operation = Operation::CountTokens;
    assert_eq!(known(&Estimator::new(), &call).input, 0);
}

#[test]
fn models_are_learned_apart_and_the_oldest_is_forgotten() {
    let estimator = Estimator::new();
    let first = |name: &str| known(&estimator, &chat(name, words(1_000))).input_expected;
    let dense = chat("model 0", words(1_000));
    for _ in 0..20 {
        estimator.learn(&dense, &Usage::new(1_200, 0));
    }
    let learned = first("model 0");
    assert!((1_150..=1_200).contains(&learned), "{learned}");
    assert_eq!(first("model 1"), 1_000);
    for n in 1..1_024 {
        let call = chat(&format!("model {n}"), words(1_000));
        estimator.learn(&call, &Usage::new(1_000, 0));
    }
    assert_eq!(first("model 0"), learned);
    estimator.learn(&chat("one too many", words(1_000)), &Usage::new(1_000, 0));
    assert_eq!(first("model 0"), 1_000);
    assert_eq!(
        format!("{estimator:?}"),
        "Estimator { models: 1024, reports: 1044, counters: {} }"
    );
}

#[test]
fn absurd_figures_neither_panic_nor_poison() {
    let estimator = Estimator::new();
    for kinds in [TextKinds::default(), words(u64::MAX / 1_000), words(1)] {
        let mut call = chat("m", kinds);
        call.text_bytes = u64::MAX;
        (call.token_ids, call.messages, call.choices) = (u64::MAX, u32::MAX, u32::MAX);
        call.image_tokens = u64::MAX;
        let limits = OutputLimits {
            model: Some(u64::MAX),
            unlearned: Some(u64::MAX),
        };
        for _ in 0..20 {
            estimator.learn(&call, &Usage::new(u64::MAX, u64::MAX));
            let in_flight = estimator.admit(&Arc::new(call.clone()), u64::MAX);
            assert_eq!(estimator.estimate(&call, limits).input, u64::MAX);
            in_flight.settle(&Usage::new(u64::MAX, u64::MAX));
            estimator.learn(&call, &Usage::new(0, 0));
        }
    }
    let call = chat("m", TextKinds::default());
    estimator.learn(&call, &Usage::new(0, 0));
    known(&estimator, &call);
}

#[test]
fn a_pool_outlives_neither_its_model_nor_its_calls() {
    let estimator = Estimator::new();
    let call = Arc::new(chat("old", words(10)));
    for _ in 0..20 {
        estimator.learn(&call, &Usage::new(10, 100));
    }
    let alone = known(&estimator, &call).output;
    let in_flight = estimator.admit(&call, alone);
    assert_ne!(known(&estimator, &call).output, alone);
    drop(in_flight);
    assert_eq!(known(&estimator, &call).output, alone);

    let orphan = estimator.admit(&call, alone);
    for n in 0..1_024 {
        let call = chat(&format!("model {n}"), words(10));
        estimator.learn(&call, &Usage::new(10, 100));
    }
    // The model is forgotten and made anew while one of its calls is in flight.
    for _ in 0..20 {
        estimator.learn(&call, &Usage::new(10, 100));
    }
    let second = estimator.admit(&call, alone);
    let among = known(&estimator, &call).output;
    orphan.settle(&Usage::new(10, 100));
    second.settle(&Usage::new(10, 100));
    assert!(among > 0);
}

#[test]
fn learned_figures_are_the_same_from_the_same_calls_in_the_same_order() {
    let run = || {
        let estimator = Estimator::new();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut open = Vec::new();
        for _ in 0..2_000 {
            let call = Arc::new(chat("m", words(rng.u64(1..5_000))));
            let estimate = known(&estimator, &call);
            open.push((
                estimator.admit(&call, estimate.output),
                estimate.input_expected,
            ));
            if open.len() > 20 {
                let (in_flight, input) = open.swap_remove(rng.usize(0..open.len()));
                in_flight.settle(&Usage::new(input + rng.u64(0..50), rng.u64(1..2_000)));
            }
        }
        known(&estimator, &chat("m", words(1_234)))
    };
    assert_eq!(run(), run());
}
