//! How limits are kept, in the words of a configuration file: each arrives at the gate as it was written.

use std::time::Duration;

use tollgate::gate::{Amounts, Call, Labels, News, Unit};
use tollgate::limits::Tick;
use tollgate::{Builder, Tollgate};

fn example() -> Tollgate {
    Tollgate::from_toml(include_str!("../../../examples/tollgate.toml"))
        .and_then(Builder::build)
        .expect("the example file")
}

fn call(provider: &str) -> Call {
    let labels = Labels::new().with("profile", provider).with("model", "m");
    Call::new(labels, Amounts::call(0, 10))
}

#[test]
fn the_example_file_says_the_same_as_policies_made_by_hand() {
    let tollgate = example();
    let plan = tollgate.gate().plan();
    let named = |name: &str| {
        let mut policies = plan.policies().iter();
        policies
            .find(|policy| policy.name() == name)
            .expect(name)
            .clone()
    };
    let rpm = named("openai/rpm");
    let margin = Duration::from_millis(250);
    assert_eq!(rpm, rpm.clone().paced(540).unwrap().margin(margin).unwrap());
    assert_ne!(rpm, rpm.clone().paced(600).unwrap());
    let tpm = named("openai/tpm");
    assert_eq!(tpm, tpm.clone().trusting());
    assert_ne!(tpm, tpm.clone().alone());
    let hidden = named("meta-llama/rpm");
    assert_eq!(hidden, hidden.clone().adaptive(10, 5_000).unwrap());
    assert_ne!(hidden, hidden.clone().trusting());
    let output = named("anthropic/output");
    assert_eq!(output, output.clone().alone());
}

#[tokio::test(start_paused = true)]
async fn a_pace_a_trusted_limit_and_a_search_are_in_force() {
    let tollgate = example();
    let gate = tollgate.gate();
    let began = gate.now();
    for _ in 0..10 {
        drop(gate.acquire(&call("openai")).await.expect("a permit"));
    }
    // Nine gaps of a 540th of a minute; tokio's timer has milliseconds.
    assert!(gate.now().since(began) >= Duration::from_secs(1));
    let permit = gate.acquire(&call("openai")).await.expect("a permit");
    let news = News {
        unit: Unit::TotalTokens,
        window: Some(Duration::from_secs(60)),
        limit: Some(300_000),
        remaining: None,
        rounding: 0,
    };
    permit.adopt(&news);
    let mut permit = gate.acquire(&call("meta-llama")).await.expect("a permit");
    permit.mark_sent();
    permit.throttled(Some(Unit::Requests), Duration::ZERO);
    let snapshot = gate.snapshot();
    let limit = |name: &str| {
        let mut states = snapshot.iter();
        let state = states.find(|state| &*state.policy == name).expect(name);
        (
            state.limit,
            state.paused_until.unwrap_or(Tick::ZERO) > gate.now(),
        )
    };
    assert_eq!(limit("openai/tpm"), (300_000, false));
    // One refusal takes half at most, and a thirty-second of that is left free below it.
    assert_eq!(limit("meta-llama/rpm"), (48, false));
}
