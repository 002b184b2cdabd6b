//! How each provider charges, and how its rules reach a limit that does not say it itself.

use tollgate_tokens::{
    Catalog, ChargeName, OutputRule, PolicySpec, ShapeName, SpentRule, WindowSpec,
};

use super::merged;

/// A user's own limit of a provider, which says nothing of how it is charged.
fn bare(provider: &str, unit: &str) -> PolicySpec {
    let text = format!(
        "[[provider.{provider}.limits]]\nname = \"own\"\nunit = \"{unit}\"\nlimit = 1_000_000\nwindow = \"1m\""
    );
    own(provider, &text)
}

fn own(provider: &str, text: &str) -> PolicySpec {
    let specs = merged(text)
        .provider(provider)
        .unwrap()
        .policies(None)
        .unwrap();
    specs.into_iter().find(|spec| spec.name == "own").unwrap()
}

#[test]
fn a_bare_limit_is_charged_as_its_provider_charges() {
    use ChargeName::{Arrival, ArrivalKept, Completion};
    use OutputRule::{Cap, Expected};
    #[track_caller]
    fn check(provider: &str, unit: &str, charge: ChargeName, output: OutputRule, cached: bool) {
        let spec = bare(provider, unit);
        assert_eq!(
            (spec.charge, spec.output, spec.cache_reads),
            (charge, output, cached),
            "{provider} {unit}"
        );
    }
    check("anthropic", "input_tokens", Arrival, Cap, false);
    check("azure-openai", "tokens", Arrival, Cap, true);
    check("bedrock", "tokens", Arrival, Cap, false);
    check("cohere", "requests", ArrivalKept, Cap, true);
    check("deepseek", "tokens", Completion, Expected, true);
    check("fireworks", "output_tokens", Completion, Expected, true);
    check("gemini", "input_tokens", Completion, Expected, true);
    check("groq", "tokens", Arrival, Cap, false);
    check("meta-llama", "tokens", Arrival, Cap, true);
    check("mistral", "tokens", Completion, Expected, true);
    check("openai", "tokens", Arrival, Cap, true);
    check("openrouter", "requests", ArrivalKept, Cap, true);
    check("together", "tokens", Completion, Expected, true);
    check("xai", "tokens", Completion, Expected, true);
}

#[test]
fn shapes_and_scopes_come_from_the_provider_too() {
    let shape = |provider| bare(provider, "tokens").shape;
    assert_eq!(shape("openai"), ShapeName::Bucket);
    assert_eq!(shape("groq"), ShapeName::Bucket);
    assert_eq!(shape("xai"), ShapeName::Sliding);
    let scope = |provider| bare(provider, "tokens").per;
    assert_eq!(scope("openai"), ["organization", "project"]);
    assert_eq!(scope("azure-openai"), ["model"]);
    assert_eq!(scope("bedrock"), ["account", "server"]);
    assert_eq!(scope("meta-llama"), ["team"]);
    assert_eq!(scope("cohere"), ["key"]);
    assert!(scope("deepseek").is_empty());
}

#[test]
fn what_a_limit_says_itself_stands() {
    let spec = own(
        "bedrock",
        "[[provider.bedrock.limits]]\nname = \"own\"\nunit = \"tokens\"\nlimit = 9\nwindow = \"1m\"\nper = [\"account\"]\n\
         charge = \"completion\"\ncache_reads = true\noutput_weight = \"1.5\"",
    );
    assert_eq!(
        (spec.charge, spec.output, spec.cache_reads),
        (ChargeName::Completion, OutputRule::Cap, true)
    );
    assert_eq!(
        (spec.output_weight, spec.per),
        (Some(1_500), vec!["account".into(), "server".into()])
    );
    let day = own(
        "openai",
        "[[provider.openai.limits]]\nname = \"own\"\nunit = \"tokens\"\nlimit = 9\nwindow = \"day\"",
    );
    assert_eq!(day.shape, ShapeName::Window, "a day is no bucket");
    let sliding = own(
        "openai",
        "[[provider.openai.limits]]\nname = \"own\"\nunit = \"tokens\"\nlimit = 9\nwindow = \"1m\"\nshape = \"sliding\"",
    );
    assert_eq!(sliding.shape, ShapeName::Sliding);
}

#[test]
fn a_user_s_rules_are_merged_field_by_field() {
    let text = "[provider.openai.charges]\nfailures = false\n\
                [[provider.openai.limits]]\nname = \"own\"\nunit = \"requests\"\nlimit = 9\nwindow = \"1m\"";
    let spec = own("openai", text);
    assert_eq!(
        (spec.failures, spec.charge, spec.shape),
        (false, ChargeName::ArrivalKept, ShapeName::Bucket)
    );
    let error = Catalog::builtin()
        .merge("[provider.openai.charges]\noutput_weight = -1")
        .unwrap_err();
    assert!(
        error.message().contains("a weight is from 0 to 1000"),
        "{error}"
    );
    assert_eq!(error.line(), Some(2));
}

