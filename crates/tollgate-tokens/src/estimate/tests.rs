//! What `Estimator` promises.

use super::*;

fn chat(model: &str, text_bytes: u64) -> Descriptor {
    Descriptor {
        dialect: Some(Dialect::OpenAiChat),
        operation: Operation::Chat,
        model: Some(model.into()),
        output_cap: None,
        choices: 1,
        stream: false,
        reports_usage: true,
        text_bytes,
        token_ids: 0,
        messages: 2,
        images: 0,
        hidden_context: false,
        warnings: Vec::new(),
    }
}

/// Usage of English text: four bytes per token, and nine tokens of framing.
fn english(call: &Descriptor, output: u64) -> Usage {
    Usage::new(call.text_bytes / 4 + 9, output)
}

#[test]
fn the_first_estimate_is_one_token_in_three_bytes_plus_framing() {
    let estimator = Estimator::new();
    assert_eq!(estimator.estimate(&chat("m", 3_000), None).input, 1_009);
    assert_eq!(estimator.estimate(&chat("m", 3_001), None).input, 1_010);
}

#[test]
fn steady_text_is_estimated_within_five_percent_above_the_truth() {
    let estimator = Estimator::new();
    for size in [4_000, 4_400, 3_600, 4_800] {
        let call = chat("m", size);
        estimator.learn(&call, &english(&call, 100));
        for size in [400, 4_000, 40_000] {
            let call = chat("m", size);
            let (truth, estimate) = (
                english(&call, 0).input,
                estimator.estimate(&call, None).input,
            );
            assert!(
                truth <= estimate && estimate <= truth + truth / 20 + 1,
                "{truth} {estimate}"
            );
        }
    }
}

#[test]
fn an_estimate_that_was_too_low_widens_the_margin_at_once_and_steady_text_narrows_it_slowly() {
    let estimator = Estimator::new();
    let call = chat("m", 4_000);
    estimator.learn(&call, &Usage::new(1_009, 0));
    assert_eq!(estimator.estimate(&call, None).input, 9 + 1_050);
    // Denser text: 30 % more tokens in as many bytes.
    estimator.learn(&call, &Usage::new(1_309, 0));
    let mut estimates = vec![estimator.estimate(&call, None).input];
    for _ in 0..60 {
        estimator.learn(&call, &Usage::new(1_309, 0));
        estimates.push(estimator.estimate(&call, None).input);
    }
    // Never too low again, at most 8 % too high on the way, and at last 2 %.
    assert!(
        estimates
            .iter()
            .all(|estimate| (1_309..=1_309 * 108 / 100).contains(estimate)),
        "{estimates:?}"
    );
    assert_eq!(estimates.last(), Some(&(9 + 1_326)), "{estimates:?}");
}

#[test]
fn images_count_by_a_fixed_size_and_do_not_spoil_the_rate() {
    let estimator = Estimator::new();
    let mut call = chat("m", 3_000);
    call.images = 2;
    assert_eq!(estimator.estimate(&call, None).input, 1_009 + 3_200);
    estimator.learn(&call, &Usage::new(50_000, 10));
    assert_eq!(estimator.estimate(&chat("m", 3_000), None).input, 1_009);
}

#[test]
fn token_ids_are_counted_exactly() {
    let mut call = chat("m", 0);
    call.token_ids = 77;
    call.messages = 0;
    assert_eq!(Estimator::new().estimate(&call, None).input, 77);
}

#[test]
fn an_unknown_output_is_the_cap_or_else_a_thousand() {
    let estimator = Estimator::new();
    let mut call = chat("m", 300);
    let check = |call: &Descriptor, max, output, bound| {
        let estimate = estimator.estimate(call, max);
        assert_eq!(
            (estimate.output, estimate.output_cap_bound),
            (output, bound)
        );
    };
    check(&call, None, 1_024, 1_024);
    check(&call, Some(32_000), 1_024, 32_000);
    check(&call, Some(500), 500, 500);
    call.choices = 3;
    check(&call, Some(500), 1_500, 1_500);
    check(&call, None, 3_072, 3_072);
    call.output_cap = Some(4_000);
    check(&call, Some(32_000), 4_000, 4_000);
}

#[test]
fn the_output_is_learned_after_eight_answers_and_never_passes_the_cap() {
    let estimator = Estimator::new();
    let mut call = chat("m", 300);
    call.output_cap = Some(4_000);
    for answer in 1..=8 {
        assert_eq!(
            estimator.estimate(&call, None).output,
            4_000,
            "before answer {answer}"
        );
        estimator.learn(&call, &Usage::new(84, 160));
    }
    let estimate = estimator.estimate(&call, None);
    assert_eq!((estimate.output, estimate.output_cap_bound), (170, 4_000));
    call.output_cap = Some(50);
    assert_eq!(estimator.estimate(&call, None).output, 50);
}

