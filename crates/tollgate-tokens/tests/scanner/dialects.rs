//! Responses in the formats of Gemini, Cohere, Bedrock, Ollama and llama.cpp, and what providers make of OpenAI's.

use tollgate_tokens::Dialect::{Bedrock, Cohere, Gemini, Ollama, OpenAiChat};
use tollgate_tokens::Framing::{Json, Ndjson, Sse};
use tollgate_tokens::{Billed, Catalog, Conventions, Usage, UsageScanner};

use crate::{check, scan};

#[test]
fn gemini_s_list_in_pieces_is_a_stream() {
    let item = |text: &str, output: u64, more: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}{more}}}],"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":{output},"toolUsePromptTokenCount":3}}}}"#
        )
    };
    let (first, last) = (
        item("Sev", 1, ""),
        item("en.", 2, r#","finishReason":"STOP""#),
    );
    let list = format!("[{first},\n{last}]");
    check(Gemini, Json, &list, Usage::new(12, 2));
    assert_eq!(scan(Gemini, Json, &list).text_bytes, 6);
    // An error may be one of its items.
    let error = r#"{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED"}}"#;
    let found = scan(Gemini, Json, &format!("[{first},\n{error}]"))
        .error
        .expect("an error");
    assert_eq!(
        (found.kind.as_deref(), found.code.as_deref()),
        (Some("RESOURCE_EXHAUSTED"), Some("429"))
    );
    // OpenAI's format at Google wraps an error into a list.
    assert!(
        scan(OpenAiChat, Json, &format!("[{error}]"))
            .error
            .is_some()
    );
    // No terminator follows a stream of events: a reason to stop is the end.
    let events = |items: &[&str]| {
        items
            .iter()
            .map(|item| format!("data: {item}\n\n"))
            .collect::<String>()
    };
    assert!(!scan(Gemini, Sse, &events(&[&first])).complete);
    check(Gemini, Sse, &events(&[&first, &last]), Usage::new(12, 2));
}

#[test]
fn a_prompt_that_gemini_refused_is_usage_too() {
    let body = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}"#;
    check(Gemini, Json, body, Usage::new(9, 0));
    assert_eq!(
        scan(Gemini, Json, body).finish_reason.as_deref(),
        Some("SAFETY")
    );
}

#[test]
fn cohere_s_first_version_and_its_embeddings_are_read() {
    let lines = "{\"event_type\":\"stream-start\"}\n{\"event_type\":\"text-generation\",\"text\":\"Ok.\"}\n\
                 {\"event_type\":\"stream-end\",\"finish_reason\":\"COMPLETE\",\"response\":{\"text\":\"Ok.\",\"meta\":{\
                 \"tokens\":{\"input_tokens\":57,\"output_tokens\":2.0},\"billed_units\":{\"input_tokens\":5,\"output_tokens\":2}}}}\n";
    let billed = |input, output| Some(Billed { input, output });
    let usage = Usage {
        billed: billed(5, 2),
        ..Usage::new(57, 2)
    };
    check(Cohere, Ndjson, lines, usage);
    assert_eq!(scan(Cohere, Ndjson, lines).text_bytes, 3);
    let embeddings = r#"{"embeddings":[[0.1]],"meta":{"billed_units":{"input_tokens":7}}}"#;
    check(
        Cohere,
        Json,
        embeddings,
        Usage {
            billed: billed(7, 0),
            ..Usage::new(7, 0)
        },
    );
    // An error of status 200 has a plain message where an answer has an object.
    let error = scan(Cohere, Json, r#"{"id":"x","message":"too many"}"#).error;
    assert_eq!(
        error.and_then(|error| error.message).as_deref(),
        Some("too many")
    );
}

#[test]
fn vendors_behind_bedrock_s_invoke_are_read() {
    for body in [
        r#"{"generation":"Ok.","prompt_token_count":9,"generation_token_count":2,"stop_reason":"stop"}"#,
        r#"{"inputTextTokenCount":9,"results":[{"tokenCount":2,"outputText":"Ok.","completionReason":"FINISH"}]}"#,
        r#"{"type":"message","content":[{"type":"text","text":"Ok."}],"usage":{"input_tokens":9,"output_tokens":2}}"#,
        r#"{"output":{"message":{"content":[{"text":"Ok."}]}},"usage":{"inputTokens":9,"outputTokens":2}}"#,
        r#"{"choices":[{"message":{"content":"Ok."}}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#,
    ] {
        check(Bedrock, Json, body, Usage::new(9, 2));
        assert_eq!(scan(Bedrock, Json, body).text_bytes, 3, "{body}");
    }
}

#[test]
fn ollama_s_counts_are_zero_once_it_is_done_and_unknown_before() {
    check(
        Ollama,
        Ndjson,
        "{\"response\":\"Ok.\",\"done\":false}\n{\"done\":true}\n",
        Usage::new(0, 0),
    );
    let cut = scan(Ollama, Ndjson, "{\"response\":\"Ok.\",\"done\":false}\n");
    assert_eq!((cut.usage, cut.text_bytes), (None, 3));
    let error = scan(
        Ollama,
        Ndjson,
        "{\"response\":\"Ok.\",\"done\":false}\n{\"error\":\"out of memory\"}\n",
    )
    .error;
    assert_eq!(
        error.and_then(|error| error.message).as_deref(),
        Some("out of memory")
    );
}

#[test]
fn llama_cpp_s_timings_stand_in_for_usage() {
    let timings = r#""timings":{"cache_n":236,"prompt_n":1,"predicted_n":35}"#;
    let usage = Usage {
        cache_read: 236,
        ..Usage::new(237, 35)
    };
    check(
        OpenAiChat,
        Json,
        &format!("{{\"content\":\"Ok.\",\"stop\":true,{timings}}}"),
        usage,
    );
    let both = format!("{{\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":2}},{timings}}}");
    check(OpenAiChat, Json, &both, Usage::new(9, 2));
}

