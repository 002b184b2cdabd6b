//! The usage scanner on odd, cut, broken and generated bodies.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_tokens::{Cost, Dialect, Framing, Scan, Usage, UsageScanner, Warning};

use Dialect::{Anthropic, Generic, MetaLlama, OpenAiChat};
use Framing::{Json, Ndjson, Sse};

/// What a body is read as, in whole and in pieces alike.
fn scan(dialect: Dialect, framing: Framing, body: &str) -> Scan {
    let read = |size| {
        let mut scanner = UsageScanner::new(dialect, framing);
        for piece in body.as_bytes().chunks(size) {
            scanner.push(piece);
        }
        scanner.finish()
    };
    let whole = read(usize::MAX);
    for size in 1..body.len().min(20) {
        assert_eq!(read(size), whole, "{body} in pieces of {size}");
    }
    whole
}

/// The usage in a body, which is whole and not odd.
fn check(dialect: Dialect, framing: Framing, body: &str, expected: Usage) {
    let scan = scan(dialect, framing, body);
    assert_eq!(
        (scan.usage, scan.complete, &scan.warnings[..]),
        (Some(expected), true, &[][..]),
        "{body}"
    );
}

#[test]
fn a_content_type_tells_the_framing() {
    let check = |content_type, expected| {
        assert_eq!(Framing::of(content_type), expected, "{content_type:?}")
    };
    check(Some("text/event-stream"), Sse);
    check(Some("Text/Event-Stream; charset=utf-8"), Sse);
    check(Some("application/x-ndjson"), Ndjson);
    check(Some("application/json"), Json);
    check(Some("nonsense"), Json);
    check(None, Json);
}

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
    // Real recordings hold a second start, and a second message behind a broken first.
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

#[test]
fn a_cut_stream_says_so_and_keeps_what_it_said() {
    let events = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":12,\"output_tokens\":1}}}\n\n\
                  data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Tolls\"}}\n\n\
                  data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\" ro";
    let scan = scan(Anthropic, Sse, events);
    assert_eq!(
        (scan.usage, scan.text_bytes, scan.complete),
        (Some(Usage::new(12, 1)), 8, false)
    );
    assert_eq!(scan.warnings, [Warning::CutStream]);
}

#[test]
fn a_cut_body_says_so_and_half_a_number_is_not_read() {
    let scan = scan(
        OpenAiChat,
        Json,
        r#"{"usage":{"prompt_tokens":12,"completion_tokens":34"#,
    );
    assert_eq!(
        (scan.usage, scan.complete),
        (Some(Usage::new(12, 0)), false)
    );
    assert_eq!(scan.warnings, [Warning::CutStream]);
}

#[test]
fn an_empty_body_is_cut_and_reports_nothing() {
    for framing in [Json, Sse, Ndjson] {
        let scan = scan(OpenAiChat, framing, "");
        assert_eq!(
            (scan.usage, scan.warnings),
            (None, vec![Warning::CutStream, Warning::NoUsage])
        );
    }
}

#[test]
fn what_is_known_midway_can_be_asked_for() {
    let mut scanner = UsageScanner::new(OpenAiChat, Sse);
    scanner.push(b"data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Sev");
    let seen = scanner.seen();
    assert_eq!(
        (seen.model.as_deref(), seen.text_bytes, seen.complete),
        (Some("m"), 3, false)
    );
    assert_eq!(seen.warnings, []);
    scanner.push(b"en.\"}}]}\n\ndata: [DONE]");
    let seen = scanner.seen();
    assert_eq!((seen.text_bytes, seen.complete), (6, true));
}

#[test]
fn a_broken_event_is_passed_over_with_a_warning() {
    let stream = "data: {\"usage\":{\"prompt_tokens\":9,,}\n\ndata: oops\n\ndata: {\"usage\":{\n\n\
                  data: {\"usage\":{\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let scan = scan(OpenAiChat, Sse, stream);
    assert_eq!((scan.usage, scan.complete), (Some(Usage::new(9, 2)), true));
    assert_eq!(scan.warnings, [Warning::NotJson]);
}

