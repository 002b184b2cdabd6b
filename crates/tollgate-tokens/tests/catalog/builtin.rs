//! What the built-in catalog holds, and how it is asked.

use std::time::Duration;

use tollgate_limits::Unit;
use tollgate_tokens::{
    Catalog, ChargeName, Dialect, OutputRule, PolicySpec, Provider, ShapeName, Usage, WindowSpec,
};

use super::rows;

fn builtin(name: &str) -> Provider {
    Catalog::builtin()
        .provider(name)
        .unwrap_or_else(|| panic!("no {name}"))
        .clone()
}

#[test]
fn every_limit_and_price_has_a_source_and_a_date() {
    for provider in Catalog::builtin().providers() {
        assert!(
            provider.source.is_some() && provider.date.is_some(),
            "{}",
            provider.name
        );
        let tiers: Vec<Option<&str>> = if provider.tiers.is_empty() {
            vec![None]
        } else {
            provider.tiers.iter().map(|t| Some(&*t.name)).collect()
        };
        for tier in tiers {
            for spec in provider.policies(tier).unwrap() {
                assert!(
                    spec.source.is_some() && spec.date.is_some(),
                    "{} {}",
                    provider.name,
                    spec.name
                );
            }
        }
        for model in &provider.models {
            assert!(
                model.source.is_some() && model.date.is_some(),
                "{} {}",
                provider.name,
                model.name
            );
        }
    }
}

#[test]
fn no_two_policies_of_a_provider_share_a_name_and_none_has_requests_above_tokens() {
    for provider in Catalog::builtin().providers() {
        for tier in provider
            .tiers
            .iter()
            .map(|tier| Some(&*tier.name))
            .chain([None])
        {
            let specs = provider.policies(tier).unwrap();
            let mut names: Vec<_> = specs.iter().map(|spec| &spec.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), specs.len(), "{}", provider.name);
            assert_eq!(PolicySpec::check(&specs), [], "{}", provider.name);
        }
    }
}

#[test]
fn meta_llama_gives_each_of_four_models_ten_requests_and_a_quarter_million_tokens_per_minute() {
    let meta = builtin("meta-llama");
    let specs = meta.policies(None).unwrap();
    assert_eq!(
        rows(&specs),
        [
            ("rpm", Unit::Requests, 10, 60),
            ("tpm", Unit::TotalTokens, 250_000, 60)
        ]
    );
    assert!(
        specs
            .iter()
            .all(|spec| spec.per == ["model", "team"] && spec.shape == ShapeName::Sliding)
    );
    let models: Vec<_> = meta
        .models
        .iter()
        .map(|m| (&*m.name, m.context, m.max_output))
        .collect();
    let of = |name| (name, Some(128_000), Some(4_028));
    assert_eq!(
        models,
        [
            of("Llama-3.3-70B-Instruct"),
            of("Llama-3.3-8B-Instruct"),
            of("Llama-4-Maverick-17B-128E-Instruct-FP8"),
            of("Llama-4-Scout-17B-16E-Instruct-FP8"),
        ]
    );
}

#[test]
fn the_tiers_of_anthropic_differ_in_figures_and_in_how_output_is_booked() {
    let anthropic = builtin("anthropic");
    let check = |tier, rpm, itpm, otpm, charge, output| {
        let mut specs = anthropic.policies(tier).unwrap();
        specs.retain(|spec| spec.models.iter().any(|model| model == "claude-opus-4*"));
        let expected = [
            ("opus-4-rpm", Unit::Requests, rpm, 60),
            ("opus-4-itpm", Unit::InputTokens, itpm, 60),
            ("opus-4-otpm", Unit::OutputTokens, otpm, 60),
        ];
        assert_eq!(rows(&specs), expected);
        assert!(
            specs
                .iter()
                .all(|spec| spec.shape == ShapeName::Bucket && spec.per == ["organization"])
        );
        assert_eq!((specs[2].charge, specs[2].output), (charge, output));
        assert!(!specs[1].cache_reads);
    };
    check(
        None,
        50,
        20_000,
        8_000,
        ChargeName::Arrival,
        OutputRule::Cap,
    );
    check(
        Some("1"),
        50,
        20_000,
        8_000,
        ChargeName::Arrival,
        OutputRule::Cap,
    );
    check(
        Some("4"),
        4_000,
        200_000,
        80_000,
        ChargeName::Arrival,
        OutputRule::Cap,
    );
    check(
        Some("start"),
        1_000,
        2_000_000,
        400_000,
        ChargeName::Produced,
        OutputRule::Expected,
    );
    let error = anthropic.policies(Some("5")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "provider `anthropic` has no tier `5`; its tiers are: `1`, `4`, `start`"
    );
}

