//! Input: kinds of text, what they teach, and the margin.

use super::*;
use crate::descriptor::KINDS;

#[test]
fn the_first_estimate_is_what_the_kinds_say_and_three_and_a_half_standard_deviations() {
    // Words are doubted by 10 %, and calls stray by 0.0006 + 0.25 / 1,000: the variance is 0.01085, of which the root is 0.104163.
    let estimate = known(&Estimator::new(), &chat("m", words(1_000)));
    assert_eq!((estimate.input_expected, estimate.input), (1_000, 1_365));
}

#[test]
fn framing_counts_by_messages_and_token_ids_exactly() {
    let mut call = chat("m", TextKinds::default());
    call.token_ids = 77;
    assert_eq!(known(&Estimator::new(), &call).input, 77);
    call.messages = 2;
    assert_eq!(known(&Estimator::new(), &call).input_expected, 77 + 9);
}

#[test]
fn a_text_of_which_only_the_length_is_known_takes_a_token_in_three_bytes() {
    let mut call = chat("m", TextKinds::default());
    call.text_bytes = 3_000;
    assert_eq!(known(&Estimator::new(), &call).input_expected, 1_000);
}

#[test]
fn a_model_that_takes_a_third_more_is_known_after_three_calls() {
    let estimator = Estimator::new();
    let call = chat("m", words(1_000));
    let mut estimates = Vec::new();
    for _ in 0..3 {
        estimator.learn(&call, &Usage::new(1_333, 0));
        estimates.push(known(&estimator, &call).input_expected);
    }
    // Of 1,333. The words of the first call were doubted by 10 % and strayed by 2.9 %: 0.01 / 0.01085 of what was missing is put down
    // to them, which is 307.
    assert_eq!(estimates, [1_307, 1_319, 1_324]);
}

#[test]
fn steady_text_is_never_estimated_too_low_and_within_five_percent_after_a_dozen_calls() {
    let estimator = Estimator::new();
    for calls in 0..200 {
        for size in [100, 1_000, 10_000] {
            let call = chat("m", words(size));
            let estimate = known(&estimator, &call);
            // It takes a tenth less than expected.
            let truth = size * 9 / 10;
            assert!(
                truth <= estimate.input,
                "after {calls}: {truth} {estimate:?}"
            );
            if calls >= 12 {
                assert!(
                    estimate.input_expected <= truth + truth / 20,
                    "after {calls}: {truth} {estimate:?}"
                );
            }
        }
        let call = chat("m", words(1_000));
        estimator.learn(&call, &Usage::new(900, 0));
    }
}

/// A tokenizer that takes a fixed, unknown number of tokens per kind of text, from calls that mix kinds at random.
#[test]
fn every_kind_is_learned_from_calls_that_mix_them_in_any_order() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let factors: [u64; KINDS] = std::array::from_fn(|_| rng.u64(70..150));
        let all = [
            Kind::Words,
            Kind::Joined,
            Kind::Digits,
            Kind::Blanks,
            Kind::Signs,
            Kind::Han,
            Kind::Other,
        ];
        let estimator = Estimator::new();
        for _ in 0..200 {
            let mut kinds = TextKinds::default();
            let mut truth = 0;
            for _ in 0..rng.usize(1..4) {
                let kind = all[rng.usize(0..all.len())];
                let tokens = rng.u64(50..2_000);
                kinds.add(kind, tokens * 1_000);
                truth += tokens * factors[kind as usize] / 100;
            }
            estimator.learn(&chat("m", kinds), &Usage::new(truth, 0));
        }
        for kind in all {
            let truth = 1_000 * factors[kind as usize] / 100;
            let found = known(&estimator, &chat("m", text(kind, 1_000))).input_expected;
            assert!(
                found.abs_diff(truth) <= truth / 50,
                "seed {seed}, {kind:?}: {found} instead of {truth}"
            );
        }
    }
}

#[test]
fn a_call_beyond_its_margin_widens_it_at_once_and_the_others_narrow_it_slowly() {
    let estimator = Estimator::new();
    let call = chat("m", words(1_000));
    for _ in 0..200 {
        estimator.learn(&call, &Usage::new(1_000, 0));
    }
    let narrow = known(&estimator, &call).input;
    assert!(narrow < 1_030, "{narrow}");
    estimator.learn(&call, &Usage::new(1_200, 0));
    let wide = known(&estimator, &call).input;
    assert!(wide > 1_200, "{wide}");
    let mut last = wide;
    for calls in 0..50 {
        estimator.learn(&call, &Usage::new(1_000, 0));
        let margin = known(&estimator, &call).input;
        assert!(margin <= last, "after {calls}: {margin} above {last}");
        last = margin;
    }
    assert!(
        last > narrow + (wide - narrow) / 20,
        "{narrow} {last} {wide}"
    );
}

#[test]
fn at_most_one_call_in_a_hundred_is_beyond_its_margin_whatever_the_errors_are() {
    // Errors of a heavy tail, on one side or on both, and those of two texts that take turns.
    let errors: [fn(&mut fastrand::Rng) -> f64; 4] = [
        |rng| 0.02 * (1.0 - rng.f64()).powf(-0.4),
        |rng| 0.1 * (rng.f64() + rng.f64() + rng.f64() - 1.5),
        |rng| if rng.f64() < 0.05 { 0.5 } else { 0.0 },
        |rng| if rng.bool() { 0.1 } else { -0.1 },
    ];
    for (at, error) in errors.iter().enumerate() {
        let mut rng = fastrand::Rng::with_seed(at as u64);
        let estimator = Estimator::new();
        let mut beyond = 0;
        for n in 0..5_000 {
            let size = rng.u64(200..2_000);
            let call = chat("m", words(size));
            let truth = (size as f64 * (1.0 + error(&mut rng))) as u64;
            beyond += u32::from(n >= 200 && truth > known(&estimator, &call).input);
            estimator.learn(&call, &Usage::new(truth, 0));
        }
        assert!(beyond <= 48, "errors {at}: {beyond} of 4,800");
    }
}

#[test]
fn images_teach_only_what_images_take() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(1_000));
    call.images = 1;
    call.image_tokens = 1_600;
    assert_eq!(known(&estimator, &call).input_expected, 2_600);
    for _ in 0..50 {
        estimator.learn(&call, &Usage::new(1_000 + 765, 0));
    }
    let found = known(&estimator, &call).input_expected;
    assert!((1_765..1_800).contains(&found), "{found}");
    assert_eq!(
        known(&estimator, &chat("m", words(1_000))).input_expected,
        1_000
    );
}

#[test]
fn context_that_the_provider_adds_teaches_nothing() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(1_000));
    call.hidden_context = true;
    estimator.learn(&call, &Usage::new(50_000, 0));
    assert_eq!(known(&estimator, &call).input_expected, 1_000);
}

#[test]
fn what_was_counted_has_hardly_a_margin() {
    let call = chat("m", words(5).counted(1_000));
    let estimate = known(&Estimator::new(), &call);
    assert_eq!(estimate.input_expected, 1_000);
    assert!(estimate.input <= 1_040, "{estimate:?}");
}
