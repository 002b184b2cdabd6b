//! `Route`: what the path of a call tells of it.

use std::borrow::Cow;

use super::Operation;

/// What the path of a call tells. Where it names the model, the body need not.
#[derive(Debug, Default)]
pub(super) struct Route<'p> {
    pub(super) operation: Option<Operation>,
    pub(super) model: Option<Cow<'p, str>>,
    /// The path asks for a stream, whatever the body says.
    pub(super) stream: bool,
    /// OpenAI's Responses, which always report usage.
    pub(super) is_responses: bool,
    /// Anthropic's, OpenAI's and others' completions of a plain text.
    pub(super) is_completion: bool,
}

impl<'p> Route<'p> {
    /// Reads a path without query and final slash.
    pub(super) fn of(path: &'p str) -> Self {
        if let Some((_, behind)) = path.split_once("/model/")
            && let Some((model, verb)) = behind.rsplit_once('/')
            && let Some((operation, stream)) = bedrock(verb, model)
        {
            return Self {
                operation: Some(operation),
                model: named(model),
                stream,
                ..Self::default()
            };
        }
        if let Some((resource, verb)) = path.rsplit_once(':')
            && let Some((operation, stream)) = google(verb)
        {
            return Self {
                operation: Some(operation),
                model: resource.rsplit('/').next().and_then(named),
                stream,
                ..Self::default()
            };
        }
        let operation = TAILS
            .iter()
            .find(|(tail, _)| path.ends_with(tail))
            .map(|(_, operation)| *operation);
        Self {
            operation,
            model: deployment(path).and_then(named),
            stream: false,
            is_responses: path.ends_with("/responses"),
            is_completion: operation == Some(Operation::TextCompletion),
        }
    }
}

const TAILS: &[(&str, Operation)] = &[
    ("/chat/completions", Operation::Chat),
    ("/v1/messages", Operation::Chat),
    ("/responses", Operation::Chat),
    ("/completions", Operation::TextCompletion),
    ("/embeddings", Operation::Embeddings),
    ("/count_tokens", Operation::CountTokens),
    ("/responses/input_tokens", Operation::CountTokens),
    // Ollama and Cohere.
    ("/chat", Operation::Chat),
    ("/generate", Operation::TextCompletion),
    ("/embed", Operation::Embeddings),
    // Anthropic's older format; llama.cpp; vLLM, llama.cpp and Cohere; xAI.
    ("/v1/complete", Operation::TextCompletion),
    ("/completion", Operation::TextCompletion),
    ("/tokenize", Operation::CountTokens),
    ("/tokenize-text", Operation::CountTokens),
];

/// Bedrock's `/model/{id}/{verb}`. What `invoke` does is the model's own affair, and only its name tells.
fn bedrock(verb: &str, model: &str) -> Option<(Operation, bool)> {
    let invoked = if model.contains("embed") {
        Operation::Embeddings
    } else {
        Operation::Chat
    };
    Some(match verb {
        "converse" => (Operation::Chat, false),
        "converse-stream" => (Operation::Chat, true),
        "invoke" => (invoked, false),
        "invoke-with-response-stream" => (invoked, true),
        "count-tokens" => (Operation::CountTokens, false),
        _ => return None,
    })
}

/// Google's `…/models/{model}:{verb}`, and Claude's on Vertex AI.
fn google(verb: &str) -> Option<(Operation, bool)> {
    Some(match verb {
        "generateContent" | "rawPredict" => (Operation::Chat, false),
        "streamGenerateContent" | "streamRawPredict" => (Operation::Chat, true),
        "countTokens" => (Operation::CountTokens, false),
        "embedContent" | "batchEmbedContents" => (Operation::Embeddings, false),
        _ => return None,
    })
}

/// Azure names the deployment in the path: `/openai/deployments/{deployment}/…`.
fn deployment(path: &str) -> Option<&str> {
    let (_, behind) = path.split_once("/openai/deployments/")?;
    behind.split('/').next()
}

/// A name out of a path, with percent signs resolved.
fn named(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() {
        return None;
    }
    if !name.contains('%') {
        return Some(Cow::Borrowed(name));
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let hex = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8); // Two digits make a byte.
                rest = &behind[2..];
            }
            _ => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_model_with_percent_signs_resolved() {
        let check = |path, model: Option<&str>, stream| {
            let route = Route::of(path);
            assert_eq!(
                (route.model.as_deref(), route.stream),
                (model, stream),
                "{path}"
            );
        };
        check(
            "/v1beta/models/gemini-2.5-pro:generateContent",
            Some("gemini-2.5-pro"),
            false,
        );
        check("/v1/models/g:streamGenerateContent", Some("g"), true);
        check(
            "/p/publishers/anthropic/models/c@1:streamRawPredict",
            Some("c@1"),
            true,
        );
        check(
            "/model/anthropic.claude-3%3A0/converse",
            Some("anthropic.claude-3:0"),
            false,
        );
        check(
            "/model/arn%3Aaws%3Ax%2Fy/converse-stream",
            Some("arn:aws:x/y"),
            true,
        );
        check("/model/arn:aws:x/y/invoke", Some("arn:aws:x/y"), false);
        check(
            "/model/a%zz%4/invoke-with-response-stream",
            Some("a%zz%4"),
            true,
        );
        check(
            "/openai/deployments/my-gpt/chat/completions",
            Some("my-gpt"),
            false,
        );
        check("/openai/deployments//chat/completions", None, false);
        check("/v1/chat/completions", None, false);
    }
}