#[test]
fn nine_in_ten_answers_stay_below_the_expected_output() {
    let estimator = Estimator::new();
    let call = chat("m", 300);
    for n in 1..=50 {
        estimator.learn(&call, &Usage::new(84, n * 16));
    }
    // The 45th of 50 is 720.
    assert_eq!(estimator.estimate(&call, None).output, 720 + 45);
}

#[test]
fn a_few_very_long_answers_raise_the_expectation_to_the_mean() {
    let estimator = Estimator::new();
    let call = chat("m", 300);
    for n in 0..64 {
        estimator.learn(
            &call,
            &Usage::new(84, if n % 16 == 0 { 16_000 } else { 16 }),
        );
    }
    // The quantile is 16, but each sixteenth answer has 16,000: a mean of 1,015.
    assert_eq!(estimator.estimate(&call, None).output, 1_015 + 63);
}

#[test]
fn several_answers_per_call_take_as_many_times_the_output() {
    let estimator = Estimator::new();
    let mut call = chat("m", 300);
    call.choices = 4;
    for _ in 0..8 {
        estimator.learn(&call, &Usage::new(84, 400));
    }
    assert_eq!(estimator.estimate(&call, None).output, 4 * 106);
    call.choices = 1;
    assert_eq!(estimator.estimate(&call, None).output, 106);
}

#[test]
fn a_bare_total_teaches_the_output_and_not_the_rate() {
    let estimator = Estimator::new();
    let mut call = chat("m", 300);
    call.dialect = Some(Dialect::Generic);
    call.messages = 0;
    for _ in 0..8 {
        estimator.learn(
            &call,
            &Usage {
                split_known: false,
                ..Usage::new(180, 0)
            },
        );
    }
    let estimate = estimator.estimate(&call, None);
    assert_eq!((estimate.input, estimate.output), (100, 85));
}

#[test]
fn what_is_not_understood_is_a_lower_bound() {
    let estimator = Estimator::new();
    let mut call = chat("m", 300);
    assert!(!estimator.estimate(&call, None).lower_bound);
    call.hidden_context = true;
    assert!(estimator.estimate(&call, None).lower_bound);
    call.dialect = None;
    let unknown = estimator.estimate(&call, None);
    assert_eq!(
        unknown,
        Estimate {
            input: 0,
            output: 0,
            output_cap_bound: 0,
            lower_bound: true
        }
    );
}

#[test]
fn embeddings_generate_nothing_and_counting_takes_nothing() {
    let mut call = chat("m", 300);
    call.messages = 0;
    call.operation = Operation::Embeddings;
    let estimate = Estimator::new().estimate(&call, Some(1_000));
    assert_eq!(
        (estimate.input, estimate.output, estimate.output_cap_bound),
        (100, 0, 0)
    );
    call.operation = Operation::CountTokens;
    assert_eq!(Estimator::new().estimate(&call, None).input, 0);
}

#[test]
fn models_are_learned_apart_and_the_oldest_is_forgotten() {
    let estimator = Estimator::new();
    let dense = chat("model 0", 3_000);
    estimator.learn(&dense, &Usage::new(3_009, 0));
    assert_eq!(
        estimator.estimate(&chat("model 1", 3_000), None).input,
        1_009
    );
    for n in 1..1_024 {
        let call = chat(&format!("model {n}"), 3_000);
        estimator.learn(&call, &Usage::new(1_009, 0));
    }
    assert_eq!(estimator.estimate(&dense, None).input, 9 + 3_150);
    estimator.learn(&chat("one too many", 3_000), &Usage::new(1_009, 0));
    assert_eq!(estimator.estimate(&dense, None).input, 1_009);
    assert_eq!(
        format!("{estimator:?}"),
        "Estimator { models: 1024, reports: 1025 }"
    );
}

#[test]
fn absurd_figures_neither_panic_nor_poison() {
    let estimator = Estimator::new();
    let mut call = chat("m", u64::MAX);
    (call.token_ids, call.messages, call.images, call.choices) = (u64::MAX, u32::MAX, 0, u32::MAX);
    estimator.learn(&call, &Usage::new(u64::MAX, u64::MAX));
    assert_eq!(estimator.estimate(&call, Some(u64::MAX)).input, u64::MAX);
    let call = chat("m", 0);
    estimator.learn(&call, &Usage::new(0, 0));
    assert_eq!(estimator.estimate(&call, None).input, 9);
}
