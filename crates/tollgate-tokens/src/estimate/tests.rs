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

/// The bytes of text that the rate assumed at first counts as, and their tokens: one in three bytes, rounded up. A call of just these does
/// not move that rate.
const ASSUMED: (u64, u64) = (16_384, 5_462);

#[test]
fn the_first_estimate_is_one_token_in_three_bytes_plus_the_first_margin_and_framing() {
    let estimator = Estimator::new();
    // 3,000 * 5,462 / 16,384 * 1.05 = 1,050.1, and 1,051.2 for three bytes more.
    assert_eq!(estimator.estimate(&chat("m", 3_000), None).input, 9 + 1_051);
    assert_eq!(estimator.estimate(&chat("m", 3_003), None).input, 9 + 1_052);
}

#[test]
fn steady_text_is_never_estimated_too_low_and_within_five_percent_after_two_dozen_calls() {
    fn check(learned_from: u64, calls_needed: usize) {
        let estimator = Estimator::new();
        for calls in 1..=100 {
            let call = chat("m", learned_from);
            estimator.learn(&call, &english(&call, 100));
            for size in [400, 4_000, 40_000] {
                let call = chat("m", size);
                let (truth, estimate) = (
                    english(&call, 0).input,
                    estimator.estimate(&call, None).input,
                );
                assert!(truth <= estimate, "call {calls}: {truth} {estimate}");
                assert_eq!(
                    estimate <= truth + truth / 20,
                    calls >= calls_needed,
                    "call {calls}: {truth} {estimate}"
                );
            }
        }
    }
    // The rate assumed is a third above this text's. After n calls its 16,384 bytes count 16,384 * (15/16)^n, and the calls
    // 16 * size * (1 - (15/16)^n); the margin is 50 - n thousandths.
    // 23 calls: 3,713 of 53,209 bytes are assumed, so 2.33 % above; times 1.027 that is 5.1 %.
    // 24 calls: 3,481 of 53,884 bytes, so 2.15 % above; times 1.026 that is 4.8 %.
    check(4_000, 24);
    // 14 calls: 6,638 of 158,924 bytes, so 1.39 % above; times 1.036 that is 5.04 %.
    // 15 calls: 6,223 of 164,992 bytes, so 1.26 % above; times 1.035 that is 4.8 %.
    check(16_000, 15);
}

#[test]
fn an_estimate_that_was_too_low_widens_the_margin_at_once_and_steady_text_narrows_it_slowly() {
    let estimator = Estimator::new();
    let call = chat("m", ASSUMED.0);
    estimator.learn(&call, &Usage::new(9 + ASSUMED.1, 0));
    // 5,462 * 1.049 = 5,729.6.
    assert_eq!(estimator.estimate(&call, None).input, 9 + 5_730);
    // Denser text: 30 % more tokens in as many bytes. Of the two texts 31,744 * 15/16 = 29,760 bytes of the old and 16,384 of the new
    // count: 6,043.96 tokens per call. With framing that is 6,053 where 7,110 were taken, so 17.5 % were missing, and 2.5 % are added:
    // 6,043.96 * 1.2 = 7,252.8.
    let denser = Usage::new(9 + 7_101, 0);
    estimator.learn(&call, &denser);
    let mut estimates = vec![estimator.estimate(&call, None).input];
    for _ in 0..100 {
        estimator.learn(&call, &denser);
        estimates.push(estimator.estimate(&call, None).input);
    }
    assert_eq!(estimates[0], 9 + 7_253, "{estimates:?}");
    // Never too low again. Furthest too high, by 12 %, eight calls later, when the rate has followed faster than the margin: 17,757
    // bytes of the old text and 115,506 of the new are 6,882.6 tokens per call, times 1.157 that is 7,963.2.
    assert!(
        estimates
            .iter()
            .all(|estimate| (9 + 7_101..=9 + 7_964).contains(estimate)),
        "{estimates:?}"
    );
    assert_eq!(estimates[8], 9 + 7_964, "{estimates:?}");
    // At last 2.5 %: 7,101 * 1.025 = 7,278.5.
    assert_eq!(estimates.last(), Some(&(9 + 7_279)), "{estimates:?}");
}

