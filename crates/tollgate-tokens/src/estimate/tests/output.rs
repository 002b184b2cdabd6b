//! Output: before it is known, as it is learned, and in a pool.

use super::*;

fn learn(estimator: &Estimator, call: &Descriptor, outputs: impl IntoIterator<Item = u64>) {
    for output in outputs {
        estimator.learn(call, &Usage::new(100, output));
    }
}

#[test]
fn an_unknown_output_is_the_cap_or_else_a_thousand() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    let check = |call: &Descriptor, model, output, bound| {
        let limits = OutputLimits {
            model,
            unlearned: None,
        };
        let estimate = estimator.estimate(call, limits);
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
fn a_cold_start_reserves_no_more_than_it_may() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    call.output_cap = Some(8_000);
    let limits = OutputLimits {
        model: None,
        unlearned: Some(500),
    };
    let estimate = estimator.estimate(&call, limits);
    assert_eq!((estimate.output, estimate.output_cap_bound), (500, 8_000));
    // Once something is known, what is known counts.
    learn(&estimator, &call, [3_000; 8]);
    assert!(estimator.estimate(&call, limits).output > 3_000);
}

#[test]
fn the_output_is_learned_after_eight_answers_and_never_passes_the_cap() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    call.output_cap = Some(4_000);
    for answer in 1..=8 {
        assert_eq!(
            known(&estimator, &call).output,
            4_000,
            "before answer {answer}"
        );
        learn(&estimator, &call, [160]);
    }
    // Two answers of 1,024 are assumed beside the eight: 3,328 tokens in ten.
    let estimate = known(&estimator, &call);
    assert_eq!(
        (estimate.output_expected, estimate.output_cap_bound),
        (333, 4_000)
    );
    assert!((1_000..4_000).contains(&estimate.output), "{estimate:?}");
    call.output_cap = Some(50);
    assert_eq!(known(&estimator, &call).output, 50);
}

#[test]
fn answers_of_one_length_are_reserved_at_hardly_more_in_the_end() {
    let estimator = Estimator::new();
    let call = chat("m", words(100));
    learn(&estimator, &call, [160; 10_000]);
    let estimate = known(&estimator, &call);
    assert_eq!(estimate.output_expected, 161);
    assert!(estimate.output < 240, "{estimate:?}");
}

#[test]
fn several_answers_per_call_take_as_many_times_the_output() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    call.choices = 4;
    learn(&estimator, &call, [400; 8]);
    // (8 * 100 + 2 * 1,024) / 10 per answer.
    assert_eq!(known(&estimator, &call).output_expected, 4 * 285);
    call.choices = 1;
    assert_eq!(known(&estimator, &call).output_expected, 285);
}

#[test]
fn a_bare_total_teaches_the_output_and_not_the_input() {
    let estimator = Estimator::new();
    let call = chat("m", words(100));
    let input = known(&estimator, &call).input;
    for _ in 0..8 {
        let usage = Usage {
            split_known: false,
            ..Usage::new(input + 74, 0)
        };
        estimator.learn(&call, &usage);
    }
    let estimate = known(&estimator, &call);
    // (8 * 74 + 2 * 1,024) / 10, and a little because each answer fades those before it.
    assert_eq!((estimate.input, estimate.output_expected), (input, 265));
}

#[test]
fn routes_are_learned_apart_and_the_one_not_used_for_longest_is_forgotten() {
    let estimator = Estimator::new();
    let route = |name: &str| Descriptor {
        route: Some(name.into()),
        ..chat("m", words(100))
    };
    learn(&estimator, &route("short"), [10; 500]);
    learn(&estimator, &route("long"), [5_000; 500]);
    let expected = |name| known(&estimator, &route(name)).output_expected;
    assert_eq!((expected("short"), expected("long")), (15, 4_984));
    assert_eq!(expected("other"), 1_024);
    for n in 0..15 {
        learn(&estimator, &route(&n.to_string()), [100; 8]);
    }
    assert_eq!((expected("short"), expected("long")), (1_024, 4_984));
}

#[test]
fn answers_that_were_cut_are_taken_for_longer_than_their_cap() {
    let estimator = Estimator::new();
    let mut call = chat("m", words(100));
    learn(&estimator, &call, [2_000; 100]);
    call.output_cap = Some(500);
    learn(&estimator, &call, [500; 900]);
    call.output_cap = None;
    let expected = known(&estimator, &call).output_expected;
    assert!((1_990..=2_000).contains(&expected), "{expected}");
}

#[test]
fn a_change_of_use_is_followed_within_a_hundred_answers() {
    let estimator = Estimator::new();
    let call = chat("m", words(100));
    let mut rng = fastrand::Rng::with_seed(1);
    let mut answers = |mean: u64, count: usize| {
        let lengths: Vec<u64> = (0..count).map(|_| mean / 2 + rng.u64(0..mean)).collect();
        learn(&estimator, &call, lengths);
        known(&estimator, &call).output_expected
    };
    let before = answers(200, 20_000);
    assert!((195..=205).contains(&before), "{before}");
    let after = answers(2_000, 100);
    assert!((1_000..=2_100).contains(&after), "{after}");
    let later = answers(2_000, 400);
    assert!((1_700..=2_100).contains(&later), "{later}");
}

#[test]
fn calls_in_flight_together_share_their_risk() {
    let estimator = Estimator::new();
    let call = Arc::new(chat("m", words(100)));
    let mut rng = fastrand::Rng::with_seed(3);
    learn(&estimator, &call, (0..5_000).map(|_| rng.u64(1..1_000)));
    let alone = known(&estimator, &call);
    assert!((900..1_400).contains(&alone.output), "{alone:?}");
    let mut sum = 0;
    let mut open = Vec::new();
    for _ in 0..100 {
        let reserved = known(&estimator, &call).output;
        sum += reserved;
        open.push(estimator.admit(&call, reserved));
    }
    // Ten times the mean of ten calls, and the margin of one: 500 * 100 and 2.55 * 10 * 289 are 57,400.
    assert!((56_000..60_000).contains(&sum), "{sum}");
    // Calls of another share stand alone.
    let other = Descriptor {
        share: Some("another tenant".into()),
        ..chat("m", words(100))
    };
    assert_eq!(known(&estimator, &other), alone);
    // Those that joined first have reserved most; when they leave, those that join make up for it.
    for (at, in_flight) in open.drain(..50).enumerate() {
        drop(in_flight);
        assert!(at < 50);
    }
    assert!(
        known(&estimator, &call).output > 900,
        "{:?}",
        known(&estimator, &call)
    );
}
