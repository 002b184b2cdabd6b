//! Which dialect a call speaks, by the host and path of its URL.

use super::Dialect;

/// See [`Dialect::detect`].
pub(super) fn detect(host: &str, path: &str) -> Option<Dialect> {
    let path = path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let (name, port) = name_and_port(host);
    let is_host = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let ends_with = |tails: &[&str]| tails.iter().any(|tail| path.ends_with(tail));

    if is_host(&["api.llama.com"]) {
        return match path {
            "/v1/chat/completions" => Some(Dialect::MetaLlama),
            _ if path.starts_with("/compat/v1/") => Some(Dialect::OpenAiChat),
            _ => None,
        };
    }
    // Its other paths are shaped like OpenAI's, or like Anthropic's, and are told by their ends.
    if is_host(&["api.cohere.com", "api.cohere.ai"]) && ends_with(COHERE) {
        return Some(Dialect::Cohere);
    }
    // `/api/chat` on a host that nobody knows is as likely to be a program's own.
    if (port == Some("11434") || is_host(&["ollama.com"])) && ends_with(OLLAMA) {
        return Some(Dialect::Ollama);
    }
    if is_bedrock(path) {
        return Some(Dialect::Bedrock);
    }
    // Google writes the verb behind a colon.
    if let Some((resource, verb)) = path.rsplit_once(':') {
        return match verb {
            "generateContent"
            | "streamGenerateContent"
            | "countTokens"
            | "embedContent"
            | "batchEmbedContents" => Some(Dialect::Gemini),
            // Claude on Vertex AI.
            "rawPredict" | "streamRawPredict" => resource
                .contains("/publishers/anthropic/models/")
                .then_some(Dialect::Anthropic),
            _ => None,
        };
    }
    if ends_with(ANTHROPIC) {
        return Some(Dialect::Anthropic);
    }
    ends_with(OPENAI).then_some(Dialect::OpenAiChat)
}

const COHERE: &[&str] = &[
    "/v2/chat",
    "/v1/chat",
    "/v2/embed",
    "/v1/embed",
    "/v1/generate",
    "/v1/tokenize",
];

const OLLAMA: &[&str] = &[
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
];

const ANTHROPIC: &[&str] = &["/v1/messages", "/v1/messages/count_tokens", "/v1/complete"];

/// Azure serves Responses under `/openai/responses`; a bare `/responses` on an unknown host could be anything.
const OPENAI: &[&str] = &[
    "/completions",
    "/embeddings",
    "/v1/responses",
    "/openai/responses",
    "/v1/responses/input_tokens",
    // llama.cpp; vLLM and llama.cpp; xAI.
    "/completion",
    "/tokenize",
    "/v1/tokenize-text",
];

/// `/model/{id}/{verb}`, where the id may have slashes of its own.
fn is_bedrock(path: &str) -> bool {
    const VERBS: &[&str] = &[
        "converse",
        "converse-stream",
        "invoke",
        "invoke-with-response-stream",
        "count-tokens",
    ];
    let model_and_verb = path
        .split_once("/model/")
        .and_then(|(_, rest)| rest.rsplit_once('/'));
    model_and_verb.is_some_and(|(model, verb)| !model.is_empty() && VERBS.contains(&verb))
}

/// The host without its port and without the root's final dot; and the port.
fn name_and_port(host: &str) -> (&str, Option<&str>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    };
    (name.strip_suffix('.').unwrap_or(name), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_tell_the_dialect() {
        use Dialect::*;
        let check = |host: &str, path: &str, expected| {
            assert_eq!(detect(host, path), expected, "{host}{path}");
        };
        for path in [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings/",
            "/v1/responses",
            "/v1/responses/input_tokens",
        ] {
            check("api.openai.com", path, Some(OpenAiChat));
        }
        check("api.openai.com", "/v1/models", None);
        let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
        check("x.openai.azure.com", azure, Some(OpenAiChat));
        check(
            "x.services.ai.azure.com",
            "/anthropic/v1/messages",
            Some(Anthropic),
        );
        check("127.0.0.1:8000", "/v1/chat/completions", Some(OpenAiChat));
        check("[::1]:8000", "/v1/embeddings", Some(OpenAiChat));
        check("127.0.0.1:8080", "/completion", Some(OpenAiChat));
        check("127.0.0.1:8080", "/tokenize", Some(OpenAiChat));
        check("api.x.ai", "/v1/tokenize-text", Some(OpenAiChat));
        check("api.groq.com", "/openai/v1/responses", Some(OpenAiChat));
        check("api.mistral.ai", "/v1/fim/completions", Some(OpenAiChat));

        check("api.llama.com", "/v1/chat/completions", Some(MetaLlama));
        check(
            "API.Llama.com:443",
            "/v1/chat/completions?x=1",
            Some(MetaLlama),
        );
        check(
            "api.llama.com",
            "/compat/v1/chat/completions",
            Some(OpenAiChat),
        );
        check("api.llama.com", "/v1/models", None);

        check("api.anthropic.com", "/v1/messages", Some(Anthropic));
        check(
            "api.anthropic.com",
            "/v1/messages/count_tokens",
            Some(Anthropic),
        );
        check("api.anthropic.com", "/v1/messages/batches", None);

        let google = "generativelanguage.googleapis.com";
        for verb in [
            "generateContent",
            "streamGenerateContent?alt=sse",
            "countTokens",
            "embedContent",
        ] {
            check(
                google,
                &format!("/v1beta/models/gemini-2.5-pro:{verb}"),
                Some(Gemini),
            );
        }
        check(google, "/v1beta/openai/chat/completions", Some(OpenAiChat));
        let vertex = "us-central1-aiplatform.googleapis.com";
        let publishers = "/v1/projects/p/locations/l/publishers";
        check(
            vertex,
            &format!("{publishers}/google/models/g:streamGenerateContent"),
            Some(Gemini),
        );
        check(
            vertex,
            &format!("{publishers}/anthropic/models/c@1:streamRawPredict"),
            Some(Anthropic),
        );
        check(
            vertex,
            &format!("{publishers}/mistralai/models/m:rawPredict"),
            None,
        );

        check("api.cohere.com", "/v2/chat", Some(Cohere));
        check("api.cohere.ai", "/v1/tokenize", Some(Cohere));
        check(
            "api.cohere.com",
            "/compatibility/v1/chat/completions",
            Some(OpenAiChat),
        );
        check("example.com", "/v2/chat", None);

        let bedrock = "bedrock-runtime.us-east-1.amazonaws.com";
        for verb in [
            "converse",
            "converse-stream",
            "invoke",
            "invoke-with-response-stream",
            "count-tokens",
        ] {
            check(
                bedrock,
                &format!("/model/anthropic.claude-3%3A0/{verb}"),
                Some(Bedrock),
            );
        }
        check(bedrock, "/openai/v1/chat/completions", Some(OpenAiChat));
        check(bedrock, "/model//converse", None);
        check(bedrock, "/model/x", None);

        check("localhost:11434", "/api/chat", Some(Ollama));
        check("localhost:11434", "/v1/chat/completions", Some(OpenAiChat));
        check("localhost:11434", "/v1/messages", Some(Anthropic));
        check("ollama.com", "/api/generate", Some(Ollama));
        check("example.com", "/api/chat", None);

        check("example.com", "/survey/responses", None);
        check("example.com", "/", None);
        check("", "", None);
    }
}