#[test]
fn a_widened_margin_is_remembered_for_some_dozens_of_calls() {
    let estimator = Estimator::new();
    let call = chat("m", ASSUMED.0);
    // The rate is the mean of 15,360 bytes at 5,120.6 tokens and 16,384 bytes at 7,062: 6,287.8 tokens per call. With framing that is
    // 6,297 where 7,071 were taken: 12.3 % were missing, so the margin is 148 thousandths.
    estimator.learn(&call, &Usage::new(9 + ASSUMED.1 + 1_600, 0));
    // Of the 1,600 tokens too many 1,500 still count, and here they are too few: from now on the rate is the one assumed.
    estimator.learn(&call, &Usage::new(9 + ASSUMED.1 - 1_500, 0));
    let mut calls = 1;
    let mut check = |after, margin: u64| {
        while calls < after {
            estimator.learn(&call, &Usage::new(9 + ASSUMED.1, 0));
            calls += 1;
        }
        assert_eq!(
            estimator.estimate(&call, None).input,
            9 + (ASSUMED.1 * (1_000 + margin)).div_ceil(1_000),
            "after {after} calls"
        );
    };
    // The excess over 25 loses a 32nd per call, rounded up: from 123 it takes 7 calls by 4 to 95, 11 by 3 to 62, 15 by 2 to 32, and 32
    // by 1 to nothing.
    check(1, 144);
    check(7, 120);
    check(18, 87);
    check(33, 57);
    check(64, 26);
    check(65, 25);
    check(100, 25);
}

#[test]
fn calls_below_a_thousand_tokens_do_not_narrow_the_margin() {
    let estimator = Estimator::new();
    // One token in three bytes, as assumed: 2,990 bytes are 996.7 tokens.
    let probe = chat("m", 2_990);
    let estimate = || estimator.estimate(&probe, None).input;
    for _ in 0..100 {
        estimator.learn(&chat("m", 2_970), &Usage::new(9 + 990, 0));
        // 996.7 * 1.05 = 1,046.5.
        assert_eq!(estimate(), 9 + 1_047);
    }
    estimator.learn(&chat("m", 2_973), &Usage::new(9 + 991, 0));
    // 996.7 * 1.049 = 1,045.5.
    assert_eq!(estimate(), 9 + 1_046);
}

#[test]
fn a_few_short_prompts_say_little_about_a_long_one() {
    let estimator = Estimator::new();
    for _ in 0..8 {
        let short = chat("m", 300);
        estimator.learn(&short, &english(&short, 100));
    }
    // Code, of one token in three bytes, takes 45,000 here and is still not under-estimated. After eight calls
    // 16,384 * (15/16)^8 = 9,777 bytes are assumed, of 3,259 tokens, and 16 * 300 * (1 - (15/16)^8) = 1,936 bytes, of 484 tokens, are
    // known: 0.319595 tokens per byte, times 1.05 that is 45,302.6.
    let long = chat("m", 135_000);
    assert_eq!(estimator.estimate(&long, None).input, 9 + 45_303);
}

#[test]
fn images_count_by_a_fixed_size_and_do_not_spoil_the_rate() {
    let estimator = Estimator::new();
    let mut call = chat("m", 3_000);
    call.images = 2;
    assert_eq!(estimator.estimate(&call, None).input, 1_060 + 3_200);
    estimator.learn(&call, &Usage::new(50_000, 10));
    // The rate assumed, still: 3,000 * 5,462 / 16,384 * 1.05 = 1,050.1.
    assert_eq!(estimator.estimate(&chat("m", 3_000), None).input, 9 + 1_051);
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
    // The rate assumed with the first margin: 300 * 5,462 / 16,384 * 1.05 = 105.01. That leaves 74 of the 180 to the answer, plus 74 / 16.
    assert_eq!((estimate.input, estimate.output), (106, 74 + 4));
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
        // 300 * 5,462 / 16,384 * 1.05 = 105.01.
        (106, 0, 0)
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
        1_060
    );
    for n in 1..1_024 {
        let call = chat(&format!("model {n}"), 3_000);
        estimator.learn(&call, &Usage::new(1_009, 0));
    }
    // 15,360 bytes of 5,120.6 tokens are assumed and 3,000 of 3,000 known: 1,326.9 tokens in 3,000 bytes. More than as many again were
    // missing, so the margin is the widest, 100 %.
    assert_eq!(estimator.estimate(&dense, None).input, 9 + 2_654);
    estimator.learn(&chat("one too many", 3_000), &Usage::new(1_009, 0));
    assert_eq!(estimator.estimate(&dense, None).input, 1_060);
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
