//! What each model costs, per million tokens.

use tollgate_tokens::{Catalog, Usage};

#[test]
fn every_published_price_is_in_the_catalog() {
    let catalog = Catalog::builtin();
    // Provider, model as a call names it, and the cost of a million tokens: input, read from the cache, output.
    #[track_caller]
    fn check(catalog: &Catalog, provider: &str, model: &str, [input, read, output]: [&str; 3]) {
        let known = catalog.provider(provider).unwrap().model(model);
        let known = known.unwrap_or_else(|| panic!("no {model} at {provider}"));
        assert!(known.source.is_some() && known.date.is_some(), "{model}");
        let price = known.price.as_ref().unwrap_or_else(|| panic!("{model}"));
        // Ten times a hundred thousand, so that no prompt is a long one.
        let ten = |usage: &Usage| {
            (0..10)
                .map(|_| price.cost(usage))
                .sum::<tollgate_tokens::Cost>()
        };
        let plain = ten(&Usage::new(100_000, 0)).to_string();
        let cached = Usage {
            cache_read: 100_000,
            ..Usage::new(100_000, 0)
        };
        let generated = ten(&Usage::new(0, 100_000)).to_string();
        assert_eq!(
            [plain, ten(&cached).to_string(), generated],
            [input, read, output].map(|dollars| format!("${dollars}")),
            "{provider} {model}"
        );
    }
    let openai = |model, prices| check(&catalog, "openai", model, prices);
    openai("gpt-4o-2024-11-20", ["2.50", "1.25", "10.00"]);
    openai("gpt-4o-mini", ["0.15", "0.075", "0.60"]);
    openai("gpt-4.1", ["2.00", "0.50", "8.00"]);
    openai("gpt-4.1-mini", ["0.40", "0.10", "1.60"]);
    openai("gpt-4.1-nano", ["0.10", "0.025", "0.40"]);
    openai("o3", ["2.00", "0.50", "8.00"]);
    openai("o4-mini", ["1.10", "0.275", "4.40"]);
    openai("gpt-5", ["1.25", "0.125", "10.00"]);
    openai("gpt-5-mini", ["0.25", "0.025", "2.00"]);
    openai("gpt-5-nano", ["0.05", "0.005", "0.40"]);
    openai("gpt-5.4", ["2.50", "0.25", "15.00"]);
    openai("text-embedding-3-small", ["0.02", "0.02", "0.00"]);
    openai("text-embedding-3-large", ["0.13", "0.13", "0.00"]);
    let anthropic = |model, prices| check(&catalog, "anthropic", model, prices);
    anthropic("claude-opus-4-20250514", ["15.00", "1.50", "75.00"]);
    anthropic("claude-opus-4-1-20250805", ["15.00", "1.50", "75.00"]);
    for opus in [
        "claude-opus-4-5-20251101",
        "claude-opus-4-7",
        "claude-opus-4-8",
        "claude-opus-5",
    ] {
        anthropic(opus, ["5.00", "0.50", "25.00"]);
    }
    for sonnet in [
        "claude-sonnet-4-20250514",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-5",
    ] {
        anthropic(sonnet, ["3.00", "0.30", "15.00"]);
    }
    anthropic("claude-haiku-4-5-20251001", ["1.00", "0.10", "5.00"]);
    anthropic("claude-3-5-haiku-20241022", ["0.80", "0.08", "4.00"]);
    anthropic("claude-3-haiku-20240307", ["0.25", "0.03", "1.25"]);
    let xai = |model, prices| check(&catalog, "xai", model, prices);
    xai("grok-2-1212", ["2.00", "2.00", "10.00"]);
    xai("grok-3", ["3.00", "0.75", "15.00"]);
    xai("grok-4-0709", ["3.00", "0.75", "15.00"]);
    xai("grok-4.3", ["1.25", "0.20", "2.50"]);
    let gemini = |model, prices| check(&catalog, "gemini", model, prices);
    gemini("gemini-2.5-pro", ["1.25", "0.125", "10.00"]);
    gemini("gemini-2.5-flash", ["0.30", "0.03", "2.50"]);
    gemini("gemini-2.5-flash-lite", ["0.10", "0.01", "0.40"]);
    let plain = |provider, model, [input, output]: [&'static str; 2]| {
        check(&catalog, provider, model, [input, input, output]);
    };
    plain(
        "groq",
        "meta-llama/llama-4-scout-17b-16e-instruct",
        ["0.11", "0.34"],
    );
    plain(
        "groq",
        "meta-llama/llama-4-maverick-17b-128e-instruct",
        ["0.20", "0.60"],
    );
    plain("groq", "llama-3.3-70b-versatile", ["0.59", "0.79"]);
    plain("groq", "llama3-8b-8192", ["0.05", "0.08"]);
    plain("groq", "llama3-70b-8192", ["0.59", "0.79"]);
    plain(
        "together",
        "meta-llama/Llama-4-Scout-17B-16E-Instruct",
        ["0.18", "0.59"],
    );
    plain(
        "together",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        ["0.27", "0.85"],
    );
    plain(
        "together",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        ["0.88", "0.88"],
    );
    plain(
        "bedrock",
        "us.meta.llama4-scout-17b-instruct-v1:0",
        ["0.17", "0.66"],
    );
    plain(
        "bedrock",
        "us.meta.llama4-maverick-17b-instruct-v1:0",
        ["0.24", "0.97"],
    );
    plain(
        "bedrock",
        "us.meta.llama3-3-70b-instruct-v1:0",
        ["0.72", "0.72"],
    );
    plain("llama-4-scout-hosted", "llama-4-scout", ["0.10", "0.25"]);
    plain("mistral", "mistral-small-latest", ["0.10", "0.30"]);
    plain("mistral", "mistral-large-2411", ["2.00", "6.00"]);
    check(
        &catalog,
        "deepseek",
        "deepseek-chat",
        ["0.27", "0.07", "1.10"],
    );
    check(
        &catalog,
        "deepseek",
        "deepseek-reasoner",
        ["0.55", "0.14", "2.19"],
    );
}

#[test]
fn long_prompts_reprice_the_whole_request() {
    let catalog = Catalog::builtin();
    let cost = |provider, model, input| {
        let known = catalog.provider(provider).unwrap().model(model).unwrap();
        let usage = Usage {
            cache_read: 100_000,
            ..Usage::new(input, 1_000)
        };
        known.price.as_ref().unwrap().cost(&usage).to_string()
    };
    // 100,000 and one plain, 100,000 cached, 1,000 generated.
    assert_eq!(cost("gemini", "gemini-2.5-pro", 200_000), "$0.1475");
    assert_eq!(cost("gemini", "gemini-2.5-pro", 200_001), "$0.2900025");
    assert_eq!(cost("openai", "gpt-5.4", 272_000), "$0.47");
    assert_eq!(cost("openai", "gpt-5.4", 272_001), "$0.932505");
}
