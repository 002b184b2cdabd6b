//! Budgets, caps and what an earlier run spent, from a configuration file through real clients to the provider.

use std::time::Duration;

use tollgate::gate::{Amounts, Labels, Tick, Unit};
use tollgate::{CallOptions, Tollgate};
use tollgate_sim::{Dialect, Server};

use crate::support::{Client, Wire, gate, provider, refused, whole};

/// A dollar per million tokens of input, and a thousand dollars of output: so many answers cost so many dollars.
const PRICE: &str = r#"
    [provider.meta-llama]
    drop_limits = ["rpm", "tpm"]
    [provider.meta-llama.models.sim-1]
    price = { input = "1", output = "1000" }
"#;

/// A provider without limits that speaks Meta's dialect.
fn meta() -> Server {
    let builder = provider().chat(Dialect::MetaLlama);
    builder.start().expect("a server")
}

fn configured(policy: &str) -> tollgate::Builder {
    Tollgate::from_toml(&format!("{PRICE}\n{policy}")).expect("a configuration")
}

/// The names by which a call of these tests is known at the gate.
fn labels() -> Labels {
    Labels::new().with("model", "sim-1")
}

#[tokio::test]
async fn a_spent_budget_is_refused_by_name_and_never_reaches_the_provider() {
    let server = meta();
    let policy = r#"
        [[policy]]
        name = "a day's"
        unit = "cost_usd"
        limit = "0.25"
        window = "day"
        time_zone = "America/Los_Angeles"
    "#;
    let (tollgate, log) = gate(configured(policy));
    for client in Client::both(&tollgate) {
        // Calls of which each costs what it costs, until the next one is expected to pass the limit.
        let mut passed = 0;
        let error = loop {
            let wire = Wire::llama(&server, "sim-1", "Toll?", 50, false);
            match whole(&client, &wire, CallOptions::new()).await {
                Ok(answer) => assert_eq!(answer.status, 200),
                Err(error) => break error,
            }
            passed += 1;
            assert!(passed < 1_000, "the budget never ends");
        };
        let told = refused(&error);
        assert_eq!((told.reason(), told.is_spent()), ("spent", true), "{told}");
        assert!(!told.is_permanent());
        let binding = told.binding().expect("a budget");
        assert_eq!((&*binding.policy, binding.unit), ("a day's", Unit::Cost));
        assert_eq!(binding.capacity, 250_000_000);
        assert_eq!(binding.used, log.settled(Unit::Cost));
        assert!(binding.used + binding.needed > binding.capacity);
        let starts_again = told.retry_after().expect("tomorrow");
        assert!(starts_again <= Duration::from_secs(25 * 3_600));
        let text = told.to_string();
        assert!(text.contains("budget `a day's` is spent: $0."), "{text}");
        assert!(text.contains("of $0.25"), "{text}");
        assert!(text.contains("starts again in"), "{text}");
    }
    let books = server.books();
    assert_eq!(books.requests_received, books.completed);
    // What the provider billed is what was charged.
    let billed = books.input_tokens * 1_000 + books.output_tokens * 1_000_000;
    assert_eq!(log.settled(Unit::Cost), billed);
    assert_eq!(tollgate.gate().open_reservations(), 0);
}

#[tokio::test]
async fn sessions_have_a_budget_each_and_calls_outside_have_none() {
    let server = meta();
    let policy = r#"
        [[policy]]
        name = "session"
        unit = "tokens"
        limit = 200
        window = "session"
    "#;
    let (tollgate, _) = gate(configured(policy));
    let [by_reqwest, by_tower] = Client::both(&tollgate);
    let call = async |client: &Client, options: CallOptions| {
        let wire = Wire::llama(&server, "sim-1", "Toll?", 100, false);
        whole(client, &wire, options).await
    };
    for (client, session) in [(&by_reqwest, "one"), (&by_tower, "two")] {
        let options = || CallOptions::new().session(session).estimate(20, 100);
        let mut passed = 0;
        let error = loop {
            match call(client, options()).await {
                Ok(_) => passed += 1,
                Err(error) => break error,
            }
        };
        assert!(passed > 0);
        let told = refused(&error);
        assert!(told.is_spent(), "{told}");
        let binding = told.binding().expect("a budget");
        assert_eq!((&*binding.policy, binding.capacity), ("session", 200));
        // Both clients share the gate, and so the session.
        let other = call(&by_reqwest, options()).await.expect_err("spent");
        assert!(refused(&other).is_spent());
    }
    for _ in 0..3 {
        call(&by_tower, CallOptions::new())
            .await
            .expect("no session");
    }
}

