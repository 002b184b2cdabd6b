//! The bodies that are read: answers as OpenAI writes them, of several sizes.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::usage::Counted;

/// What every body reports.
pub(crate) const COUNTED: Counted = (1_117, 2_000);

const USAGE: &str = r#"{"prompt_tokens":1117,"completion_tokens":2000,"total_tokens":3117,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

/// Text as models write it: paragraphs, a list, some code; line ends and quotes are escaped, other letters are as they are.
pub(crate) const TEXT: &str = r#"## How a toll gate keeps its promise\n\nThe toll is paid once, and the keeper writes it down. Those who come later wait in \"fair order\", as the rules say: first the oldest, then the rest — nobody passes twice on one ticket. A café stands beside the road; its lights are on until late, and people who wait there talk about the weather, about prices, and about the long way home.\n\n1. **Ask first.** A call says how much it needs, such as 500 tokens.\n2. **Wait your turn.** The gate answers \"yes\" or names the instant at which it will.\n3. **Settle.** What was not used is given back at once.\n\n```python\ndef acquire(gate, tokens):\n    \"\"\"Waits until `tokens` fit.\"\"\"\n    while not gate.try_acquire(tokens):\n        time.sleep(gate.retry_after())\n    return Permit(gate, tokens)\n```\n\nIf the road is empty, all of this takes less than a microsecond – you won't notice it. If it isn't, the keeper's book decides, and the book is never wrong by more than it says.\n\n"#;

/// An answer without streaming of about `size` bytes, most of it text.
pub(crate) fn text(size: usize) -> String {
    let mut content = TEXT.repeat(size / TEXT.len());
    while content.len() + 700 < size {
        content.push_str("and so on ");
    }
    answer(&format!(
        r#""message":{{"role":"assistant","content":"{content}","refusal":null,"annotations":[]}},"logprobs":null"#
    ))
}

/// An answer of about `size` bytes, most of it log-probabilities: many small numbers, strings, arrays and objects.
pub(crate) fn logprobs(size: usize) -> String {
    let mut content = String::new();
    let mut number = 0_u32;
    while content.len() < size {
        let comma = if number == 0 { "" } else { "," };
        let (first, second) = (number % 89, number % 977);
        write!(
            content,
            r#"{comma}{{"token":" gate","logprob":-0.{first:02}{second:03}417,"bytes":[32,103,97,116,101],"top_logprobs":[{{"token":" gate","logprob":-0.{first:02}{second:03}417,"bytes":[32,103,97,116,101]}},{{"token":" road","logprob":-4.{second:03}0951,"bytes":[32,114,111,97,100]}}]}}"#
        )
        .expect("a string takes everything");
        number += 1;
    }
    answer(&format!(
        r#""message":{{"role":"assistant","content":"gate","refusal":null}},"logprobs":{{"content":[{content}],"refusal":null}}"#
    ))
}

fn answer(choice: &str) -> String {
    let (head, tail) = around();
    format!("{head}{choice}{tail}")
}

/// What stands before and behind what a choice holds.
pub(crate) fn around() -> (String, String) {
    (
        r#"{"id":"chatcmpl-BzV5jQx8T3cQZ2kqk5cJd1yqGJt0K","object":"chat.completion","created":1770000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"#.to_owned(),
        format!(
            r#","finish_reason":"stop"}}],"usage":{USAGE},"service_tier":"default","system_fingerprint":"fp_560af6e559"}}"#
        ),
    )
}

/// A stream of `texts` chunks of 220 bytes, each an event of its own, one chunk with the usage, and the end mark. One piece each,
/// as they leave a server. Texts differ, and padding that differs too makes all chunks equally long, as OpenAI does it.
pub(crate) fn stream(texts: usize) -> Vec<Bytes> {
    let event = |rest: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-BzV5jQ","object":"chat.completion.chunk","created":1770000000,"model":"gpt-4o-mini",{rest}}}"#
        ) + "\n\n"
    };
    let text = |word: &str, padding: &str| {
        event(&format!(
            r#""choices":[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}],"usage":null,"obfuscation":"{padding}""#
        ))
    };
    let mut random = fastrand::Rng::with_seed(220);
    let mut pieces: Vec<Bytes> = (0..texts)
        .map(|_| {
            let word = WORDS[random.usize(..WORDS.len())];
            let short = CHUNK - text(word, "").len();
            let padding: String = (0..short).map(|_| random.alphanumeric()).collect();
            text(word, &padding).into()
        })
        .collect();
    assert!(pieces.iter().all(|piece| piece.len() == CHUNK));
    pieces.push(event(&format!(r#""choices":[],"usage":{USAGE}"#)).into());
    pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
    pieces
}

/// Bytes of a chunk.
const CHUNK: usize = 220;

/// Tokens as they are written in JSON.
const WORDS: [&str; 16] = [
    " the", " gate", ",", ".", " keeper", "\\n\\n", " a", " \\\"", "s", " —", " café", "1", ".\\n",
    "ing", " 收费", "   ",
];