#[test]
fn a_body_that_is_not_json_says_so() {
    let scan = scan(OpenAiChat, Json, "<html>Bad gateway</html>");
    assert_eq!(
        (scan.usage, scan.warnings),
        (
            None,
            vec![Warning::NotJson, Warning::CutStream, Warning::NoUsage]
        )
    );
}

#[test]
fn json_over_several_data_lines_is_one_document() {
    check(
        OpenAiChat,
        Sse,
        "data: {\"usage\":\ndata: {\"prompt_tokens\":9}\ndata: }\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn nothing_behind_the_terminator_counts() {
    let stream = "data: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\ndata: {\"usage\":{\"prompt_tokens\":1}}\n\n";
    check(OpenAiChat, Sse, stream, Usage::new(9, 0));
}

#[test]
fn an_event_stream_announced_as_json_is_read_as_one() {
    check(
        OpenAiChat,
        Json,
        "\n: hello\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
    check(
        OpenAiChat,
        Json,
        "event: x\ndata: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    check(
        OpenAiChat,
        Json,
        "\u{feff}{\"usage\":{\"prompt_tokens\":9}}",
        Usage::new(9, 0),
    );
    check(
        OpenAiChat,
        Sse,
        "\u{feff}data: {\"usage\":{\"prompt_tokens\":9}}\n\ndata: [DONE]\n\n",
        Usage::new(9, 0),
    );
}

#[test]
fn blank_lines_before_a_body_are_passed_over() {
    check(
        OpenAiChat,
        Json,
        "\n\n\r\n  {\"usage\":{\"prompt_tokens\":9}}\n",
        Usage::new(9, 0),
    );
}

#[test]
fn lines_of_json_are_documents_of_their_own() {
    let lines = "{\"choices\":[{\"text\":\"Se\"}]}\r\n\n{\"choices\":[{\"text\":\"ven\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}";
    check(OpenAiChat, Ndjson, lines, Usage::new(9, 2));
    assert_eq!(scan(OpenAiChat, Ndjson, lines).text_bytes, 5);
    assert!(!scan(OpenAiChat, Ndjson, "{\"choices\":[]}\n{\"choices\":").complete);
}

#[test]
fn an_error_inside_a_body_is_read_in_every_shape() {
    let check =
        |dialect, framing, body: &str, kind: Option<&str>, code: Option<&str>, message: &str| {
            let error = scan(dialect, framing, body)
                .error
                .unwrap_or_else(|| panic!("no error in {body}"));
            let found = (
                error.kind.as_deref(),
                error.code.as_deref(),
                error.message.as_deref(),
            );
            assert_eq!(found, (kind, code, Some(message)), "{body}");
        };
    let nested =
        "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"code\":502}}\n\n";
    check(
        OpenAiChat,
        Sse,
        nested,
        Some("server_error"),
        Some("502"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"code":"exhausted","error":"no"}"#,
        None,
        Some("exhausted"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"error":"no","code":"exhausted"}"#,
        None,
        Some("exhausted"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"object":"error","message":"no","type":"rate_limited","code":"1300"}"#,
        Some("rate_limited"),
        Some("1300"),
        "no",
    );
    check(
        OpenAiChat,
        Json,
        r#"{"type":"rate_limited","message":"no","object":"error"}"#,
        Some("rate_limited"),
        None,
        "no",
    );
    let event = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"no\",\"param\":null}\n\n";
    check(OpenAiChat, Sse, event, None, Some("server_error"), "no");
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"no\"}}}\n\n";
    check(
        OpenAiChat,
        Sse,
        failed,
        None,
        Some("rate_limit_exceeded"),
        "no",
    );
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n\n";
    check(
        Anthropic,
        Sse,
        overloaded,
        Some("overloaded_error"),
        None,
        "no",
    );
    let llama = "event: error\ndata: {\"title\":\"Busy\",\"detail\":\"no\",\"status\":429}\n\n";
    check(MetaLlama, Sse, llama, Some("Busy"), Some("429"), "no");
    let two = "data: {\"error\":{\"message\":\"first\",\"code\":1}}\n\ndata: {\"error\":{\"message\":\"no\"}}\n\n";
    check(OpenAiChat, Sse, two, None, None, "no");
}

#[test]
fn a_response_without_an_error_has_none() {
    for body in [
        r#"{"error":null}"#,
        r#"{"error":""}"#,
        r#"{"error":{}}"#,
        r#"{"message":"hello","code":"x"}"#,
    ] {
        assert_eq!(scan(OpenAiChat, Json, body).error, None, "{body}");
    }
}

#[test]
fn an_error_message_is_cut_between_characters_and_never_printed() {
    let body = json!({ "error": { "message": format!("x{}", "\u{e9}".repeat(400)), "type": "t" } })
        .to_string();
    let error = scan(OpenAiChat, Json, &body)
        .error
        .expect("there is an error");
    assert_eq!(
        error.message.as_deref(),
        Some(&*format!("x{}", "\u{e9}".repeat(255)))
    );
    assert_eq!(
        format!("{error:?}"),
        r#"BodyError { kind: Some("t"), code: None, .. }"#
    );
}

#[test]
fn half_a_name_is_no_name() {
    let body =
        json!({ "model": "m".repeat(257), "choices": [{ "finish_reason": "stop" }] }).to_string();
    let scan = scan(OpenAiChat, Json, &body);
    assert_eq!(
        (scan.model, scan.finish_reason.as_deref()),
        (None, Some("stop"))
    );
}

#[test]
fn a_scanner_never_prints_what_it_is_reading() {
    let mut scanner = UsageScanner::new(OpenAiChat, Json);
    scanner.push(br#"{"error":{"message":"org-secret is over"#);
    assert!(!format!("{scanner:?}").contains("secret"));
}

#[test]
fn reasoning_tool_calls_and_parts_are_generated_text() {
    let check = |dialect, body: &str, expected| {
        assert_eq!(scan(dialect, Json, body).text_bytes, expected, "{body}")
    };
    check(
        OpenAiChat,
        r#"{"choices":[{"message":{"content":[{"type":"text","text":"ab"},{"type":"thinking","thinking":[{"text":"c"}]}]}}]}"#,
        3,
    );
    check(
        OpenAiChat,
        r#"{"choices":[{"delta":{"reasoning":"ab","tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}}]}}]}"#,
        10,
    );
    check(
        OpenAiChat,
        r#"{"choices":[{"text":"ab"},{"text":"c\u00e9\n"}]}"#,
        6,
    );
    check(
        OpenAiChat,
        r#"{"output":[{"type":"reasoning","summary":[{"text":"ab"}]},{"type":"function_call","name":"f","arguments":"{}"}]}"#,
        5,
    );
    check(
        Anthropic,
        r#"{"content":[{"type":"thinking","thinking":"ab","signature":"zzz"},{"type":"tool_use","id":"i","name":"f","input":{"x":["yy",12]}}]}"#,
        8,
    );
    check(
        MetaLlama,
        r#"{"completion_message":{"content":"ab","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}"#,
        5,
    );
}

#[test]
fn a_responses_stream_does_not_count_its_text_twice() {
    let stream = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Seven.\"}\n\n\
                  data: {\"type\":\"response.output_text.done\",\"text\":\"Seven.\"}\n\n\
                  data: {\"type\":\"response.content_part.done\",\"part\":{\"type\":\"output_text\",\"text\":\"Seven.\"}}\n\n\
                  data: {\"type\":\"response.output_item.done\",\"item\":{\"content\":[{\"text\":\"Seven.\"}]}}\n\n\
                  data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\
                  \"output\":[{\"content\":[{\"text\":\"Seven.\"}]}],\"usage\":{\"input_tokens\":9,\"output_tokens\":2}}}\n\n";
    check(OpenAiChat, Sse, stream, Usage::new(9, 2));
    let scan = scan(OpenAiChat, Sse, stream);
    assert_eq!(
        (scan.text_bytes, scan.finish_reason.as_deref()),
        (6, Some("max_output_tokens"))
    );
}

/// JSON with the keys that matter in places where they do and do not.
fn noise() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "usage",
        "prompt_tokens",
        "model",
        "content",
        "\"usage\":{",
        "\\",
        "x",
        "data: [DONE]\n\n",
    ]);
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|entries| Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

/// A number as some server may write it.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => any::<u32>().prop_map(Value::from),
        1 => any::<u32>().prop_map(|n| Value::from(f64::from(n))),
        1 => any::<u32>().prop_map(|n| Value::from(n.to_string())),
        1 => Just(Value::Null),
    ]
}

