//! What a user's file changes, and how its faults are told.

use tollgate_limits::Unit;
use tollgate_tokens::{Catalog, Dialect, ShapeName};

use super::{merged, rows};

#[test]
fn a_user_s_file_replaces_what_it_gives_and_keeps_the_rest() {
    let catalog = merged(
        r#"
        [provider.meta-llama]
        limits = [{ name = "tpm", unit = "tokens", limit = 1_000_000, window = "1m", per = ["model"] }]

        [provider.meta-llama.models."Llama-3.3-8B-Instruct"]
        price = { input = "0.05", output = "0.08" }
        "#,
    );
    let meta = catalog.provider("meta-llama").unwrap();
    assert_eq!(
        rows(&meta.policies(None).unwrap()),
        [
            ("rpm", Unit::Requests, 10, 60),
            ("tpm", Unit::TotalTokens, 1_000_000, 60)
        ]
    );
    // The built-in source says nothing about the user's figure.
    assert_eq!(meta.limits[1].source, None);
    let model = meta.model("Llama-3.3-8B-Instruct").unwrap();
    assert_eq!(
        (model.context, model.price.as_ref().map(|p| p.input)),
        (Some(128_000), Some(50_000))
    );
    assert_eq!(meta.dialect, Dialect::MetaLlama);
}

#[test]
fn a_user_s_file_can_drop_limits_choose_a_tier_and_add_a_provider() {
    let catalog = merged(
        r#"
        [provider.meta-llama]
        drop_limits = ["rpm"]

        [provider.anthropic]
        tier = "4"

        [provider.mine]
        dialect = "openai"
        hosts = ["llm.internal/models", "*.llm.internal"]

        [[provider.mine.limits]]
        name = "slots"
        unit = "concurrency"
        limit = 8
        "#,
    );
    assert_eq!(
        rows(&catalog.provider("meta-llama").unwrap().limits),
        [("tpm", Unit::TotalTokens, 250_000, 60)]
    );
    assert_eq!(
        catalog
            .provider("anthropic")
            .unwrap()
            .policies(None)
            .unwrap()[0]
            .limit,
        4_000
    );
    let mine = catalog.by_host("a.llm.internal", "/").unwrap();
    assert_eq!(
        (&*mine.name, &*mine.system, mine.dialect),
        ("mine", "mine", Dialect::OpenAiChat)
    );
    assert_eq!(
        (mine.limits[0].shape, mine.limits[0].window),
        (ShapeName::Slots, None)
    );
    assert!(catalog.by_host("llm.internal", "/models/a").is_some());
    assert!(catalog.by_host("llm.internal", "/other").is_none());
}

#[test]
fn the_more_exact_host_wins() {
    let catalog = merged(
        r#"
        [provider.a-all]
        dialect = "openai"
        hosts = ["*.example.net"]
        [provider.z-one]
        dialect = "anthropic"
        hosts = ["api.example.net/anthropic"]
        "#,
    );
    let find = |path| catalog.by_host("api.example.net", path).map(|p| &*p.name);
    assert_eq!(find("/anthropic/v1/messages"), Some("z-one"));
    assert_eq!(find("/v1/chat/completions"), Some("a-all"));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_by_line_column_and_what_is_allowed() {
    #[track_caller]
    fn check(text: &str, line: usize, column: usize, message: &str) {
        let mut catalog = Catalog::builtin();
        let error = catalog.merge(text).unwrap_err();
        assert_eq!(
            (error.line(), error.column()),
            (Some(line), Some(column)),
            "{error}"
        );
        assert!(error.message().contains(message), "{error}");
        assert_eq!(
            error.to_string(),
            format!("line {line}, column {column}: {}", error.message())
        );
        assert_eq!(catalog, Catalog::builtin());
    }
    let limit = |rest: &str| format!("[[provider.openai.limits]]\nname = \"a\"\n{rest}\n");
    check(
        "[provider.openai]\nhost = \"x\"",
        2,
        1,
        "unknown field `host`, expected one of `system`, `hosts`",
    );
    check(
        "[provider.openai]\ndialect = \"smoke\"",
        2,
        11,
        "unknown dialect `smoke`, expected one of `openai`",
    );
    check(
        "[provider.new]\nhosts = []",
        1,
        11,
        "the new provider `new` needs a dialect, one of `openai`",
    );
    check(
        "[provider.openai]\ntier = \"9\"",
        1,
        11,
        "has no tier `9`; its tiers are: none",
    );
    check("[provider.openai", 1, 17, "");
    check(
        &limit("unit = \"token\"\nlimit = 1\nwindow = \"1m\""),
        3,
        8,
        "unknown unit `token`, expected one of `requests`, `input_tokens`, `output_tokens`, `tokens`, `cost_usd`, `concurrency`",
    );
    check(
        &limit("unit = \"tokens\"\nlimit = 1\nwindow = \"1m\"\nshape = \"leaky\""),
        6,
        9,
        "unknown variant `leaky`, expected one of `bucket`, `window`, `sliding`, `slots`",
    );
    check(
        &limit("unit = \"tokens\"\nlimit = 1\nwindow = \"0s\""),
        5,
        10,
        "\"0s\"".trim_matches('"'),
    );
    check(
        &limit("unit = \"tokens\"\nlimit = 1\nwindow = \"1 minute\""),
        5,
        10,
        "expected a span",
    );
    check(
        &limit("unit = \"tokens\"\nlimit = 1.5\nwindow = \"1m\""),
        4,
        9,
        "a whole number",
    );
    check(
        "[provider.openai.models.x]\ncontext = 0",
        2,
        11,
        "0 is not a number of tokens",
    );
    check(
        "[provider.openai.models.x]\nprice = { input = \"a lot\", output = \"1\" }",
        2,
        19,
        "`a lot` is not a price",
    );
    check(
        "[provider.openai.models.x]\nprice = { input = \"0.0000001\", output = \"1\" }",
        2,
        19,
        "at most 6 decimals",
    );
    check(
        "[provider.openai]\ndate = \"yesterday\"",
        2,
        8,
        "`yesterday` is not a date",
    );
    let twice = "limits = [{ name = \"a\", unit = \"requests\", limit = 1, window = \"1m\" },\n\
                 { name = \"a\", unit = \"tokens\", limit = 1, window = \"1m\" }]";
    check(
        &format!("[provider.openai]\n{twice}"),
        3,
        1,
        "two limits are named `a`",
    );
}
