//! Usage in every spelling and convention.

use tollgate_tokens::Dialect::{Anthropic, Generic, MetaLlama, OpenAiChat};
use tollgate_tokens::Framing::{Json, Sse};
use tollgate_tokens::{Cost, Usage, Warning};

use crate::{check, scan};

#[test]
fn counts_may_be_floats_or_strings_and_fractions_round_up() {
    let body = r#"{"usage":{"prompt_tokens":"9","completion_tokens":2.0,"total_tokens":null}}"#;
    check(OpenAiChat, Json, body, Usage::new(9, 2));
    check(
        OpenAiChat,
        Json,
        r#"{"usage":{"prompt_tokens":8.5,"completion_tokens":2e0}}"#,
        Usage::new(9, 2),
    );
    check(
        Generic,
        Json,
        r#"{"token_usage":" 57 "}"#,
        Usage {
            split_known: false,
            ..Usage::new(57, 0)
        },
    );
}

#[test]
fn a_count_that_is_none_is_ignored_with_a_warning() {
    let check = |value: &str| {
        let body = format!(r#"{{"usage":{{"prompt_tokens":9,"completion_tokens":{value}}}}}"#);
        let scan = scan(OpenAiChat, Json, &body);
        assert_eq!(scan.usage, Some(Usage::new(9, 0)), "{body}");
        assert_eq!(
            scan.warnings,
            [Warning::MalformedCount {
                field: "completion_tokens"
            }],
            "{body}"
        );
    };
    for value in [
        "-1",
        "1e30",
        "true",
        r#""many""#,
        r#""""#,
        "[1]",
        r#"{"value":1}"#,
        &"1".repeat(600),
    ] {
        check(value);
    }
}

#[test]
fn what_is_absent_or_null_is_zero() {
    let body = r#"{"usage":{"prompt_tokens":9,"completion_tokens":null,"prompt_tokens_details":null,"completion_tokens_details":null}}"#;
    check(OpenAiChat, Json, body, Usage::new(9, 0));
}

#[test]
fn usage_anywhere_else_is_not_usage() {
    let body = r#"{"usage":null,"choices":[{"usage":{"prompt_tokens":1},"message":{"content":"{\"usage\":{\"prompt_tokens\":2}}"}}],
        "metadata":{"usage":{"prompt_tokens":3}},"prompt_tokens":4,"usage ":{"prompt_tokens":5}}"#;
    let scan = scan(OpenAiChat, Json, body);
    assert_eq!((scan.usage, scan.warnings), (None, vec![Warning::NoUsage]));
}

#[test]
fn of_two_values_the_last_wins() {
    check(
        OpenAiChat,
        Json,
        r#"{"usage":{"prompt_tokens":1,"prompt_tokens":9,"completion_tokens":2}}"#,
        Usage::new(9, 2),
    );
    let cumulative = "data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n\
                      data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n";
    check(OpenAiChat, Sse, cumulative, Usage::new(9, 2));
}

#[test]
fn the_convention_for_reasoning_is_told_by_the_numbers() {
    let check = |completion: u64, reasoning: u64, total: Option<u64>, more: &str, output: u64| {
        let total = total.map_or(String::new(), |total| format!(r#","total_tokens":{total}"#));
        let body = format!(
            r#"{{"usage":{{"prompt_tokens":30,"completion_tokens":{completion},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}{total}{more}}}}}"#
        );
        let usage = scan(OpenAiChat, Json, &body).usage.expect("there is usage");
        assert_eq!(
            (usage.output, usage.reasoning),
            (output, reasoning.min(output)),
            "{body}"
        );
    };
    let xai = r#","num_sources_used":0"#;
    // OpenAI: the total is prompt and completion, and completion holds the reasoning.
    check(512, 448, Some(542), "", 512);
    check(512, 0, Some(542), "", 512);
    // xAI: the total holds the reasoning as well, whichever of the two is larger.
    check(8, 96, Some(134), xai, 104);
    check(96, 8, Some(134), xai, 104);
    check(1, 290, Some(321), "", 291);
    // xAI with a total that matches neither, or none.
    check(8, 96, Some(100), xai, 104);
    check(8, 96, None, r#","cost_in_usd_ticks":1"#, 104);
    // Should xAI change its mind, its own fields do not overrule the total.
    check(104, 96, Some(134), xai, 104);
    // A gateway that counted the reasoning anew and overshot.
    check(100, 104, Some(130), "", 100);
    // Without a total, reasoning that does not fit into completion was left out of it.
    check(8, 96, None, "", 104);
    check(96, 8, None, "", 96);
}

#[test]
fn xai_responses_include_reasoning() {
    let body = r#"{"object":"response","usage":{"input_tokens":30,"output_tokens":104,"output_tokens_details":{"reasoning_tokens":96},
        "total_tokens":134,"num_sources_used":0,"cost_in_usd_ticks":15}}"#;
    check(
        OpenAiChat,
        Json,
        body,
        Usage {
            reasoning: 96,
            cost: Some(Cost(2)),
            ..Usage::new(30, 104)
        },
    );
}

#[test]
fn more_cached_than_prompted_means_that_the_prompt_excludes_it() {
    let body = r#"{"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":20}}}"#;
    check(
        OpenAiChat,
        Json,
        body,
        Usage {
            cache_read: 20,
            ..Usage::new(25, 1)
        },
    );
}

#[test]
fn cached_tokens_are_found_under_each_provider_s_name() {
    for more in [
        r#""prompt_cache_hit_tokens":4"#,
        r#""num_cached_tokens":4"#,
        r#""cached_tokens":4"#,
        r#""prompt_token_details":{"cached_tokens":4}"#,
        r#""prompt_tokens_details":{"cached_tokens":4},"num_cached_tokens":0"#,
    ] {
        let body = format!(r#"{{"usage":{{"prompt_tokens":9,"completion_tokens":2,{more}}}}}"#);
        check(
            OpenAiChat,
            Json,
            &body,
            Usage {
                cache_read: 4,
                ..Usage::new(9, 2)
            },
        );
    }
}

#[test]
fn a_bare_total_of_an_embedding_counts_as_input() {
    check(
        OpenAiChat,
        Json,
        r#"{"usage":{"total_tokens":9}}"#,
        Usage {
            split_known: false,
            ..Usage::new(9, 0)
        },
    );
}

#[test]
fn groq_reports_usage_in_a_place_of_its_own() {
    let stream = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}}\n\ndata: [DONE]\n\n";
    check(OpenAiChat, Sse, stream, Usage::new(9, 2));
}