prop_compose! {
    fn chat_body()(
        (prompt, completion, cached, reasoning) in (number(), number(), number(), number()),
        details in any::<bool>(),
        model in any::<String>(),
        content in any::<String>(),
        (before, after, inside) in (noise(), noise(), noise()),
    ) -> Value {
        let mut body = json!({
            "a_before": before,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "note": inside }, "finish_reason": "stop" }],
            "model": model,
            "usage": { "prompt_tokens": prompt, "completion_tokens": completion, "extra": after },
            "z_after": after,
        });
        if details {
            body["usage"]["prompt_tokens_details"] = json!({ "cached_tokens": cached });
            body["usage"]["completion_tokens_details"] = json!({ "reasoning_tokens": reasoning });
        }
        body
    }
}

/// What `serde_json` finds in a chat body, by the rules written out plainly.
fn reference(body: &Value) -> (Option<Usage>, u64) {
    let count = |value: &Value| match value {
        Value::Number(number) => Some(number.as_f64().expect("small") as u64),
        Value::String(text) => Some(text.parse::<u64>().expect("the generator writes numbers")),
        _ => None,
    };
    let usage = &body["usage"];
    let (input, output) = (
        count(&usage["prompt_tokens"]),
        count(&usage["completion_tokens"]),
    );
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]).unwrap_or(0);
    let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]).unwrap_or(0);
    let usage = (input.is_some() || output.is_some()).then(|| {
        let input = input.unwrap_or(0);
        let output = output.map_or(0, |output| {
            if reasoning > output {
                output + reasoning
            } else {
                output
            }
        });
        let input = if cached > input {
            input + cached
        } else {
            input
        };
        Usage {
            cache_read: cached,
            reasoning: reasoning.min(output),
            ..Usage::new(input, output)
        }
    });
    let text = body["choices"][0]["message"]["content"]
        .as_str()
        .expect("a string");
    (usage, text.len() as u64)
}