#[test]
fn output_burns_down_by_the_class_of_the_model_at_bedrock() {
    let catalog = Catalog::builtin();
    let bedrock = catalog.provider("bedrock").unwrap();
    let weight = |model| bedrock.output_weight(bedrock.model(model));
    assert_eq!(weight("anthropic.claude-opus-4-20250514-v1:0"), 5_000);
    assert_eq!(
        weight("us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        5_000
    );
    assert_eq!(weight("anthropic.claude-opus-4-8-v1:0"), 15_000);
    assert_eq!(weight("global.anthropic.claude-opus-5-v1:0"), 10_000);
    assert_eq!(weight("eu.anthropic.claude-fable-5-1-v1:0"), 10_000);
    assert_eq!(weight("us.meta.llama4-scout-17b-instruct-v1:0"), 1_000);
    assert_eq!(weight("something.new"), 1_000);
    let arn =
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-v1:0";
    assert_eq!(weight(arn), 10_000);
    assert_eq!(
        catalog.provider("openai").unwrap().output_weight(None),
        1_000
    );
}

#[test]
fn three_limits_of_fireworks_count_the_same_prompt_in_two_ways() {
    let specs = Catalog::builtin()
        .provider("fireworks")
        .unwrap()
        .policies(None)
        .unwrap();
    let counted: Vec<_> = specs
        .iter()
        .map(|spec| (&*spec.name, spec.limit, spec.cache_reads))
        .collect();
    assert_eq!(
        counted,
        [
            ("prompt", 3_600_000, true),
            ("uncached-prompt", 900_000, false),
            ("generated", 36_000, true),
        ]
    );
}

#[test]
fn hosts_of_every_provider_are_known() {
    let catalog = Catalog::builtin();
    let find = |host, path| catalog.by_host(host, path).map(|provider| &*provider.name);
    let check = |host, path, expected| assert_eq!(find(host, path), expected, "{host}{path}");
    check(
        "mine.openai.azure.com",
        "/openai/v1/responses",
        Some("azure-openai"),
    );
    check(
        "bedrock-runtime.us-east-1.amazonaws.com",
        "/model/x/converse",
        Some("bedrock"),
    );
    check("s3.amazonaws.com", "/bucket", None);
    check(
        "generativelanguage.googleapis.com",
        "/v1beta/models/m:generateContent",
        Some("gemini"),
    );
    check(
        "us-central1-aiplatform.googleapis.com",
        "/v1/projects/p",
        Some("gemini"),
    );
    check("api.together.ai", "/v1/chat/completions", Some("together"));
    check(
        "openrouter.ai",
        "/api/v1/chat/completions",
        Some("openrouter"),
    );
    check("api.cohere.com", "/v2/chat", Some("cohere"));
    check("api.deepseek.com", "/chat/completions", Some("deepseek"));
    check(
        "api.fireworks.ai",
        "/inference/v1/chat/completions",
        Some("fireworks"),
    );
    check("api.mistral.ai", "/v1/chat/completions", Some("mistral"));
    check("api.groq.com", "/openai/v1/chat/completions", Some("groq"));
}

#[test]
fn a_window_that_is_named_by_a_word_is_a_budget_s() {
    let read = |rest: &str| {
        let text = format!("[[provider.openai.limits]]\nname = \"own\"\nlimit = 100\n{rest}");
        own("openai", &text)
    };
    let month = read("unit = \"cost_usd\"\nwindow = \"month\"\ntime_zone = \"Europe/Berlin\"");
    assert_eq!(
        (month.window, month.spent),
        (Some(WindowSpec::Month), SpentRule::Refuse)
    );
    let session = read("unit = \"tokens\"\nwindow = \"session\"");
    assert_eq!(
        (session.window, session.spent),
        (Some(WindowSpec::Session), SpentRule::Refuse)
    );
    let total = read("unit = \"cost_usd\"\nwindow = \"total\"");
    assert_eq!(total.window, Some(WindowSpec::Total));
    let waiting = read("unit = \"cost_usd\"\nwindow = \"day\"\nspent = \"wait\"");
    assert_eq!(waiting.spent, SpentRule::Wait);
    let tokens = read("unit = \"tokens\"\nwindow = \"day\"");
    assert_eq!(tokens.spent, SpentRule::Wait);
}
