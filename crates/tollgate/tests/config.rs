//! `tollgate.toml`: what it says is what the builder says, and what is wrong in it is named with its place.

use std::time::Duration;

use tollgate::limits::Unit;
use tollgate::tokens::{Catalog, PolicySpec, UnknownPrice, Warning};
use tollgate::{Builder, Schedule, Settings, Tollgate};

/// The sample in the documentation of the configuration file, taken from there.
fn sample() -> String {
    let lines = include_str!("../src/config.rs")
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```");
    lines.fold(String::new(), |text, line| {
        text + line
            .strip_prefix("//!")
            .expect("a line of the documentation")
            .trim_start_matches(' ')
            + "\n"
    })
}

fn spec(text: &str) -> PolicySpec {
    toml::from_str(text).expect("a policy")
}

fn budget() -> PolicySpec {
    spec(
        "name = \"daily budget\"\nunit = \"cost_usd\"\nlimit = \"25.00\"\nwindow = \"day\"\ntime_zone = \"Europe/Berlin\"",
    )
}

/// Everything that a builder was told.
fn words(builder: &Builder) -> String {
    format!("{builder:#?}")
}

#[test]
fn the_documented_sample_says_the_same_as_the_builder() {
    let mut catalog = Catalog::builtin();
    catalog
        .merge(
            "[provider.meta-llama]\nlimits = [{ name = \"rpm\", unit = \"requests\", limit = 3000, window = \"1m\", per = [\"model\"] }]",
        )
        .expect("a catalog text");
    let settings = Settings::default()
        .attempts(5)
        .patience(Duration::from_secs(60))
        .schedule(Schedule::exponential(
            Duration::from_millis(500),
            Duration::from_secs(60),
        ))
        .retry_percent(20)
        .unknown_price(UnknownPrice::Refuse);
    let by_hand = Tollgate::builder()
        .catalog(catalog)
        .provider("meta-llama")
        .tier("anthropic", "1")
        .settings(settings)
        .queue_limit(10_000)
        .tenant_queue_limit(1_000)
        .longest_wait(Duration::from_secs(600))
        .partition_limit(1_000_000)
        .fair_between("tenant")
        .weight("search", 5)
        .ageing(Duration::from_secs(60))
        .policy(budget());

    let read = Tollgate::from_toml(&sample()).expect("the sample");
    assert_eq!(words(&read), words(&by_hand));

    let (read, by_hand) = (
        read.build().expect("a gate"),
        by_hand.build().expect("a gate"),
    );
    assert!(read.warnings().is_empty());
    assert_eq!(read.warnings(), by_hand.warnings());
}

#[test]
fn an_empty_file_enforces_nothing() {
    let empty = Tollgate::from_toml("").expect("a configuration");
    assert_eq!(words(&empty), words(&Tollgate::builder()));
}

#[test]
fn each_word_of_the_retry_table_is_heard_alone() {
    let check = |text: &str, expected: Settings| {
        let read = Tollgate::from_toml(text).expect(text);
        let expected = Tollgate::builder().settings(expected);
        assert_eq!(words(&read), words(&expected), "{text}");
    };
    check("[retry]\nattempts = 2", Settings::default().attempts(2));
    check(
        "[retry]\npatience = \"5s\"",
        Settings::default().patience(Duration::from_secs(5)),
    );
    check("[retry]\npercent = 0", Settings::default().retry_percent(0));
    check("[retry]", Settings::default());
}

#[test]
fn what_is_done_to_calls_near_a_limit_is_said_at_the_top() {
    let check = |text: &str, expected: Settings| {
        let read = Tollgate::from_toml(text).expect(text);
        let expected = Tollgate::builder().settings(expected);
        assert_eq!(words(&read), words(&expected), "{text}");
    };
    let defaults = Settings::default;
    check("lower_output_cap = true", defaults().lower_output_cap(true));
    check("warn_at = 75", defaults().warn_at(75));
    refused("warn_at = 101", (1, 11), &["`warn_at`", "100"]);
    refused("warn_at = -1", (1, 11), &[]);
}

#[test]
fn budgets_run_per_day_month_session_and_for_all_time() {
    for window in ["day", "month", "session", "total"] {
        let text = format!(
            "[[policy]]\nname = \"b\"\nunit = \"cost_usd\"\nlimit = \"9\"\nwindow = \"{window}\""
        );
        let tollgate = Tollgate::from_toml(&text).and_then(Builder::build);
        tollgate.unwrap_or_else(|error| panic!("{window}: {error}"));
    }
    let budget = |rest: &str| {
        format!("[[policy]]\nname = \"b\"\nunit = \"cost_usd\"\nlimit = \"9\"\n{rest}")
    };
    let wait = |window: &str| budget(&format!("window = \"{window}\"\nspent = \"wait\""));
    refused(&wait("total"), (1, 1), &["`b`", "never comes back"]);
    refused(&wait("session"), (1, 1), &["`b`", "never comes back"]);
    refused(
        &budget("window = \"month\"\nshape = \"bucket\""),
        (1, 1),
        &["`b`", "\"month\"", "`window`"],
    );
    refused(
        &budget("window = \"total\"\ntime_zone = \"UTC\""),
        (1, 1),
        &["`b`", "a time zone needs"],
    );
    refused(
        &budget("window = \"month\"\ntime_zone = \"Europe/Atlantis\""),
        (1, 1),
        &["`b`", "Europe/Atlantis"],
    );
    refused(
        &budget("window = \"day\"\nspent = \"ask\""),
        (6, 9),
        &["`ask`", "`wait`", "`refuse`"],
    );
}

#[test]
fn a_provider_s_charge_rules_are_a_table_of_it() {
    let text = "[provider.house]\ndialect = \"openai\"\n[provider.house.charges]\n\
                shape = \"bucket\"\ntokens = \"arrival\"\noutput_weight = 5\n\
                [[provider.house.limits]]\nname = \"tpm\"\nunit = \"tokens\"\nlimit = 9000\nwindow = \"1m\"";
    Tollgate::from_toml(text)
        .and_then(Builder::build)
        .expect("a gate");
    refused(
        "[provider.openai.charges]\ntoken = \"arrival\"",
        (2, 1),
        &["`token`", "`tokens`", "`cache_reads`", "`scope`"],
    );
    refused(
        "[provider.openai.charges]\ntokens = \"later\"",
        (2, 10),
        &["`later`", "`arrival`", "`produced`"],
    );
}

#[test]
fn the_default_provider_need_not_be_the_first() {
    let read =
        Tollgate::from_toml("providers = [\"openai\", \"groq\"]\ndefault_provider = \"groq\"")
            .expect("a configuration");
    let words = words(&read);
    assert!(
        words.contains("default_provider: Some(\n        \"groq\",\n    )"),
        "{words}"
    );
}

#[test]
fn money_is_written_in_dollars_and_counted_in_nano_dollars() {
    let check = |limit: &str, nanos: u64| {
        let spec = spec(&format!(
            "name = \"b\"\nunit = \"cost_usd\"\nwindow = \"1h\"\nlimit = {limit}"
        ));
        assert_eq!((spec.unit, spec.limit), (Unit::Cost, nanos), "{limit}");
        let text = format!(
            "[[policy]]\nname = \"b\"\nunit = \"cost_usd\"\nwindow = \"1h\"\nlimit = {limit}"
        );
        Tollgate::from_toml(&text)
            .and_then(Builder::build)
            .expect(limit);
    };
    check("\"25.00\"", 25_000_000_000);
    check("25", 25_000_000_000);
    check("\"0.000000001\"", 1);
    check("\"1000000\"", 1_000_000_000_000_000);
}

/// Asserts that a text is refused at a line and column, and that the message has all of `names`.
#[track_caller]
fn refused(text: &str, at: (usize, usize), names: &[&str]) {
    let error = Tollgate::from_toml(text)
        .and_then(Builder::build)
        .expect_err(text);
    let message = error.to_string();
    assert_eq!(error.position(), Some(at), "{text}\n{message}");
    let place = format!("line {}, column {}: ", at.0, at.1);
    assert!(message.starts_with(&place), "{message}");
    for name in names {
        assert!(message.contains(name), "{name:?} is not in: {message}");
    }
}

#[test]
fn an_unknown_field_is_named_with_those_there_are() {
    refused("color = 1", (1, 1), &["`color`", "`providers`", "`retry`"]);
    refused(
        "[retry]\nattempts = 3\ntimes = 3",
        (3, 1),
        &["`times`", "`attempts`", "`patience`"],
    );
    refused(
        "[[policy]]\nname = \"a\"\nunit = \"requests\"\nlimit = 1\nwindow = \"1m\"\nbursts = 2",
        (6, 1),
        &["`bursts`", "`burst`", "`window`"],
    );
    refused(
        "[provider.openai]\nhost = \"a\"",
        (2, 1),
        &["`host`", "`hosts`"],
    );
    refused("providers = \"openai\"", (1, 13), &["sequence"]);
    refused("providers = [", (1, 14), &[]);
}

#[test]
fn an_unknown_unit_is_named_with_those_there_are() {
    let units = [
        "`bananas`",
        "`requests`",
        "`input_tokens`",
        "`output_tokens`",
        "`tokens`",
        "`cost_usd`",
        "`concurrency`",
    ];
    refused(
        "[[policy]]\nname = \"a\"\nunit = \"bananas\"\nlimit = 1\nwindow = \"1m\"",
        (3, 8),
        &units,
    );
    refused(
        "[provider.openai]\nlimits = [{ name = \"a\", unit = \"bananas\", limit = 1, window = \"1m\" }]",
        (2, 32),
        &units,
    );
}

#[test]
fn a_limit_that_cannot_work_is_refused_where_it_stands() {
    let policy = |limit: &str, unit: &str| {
        format!("[[policy]]\nname = \"a\"\nunit = \"{unit}\"\nwindow = \"1m\"\nlimit = {limit}")
    };
    let largest = "1000000000000000";
    for unit in ["requests", "tokens", "cost_usd"] {
        refused(&policy("0", unit), (1, 1), &["`a`", "at least 1"]);
    }
    refused(&policy("-1", "tokens"), (1, 1), &["`a`", "from 1", largest]);
    refused(
        &policy("1_000_000_000_000_001", "tokens"),
        (1, 1),
        &["`a`", "from 1", largest],
    );
    refused(&policy("99999999999999999999999", "tokens"), (5, 9), &[]);
    refused(
        &policy("1.5", "tokens"),
        (5, 9),
        &["a whole number", "25.50"],
    );
    refused(&policy("\"25\"", "tokens"), (1, 1), &["`cost_usd`"]);
    for dollars in ["\"-1\"", "\"1000000.01\"", "\"0.0000000001\"", "\"ten\""] {
        refused(
            &policy(dollars, "cost_usd"),
            (1, 1),
            &["`a`", "0.000000001", "1000000"],
        );
    }
}

#[test]
fn words_of_a_limit_that_do_not_go_together_are_refused_with_what_to_do() {
    let policy = |unit: &str, rest: &str| {
        format!("[[policy]]\nname = \"a\"\nunit = \"{unit}\"\nlimit = 9\n{rest}")
    };
    let minute = |rest: &str| policy("tokens", &format!("window = \"1m\"\n{rest}"));
    refused(&minute("pace = 10"), (1, 1), &["`a`", "at most the limit"]);
    refused(&minute("pace = 0"), (1, 1), &["`a`", "pace", "at least 1"]);
    refused(
        &policy("concurrency", "pace = 1"),
        (1, 1),
        &["`a`", "slots have no pace"],
    );
    for bounds in ["floor = 10, ceiling = 20", "floor = 1, ceiling = 8"] {
        let text = minute(&format!("adaptive = {{ {bounds} }}"));
        refused(&text, (1, 1), &["`a`", "between its floor and its ceiling"]);
    }
    refused(
        &minute("adaptive = { floor = 0, ceiling = 9 }"),
        (1, 1),
        &["adaptive: 0"],
    );
    refused(&minute("adaptive = { floor = 1 }"), (6, 12), &["`ceiling`"]);
    refused(
        &minute("adaptive = { floor = 1, ceiling = 9 }\npace = 3"),
        (1, 1),
        &["leave `pace` out"],
    );
    let budget = "window = \"1d\"\nadaptive = { floor = 1, ceiling = 9 }";
    refused(
        &policy("cost_usd", budget),
        (1, 1),
        &["leave `adaptive` out"],
    );
}

#[test]
fn a_window_that_cannot_work_is_refused_with_examples() {
    let policy = |window: &str| {
        format!("[[policy]]\nname = \"a\"\nunit = \"tokens\"\nlimit = 9\nwindow = {window}")
    };
    for window in ["\"0s\"", "\"soon\"", "\"367d\"", "\"-1m\"", "\"\""] {
        refused(&policy(window), (5, 10), &["1ms", "366d", "60s", "day"]);
    }
    refused(&policy("60"), (5, 10), &["string"]);
    refused(
        "[[policy]]\nname = \"a\"\nunit = \"tokens\"\nlimit = 9",
        (1, 1),
        &["window", "1m", "day"],
    );
    refused(
        &(policy("\"1m\"") + "\nmargin = \"30s\""),
        (1, 1),
        &["margin", "half the window"],
    );
}

#[test]
fn an_unknown_provider_is_named_with_those_there_are() {
    let known = ["`llama-9`", "anthropic", "meta-llama", "openai", "xai"];
    refused("providers = [\"openai\",\n  \"llama-9\"]", (2, 3), &known);
    refused("default_provider = \"llama-9\"", (1, 20), &known);
    refused("[tiers]\nllama-9 = \"1\"", (2, 1), &known);
    // A table makes a new provider, which then has to say what it speaks.
    refused(
        "[provider.llama-9]\nhosts = [\"llama.example.com\"]",
        (1, 11),
        &["`llama-9`", "dialect", "`openai`", "`meta-llama`"],
    );
    let error = Tollgate::preset("llama-9").expect_err("no such provider");
    assert_eq!(error.position(), None);
    for name in known {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_unknown_tier_is_named_with_those_there_are() {
    let tiers = ["`anthropic`", "`gold`", "`1`", "`4`", "`start`"];
    refused("[tiers]\nanthropic = \"gold\"", (2, 13), &tiers);
    let error = Tollgate::builder()
        .tier("anthropic", "gold")
        .build()
        .expect_err("no such tier");
    assert_eq!(error.position(), None);
    for name in tiers {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_unknown_time_zone_is_refused_where_its_policy_stands() {
    let policy = |zone: &str| {
        format!(
            "[[policy]]\nname = \"b\"\nunit = \"cost_usd\"\nlimit = \"1\"\nwindow = \"day\"\ntime_zone = \"{zone}\""
        )
    };
    refused(
        &policy("Europe/Atlantis"),
        (1, 1),
        &["`b`", "Europe/Atlantis", "Europe/Berlin"],
    );
    refused(&policy("mars time"), (1, 1), &["`b`", "IANA"]);
}

#[test]
fn two_policies_of_one_name_are_refused_at_the_second() {
    let one = "[[policy]]\nname = \"a\"\nunit = \"tokens\"\nlimit = 9\nwindow = \"1m\"\n";
    refused(&format!("{one}{one}"), (6, 1), &["`a`"]);
}

#[test]
fn an_unreadable_price_policy_names_the_words() {
    refused(
        "unknown_price = \"free\"",
        (1, 17),
        &["`free`", "`refuse`", "`ignore`", "`assume`"],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Tollgate::from_file("no/such/tollgate.toml").expect_err("no such file");
    assert!(
        error.to_string().starts_with("no/such/tollgate.toml: "),
        "{error}"
    );
}

#[test]
fn more_requests_than_tokens_per_minute_warn_and_still_build() {
    let swapped = [Warning::RpmAboveTpm {
        requests: 300_000,
        tokens: 6_000,
    }];
    let check = |text: &str| {
        let tollgate = Tollgate::from_toml(text)
            .and_then(Builder::build)
            .expect(text);
        assert_eq!(tollgate.warnings(), swapped, "{text}");
        let message = tollgate.warnings()[0].to_string();
        assert!(
            message.contains("300000") && message.contains("6000"),
            "{message}"
        );
    };
    check(
        "[provider.openai]\nlimits = [{ name = \"rpm\", unit = \"requests\", limit = 5000, window = \"1s\" },\n\
         { name = \"tpm\", unit = \"tokens\", limit = 100, window = \"1s\" }]",
    );
    check(
        "[[policy]]\nname = \"rpm\"\nunit = \"requests\"\nlimit = 300000\nwindow = \"1m\"\n\
         [[policy]]\nname = \"tpm\"\nunit = \"tokens\"\nlimit = 6000\nwindow = \"1m\"",
    );
}

#[test]
fn a_preset_of_every_provider_in_the_catalog_builds() {
    let catalog = Catalog::builtin();
    for provider in catalog.providers() {
        let tollgate = Tollgate::preset(&provider.name)
            .and_then(Builder::build)
            .unwrap_or_else(|error| panic!("{}: {error}", provider.name));
        assert_eq!(tollgate.gate().open_reservations(), 0);
        for tier in &provider.tiers {
            Tollgate::builder()
                .tier(&provider.name, &tier.name)
                .build()
                .unwrap_or_else(|error| panic!("{} {}: {error}", provider.name, tier.name));
        }
    }
}

#[cfg(not(feature = "journal"))]
#[test]
fn a_journal_needs_its_feature() {
    refused("journal = \"usage.db\"", (1, 11), &["feature `journal`"]);
}