fn framing() -> impl Strategy<Value = Framing> {
    prop::sample::select(vec![Json, Sse, Ndjson])
}

/// The same body cut at these places.
fn scan_cut(dialect: Dialect, framing: Framing, body: &[u8], cuts: &[prop::sample::Index]) -> Scan {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let mut scanner = UsageScanner::new(dialect, framing);
    for ends in cuts.windows(2) {
        scanner.push(&body[ends[0]..ends[1]]);
    }
    scanner.finish()
}

proptest! {
    #[test]
    fn the_scanner_reads_what_serde_json_reads(
        body in chat_body(),
        framing in framing(),
        pretty: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text = if pretty && framing == Json { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
        let text = text.expect("a value can be written");
        let text = match framing {
            Json => text,
            Sse => format!(": hello\r\n\r\nevent: x\r\ndata: {text}\r\n\r\ndata: [DONE]\r\n\r\n"),
            Ndjson => format!("{{}}\n{text}\n"),
        };
        let scan = scan_cut(OpenAiChat, framing, text.as_bytes(), &cuts);
        prop_assert_eq!((scan.usage, scan.text_bytes), reference(&body));
        prop_assert!(scan.complete);
        let model = body["model"].as_str().filter(|model| !model.is_empty() && model.len() <= 256);
        prop_assert_eq!(scan.model.as_deref(), model);
    }

    #[test]
    fn any_cut_of_any_bytes_gives_the_same_answer(
        dialect in prop::sample::select(Dialect::ALL),
        framing in framing(),
        parts in prop::collection::vec(
            prop_oneof![
                noise().prop_map(|value| value.to_string().into_bytes()),
                chat_body().prop_map(|value| value.to_string().into_bytes()),
                prop::sample::select(vec!["data: ", "data:", "\n", "\r", "\r\n", "\n\n", ": c\n", "event: error\n", "[DONE]", "{", "\"", "\\u", "\u{feff}"])
                    .prop_map(|text| text.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ],
            0..12,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let body = parts.concat();
        prop_assert_eq!(scan_cut(dialect, framing, &body, &cuts), scan_cut(dialect, framing, &body, &[]));
    }
}