#[test]
fn anthropic_usage_is_cumulative_and_never_summed() {
    let start = r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":12,"cache_read_input_tokens":100,"output_tokens":1}}}"#;
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":30,"input_tokens":null}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    let usage = Usage {
        cache_read: 100,
        ..Usage::new(112, 30)
    };
    let stream = |events: &[&str]| {
        events
            .iter()
            .map(|event| format!("data: {event}\n\n"))
            .collect::<String>()
    };
    check(Anthropic, Sse, &stream(&[start, delta, stop]), usage);
    // Recordings in the fixtures of `vercel/ai` hold a second start, and a second message behind a broken first.
    check(Anthropic, Sse, &stream(&[start, start, delta, stop]), usage);
    check(
        Anthropic,
        Sse,
        &stream(&[start, delta, start, delta, stop]),
        usage,
    );
}

#[test]
fn anthropic_cache_writes_are_summed_over_their_lifetimes_where_no_sum_is_given() {
    let body = r#"{"usage":{"input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":4},"output_tokens":2}}"#;
    check(
        Anthropic,
        Json,
        body,
        Usage {
            cache_write: 34,
            ..Usage::new(39, 2)
        },
    );
}

#[test]
fn attempts_inside_an_anthropic_message_are_not_usage() {
    let body = r#"{"usage":{"input_tokens":5,"output_tokens":2,"iterations":[{"input_tokens":900,"output_tokens":900}]}}"#;
    check(Anthropic, Json, body, Usage::new(5, 2));
}

#[test]
fn meta_llama_metrics_may_come_in_any_order_and_as_floats() {
    let body = r#"{"metrics":[{"unit":"tokens","value":29.0,"metric":"num_completion_tokens"},{"metric":"latency","value":3.5},
        {"metric":"num_prompt_tokens","value":41.0},{"value":7},{"metric":"num_total_tokens"}]}"#;
    check(MetaLlama, Json, body, Usage::new(41, 29));
    let body = r#"{"metrics":[{"metric":"num_prompt_tokens","value":41},{"metric":"num_completion_tokens","value":"?"}]}"#;
    let scan = scan(MetaLlama, Json, body);
    assert_eq!(scan.usage, Some(Usage::new(41, 0)));
    assert_eq!(
        scan.warnings,
        [Warning::MalformedCount {
            field: "num_completion_tokens"
        }]
    );
}

#[test]
fn half_a_generic_split_leaves_the_rest_of_the_total_to_the_other_half() {
    check(
        Generic,
        Json,
        r#"{"token_usage":{"prompt_tokens":40,"total_tokens":57}}"#,
        Usage::new(40, 17),
    );
    check(
        Generic,
        Json,
        r#"{"tokens_used":{"output_tokens":17,"total_tokens":57}}"#,
        Usage::new(40, 17),
    );
    check(
        Generic,
        Json,
        r#"{"usage":{"input_tokens":40,"output_tokens":17}}"#,
        Usage::new(40, 17),
    );
}