#[tokio::test]
async fn what_is_spent_for_good_says_so() {
    let server = meta();
    let policy = r#"
        [[policy]]
        name = "trial"
        unit = "cost_usd"
        limit = "0.01"
        window = "total"
    "#;
    let (tollgate, _) = gate(configured(policy));
    let spent = Amounts::call(0, 0).with(Unit::Cost, 9_999_999);
    // An earlier run, years ago.
    tollgate.gate().book(
        &labels(),
        &spent,
        Tick::after_origin(Duration::from_secs(1_000_000_000)),
    );
    for client in Client::both(&tollgate) {
        let wire = Wire::llama(&server, "sim-1", "Toll?", 5, false);
        let error = whole(&client, &wire, CallOptions::new())
            .await
            .expect_err("spent");
        let told = refused(&error);
        assert!(told.is_spent() && told.is_permanent());
        assert_eq!((told.retry_at(), told.retry_after()), (None, None));
        assert!(told.to_string().contains("never starts again"), "{told}");
    }
    assert_eq!(server.books().requests_received, 0);
}

#[tokio::test]
async fn the_month_s_budget_counts_what_an_earlier_run_spent_this_month_alone() {
    let policy = r#"
        [[policy]]
        name = "month"
        unit = "cost_usd"
        limit = "100"
        window = "month"
        time_zone = "Europe/Berlin"
        per = ["tenant"]
    "#;
    let (tollgate, _) = gate(configured(policy));
    let now = tollgate.gate().now();
    let dollars = |n: u64| Amounts::call(0, 0).with(Unit::Cost, n * 1_000_000_000);
    let tenant = |name: &str| labels().with("tenant", name);
    let months_ago = Tick::from_nanos(now.as_nanos() - 40 * 86_400 * 1_000_000_000);
    tollgate
        .gate()
        .book(&tenant("ada"), &dollars(70), months_ago);
    tollgate.gate().book(&tenant("ada"), &dollars(20), now);
    tollgate.gate().book(&tenant("ben"), &dollars(5), now);
    let used: Vec<_> = tollgate
        .gate()
        .snapshot()
        .into_iter()
        .map(|status| (status.partition[0].to_string(), status.used))
        .collect();
    let expected = [("ada", 20), ("ben", 5)];
    assert_eq!(
        used,
        expected.map(|(tenant, dollars)| (tenant.to_owned(), dollars * 1_000_000_000))
    );
}

#[tokio::test]
async fn the_cap_that_the_provider_sees_is_what_the_quota_leaves() {
    for dialect in [
        Dialect::MetaLlama,
        Dialect::OpenAi,
        Dialect::Anthropic,
        Dialect::Generic,
    ] {
        let server = provider().chat(dialect).start().expect("a server");
        let name = match dialect {
            Dialect::MetaLlama => "meta-llama",
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Generic => "llama3-example",
        };
        let config = format!(
            r#"
            lower_output_cap = true
            [provider.{name}]
            tier = "{}"
            drop_limits = ["rpm", "tpm"]
            [[provider.{name}.limits]]
            name = "minute"
            unit = "tokens"
            limit = 10_000
            window = "1m"
            output = "cap"
            "#,
            if name == "anthropic" { "1" } else { "none" }
        );
        let config = if name == "anthropic" {
            config
        } else {
            config.replace("tier = \"none\"", "")
        };
        for kind in [Client::reqwest, Client::tower] {
            let (tollgate, _) = gate(Tollgate::from_toml(&config).expect("a configuration"));
            let wire = Wire::new(&server, dialect, "sim-1", "Toll?", 20_000, false);
            let options = CallOptions::new().estimate(500, 20_000);
            let answer = whole(&kind(&tollgate), &wire, options)
                .await
                .expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.report.output_cap(), Some(9_500), "{dialect:?}");
        }
        for call in server.calls() {
            // The provider reserved its own count of the prompt, and the cap that it was sent.
            assert_eq!(call.reserved - call.input, 9_500, "{dialect:?}");
        }
        assert_eq!(server.books().completed, 2);
    }
}