#[test]
fn answers_of_tokenizers_are_counts_and_no_usage() {
    let check = |dialect, body: &str, expected| {
        let found = scan(dialect, Json, body);
        assert_eq!(
            (found.usage, found.counted),
            (None, Some(expected)),
            "{body}"
        );
    };
    check(Gemini, r#"{"totalTokens":9}"#, 9);
    check(Bedrock, r#"{"inputTokens":9}"#, 9);
    check(
        Cohere,
        r#"{"tokens":[8466,5169],"token_strings":["to","ken"]}"#,
        2,
    );
    check(
        OpenAiChat,
        r#"{"count":9,"max_model_len":4096,"tokens":[1,2]}"#,
        2,
    );
    check(
        OpenAiChat,
        r#"{"tokens":[{"id":1,"piece":"a"},{"id":2,"piece":"b"}]}"#,
        2,
    );
    check(OpenAiChat, r#"{"token_ids":[{"token_id":1}]}"#, 1);
    check(
        OpenAiChat,
        r#"{"object":"response.input_tokens","input_tokens":9}"#,
        9,
    );
}

#[test]
fn where_a_provider_counts_what_is_data() {
    let check = |conventions: &Conventions, usage: &str, expected: Usage| {
        let mut scanner = UsageScanner::new(OpenAiChat, Json).conventions(conventions);
        scanner.push(format!("{{\"usage\":{usage}}}").as_bytes());
        assert_eq!(scanner.finish().usage, Some(expected), "{usage}");
    };
    let mut catalog = Catalog::builtin();
    let house = "[provider.house]\ndialect = \"openai\"\n[provider.house.conventions]\nreasoning = \"beside\"\ncache = \"beside\"\n";
    catalog.merge(house).expect("a new provider is a file");
    let of = |name: &str| &catalog.provider(name).expect("it is known").conventions;
    let usage = r#"{"prompt_tokens":30,"completion_tokens":96,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":8}}"#;
    let parts = |input, output| Usage {
        cache_read: 20,
        reasoning: 8,
        ..Usage::new(input, output)
    };
    check(of("openai"), usage, parts(30, 96));
    check(of("xai"), usage, parts(30, 104));
    check(of("house"), usage, parts(50, 104));
    // A total that proves otherwise is believed.
    let proof = r#"{"prompt_tokens":30,"completion_tokens":96,"total_tokens":126,"completion_tokens_details":{"reasoning_tokens":8}}"#;
    check(
        of("xai"),
        proof,
        Usage {
            reasoning: 8,
            ..Usage::new(30, 96)
        },
    );
    let other = r#"{"prompt_tokens":30,"completion_tokens":8,"completion_tokens_details":{"reasoning_tokens":96}}"#;
    check(
        of("openai"),
        other,
        Usage {
            reasoning: 8,
            ..Usage::new(30, 8)
        },
    );
}