#[test]
fn opus_four_is_priced_with_its_cache() {
    let anthropic = builtin("anthropic");
    let opus = anthropic.model("claude-opus-4-20250514").unwrap();
    assert_eq!(
        (&*opus.name, opus.context, opus.max_output),
        ("claude-opus-4", Some(200_000), Some(32_000))
    );
    let usage = Usage {
        cache_read: 200_000,
        cache_write: 300,
        ..Usage::new(200_350, 410)
    };
    let cost = opus.price.as_ref().unwrap().cost(&usage);
    assert_eq!(cost.to_string(), "$0.337125");
}

#[test]
fn the_swapped_figures_of_the_hosted_scout_are_set_right() {
    let hosted = builtin("llama-4-scout-hosted");
    let specs = hosted.policies(None).unwrap();
    assert_eq!(
        rows(&specs),
        [
            ("rpm", Unit::Requests, 1_200, 60),
            ("tpm", Unit::TotalTokens, 900_000, 60)
        ]
    );
    let scout = hosted.model("llama-4-scout").unwrap();
    assert_eq!(
        (scout.context, scout.per_request),
        (Some(128_000), Some(2_048))
    );
    let cost = scout
        .price
        .as_ref()
        .unwrap()
        .cost(&Usage::new(1_000_000, 1_000_000));
    assert_eq!(cost.to_string(), "$0.35");
}

#[test]
fn the_example_endpoints_are_found_by_their_hosts() {
    let catalog = Catalog::builtin();
    let find = |host, path| {
        catalog
            .by_host(host, path)
            .map(|p| (&*p.name, p.dialect_of(host, path)))
    };
    assert_eq!(
        find("api.llama3.example.com", "/generate"),
        Some(("llama3-example", Dialect::Generic))
    );
    assert_eq!(
        find("api.grok2.example.com", "/v1/process"),
        Some(("grok2-example", Dialect::Generic))
    );
    assert_eq!(
        find("API.LLAMA.COM:443", "/v1/chat/completions"),
        Some(("meta-llama", Dialect::MetaLlama))
    );
    assert_eq!(
        find("api.llama.com", "/compat/v1/chat/completions"),
        Some(("meta-llama", Dialect::OpenAiChat))
    );
    assert_eq!(
        find("api.x.ai", "/v1/messages"),
        Some(("xai", Dialect::Anthropic))
    );
    assert_eq!(find("localhost", "/v1/chat/completions"), None);
    let specs = catalog
        .provider("llama3-example")
        .unwrap()
        .policies(None)
        .unwrap();
    assert_eq!(rows(&specs), [("tpm", Unit::TotalTokens, 10_000, 60)]);
    let grok = catalog
        .provider("xai")
        .unwrap()
        .model("grok-2-1212")
        .unwrap();
    assert_eq!(
        (
            grok.context,
            grok.price.as_ref().map(|p| (p.input, p.output))
        ),
        (Some(32_768), Some((2_000_000, 10_000_000)))
    );
}

#[test]
fn limits_of_one_model_apply_to_that_model_alone() {
    let specs = builtin("groq").policies(None).unwrap();
    let day = specs
        .iter()
        .find(|spec| spec.name == "llama-3.1-8b/rpd")
        .unwrap();
    assert_eq!(
        (day.limit, day.window),
        (14_400, Some(WindowSpec::Span(Duration::from_secs(86_400))))
    );
    assert_eq!(day.models, ["llama-3.1-8b", "llama-3.1-8b-instant"]);
}

#[test]
fn a_model_is_found_by_name_alias_or_the_longest_name_that_it_continues() {
    let openai = builtin("openai");
    let find = |name| openai.model(name).map(|model| &*model.name);
    assert_eq!(find("gpt-4o"), Some("gpt-4o"));
    assert_eq!(find("gpt-4o-2024-11-20"), Some("gpt-4o"));
    assert_eq!(find("gpt-4o-mini-2024-07-18"), Some("gpt-4o-mini"));
    assert_eq!(find("gpt-5.4"), Some("gpt-5.4"));
    assert_eq!(find("gpt-4ox"), None);
    assert_eq!(find("gpt-4"), None);
    assert_eq!(find(""), None);
}
