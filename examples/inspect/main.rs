//! Shows what Tollgate sees in recorded responses: usage, verdict, limits and warnings, one JSON line per file.

mod recording;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use recording::Recording;
use serde_json::{Value, json};
use tollgate::limits::Unit;
use tollgate::tokens::{
    Catalog, Conventions, Descriptor, Dialect, Framing, Operation, PolicySpec, Provider, Scan,
    ServiceLimit, Usage, UsageScanner, Verdict, Warning, describe, service_limits, stream_verdict,
    verdict,
};

/// Prints what Tollgate reads from recorded responses: one JSON line per file.
///
/// `.http` is a whole response with its head; `.json`, `.sse`, `.ndjson` and `.bin` (an AWS event stream) are bodies.
#[derive(Debug, Parser)]
struct Args {
    /// The wire format or provider: openai, azure-openai, xai, groq, vllm, meta-llama, anthropic, gemini, cohere, bedrock, ollama,
    /// generic, ... Default: guessed.
    #[arg(long)]
    dialect: Option<String>,
    /// The recordings.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut failed = false;
    for file in &args.files {
        match inspect(file, args.dialect.as_deref()) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                failed = true;
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn inspect(file: &Path, name: Option<&str>) -> Result<Value, Box<dyn Error>> {
    let recording = Recording::read(file)?;
    let catalog = Catalog::builtin();
    let provider = name.and_then(|name| catalog.provider(name));
    let dialect = match name {
        None => Dialect::guess(&recording.body).or_else(|| guess_request(&recording.body)),
        // A draft for headers that any provider may send.
        Some("ietf") => None,
        Some(name) => {
            let known = provider
                .map(|provider| provider.dialect)
                .or(Dialect::from_name(name));
            Some(known.ok_or_else(|| format!("no dialect or provider is called `{name}`"))?)
        }
    };
    let conventions = provider.map_or_else(Conventions::default, |p| p.conventions.clone());
    let mut seen = Seen {
        file,
        kind: "response",
        usage: Value::Null,
        verdict: None,
        limits: Vec::new(),
        warnings: Vec::new(),
        request: None,
    };
    let (limits, warnings) = service_limits(dialect, name, &recording.headers);
    seen.limits = limits;
    seen.warnings.extend(warnings);
    if recording.status.is_client_error() || recording.status.is_server_error() {
        seen.kind = "error";
        let mut verdict = verdict(
            dialect,
            recording.status,
            &recording.headers,
            &recording.body,
        );
        seen.warnings.append(&mut verdict.warnings);
        seen.verdict = Some(verdict);
        return Ok(seen.line());
    }
    let Some(dialect) = dialect else {
        seen.warnings.push(Warning::UnknownFormat);
        return Ok(seen.line());
    };
    if recording.framing == Framing::Json
        && let Some(request) = request(dialect, &recording.body)
    {
        seen.kind = "request";
        seen.request = Some(request);
        return Ok(seen.line());
    }
    let mut scan = scan(dialect, &conventions, &recording);
    // A provider may speak a second format on other paths, which a recording does not tell.
    if scan.usage.is_none()
        && let Some(other) = Dialect::guess(&recording.body)
    {
        scan = self::scan(other, &conventions, &recording);
    }
    // A list is a stream that is sent item by item.
    let is_list = recording.body.trim_ascii_start().starts_with(b"[");
    let is_stream = is_list || recording.framing != Framing::Json;
    seen.kind = match (&scan, is_stream) {
        (
            Scan {
                counted: Some(_), ..
            },
            _,
        ) => "count",
        (Scan { error: Some(_), .. }, true) => "stream-error",
        (_, true) => "stream",
        _ => "response",
    };
    seen.usage = usage(&scan);
    if let (Some(found), Some(provider)) = (&scan.usage, provider) {
        add_charge(&mut seen.usage, found, provider);
    }
    // What Ollama read from its cache it does not say, and it leaves out a prompt that was there altogether.
    if dialect == Dialect::Ollama && scan.usage.is_some_and(|usage| usage.input == 0) {
        seen.usage["cache_read"] = Value::Null;
    }
    seen.verdict = scan.error.as_ref().map(stream_verdict);
    seen.warnings.extend(scan.warnings);
    Ok(seen.line())
}

fn scan(dialect: Dialect, conventions: &Conventions, recording: &Recording) -> Scan {
    let mut scanner = UsageScanner::new(dialect, recording.framing).conventions(conventions);
    scanner.read_head(&recording.headers);
    scanner.push(&recording.body);
    scanner.finish()
}

/// The dialect of a request, by what it brings.
fn guess_request(body: &[u8]) -> Option<Dialect> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let brings = |key| value.get(key).is_some();
    match value.get("model") {
        Some(_) if brings("messages") || brings("input") => Some(Dialect::OpenAiChat),
        None if brings("prompt") || brings("text") => Some(Dialect::Generic),
        _ => None,
    }
}

/// A request is told from a response by what it asks.
fn request(dialect: Dialect, body: &[u8]) -> Option<Descriptor> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let asks = ["messages", "prompt", "text", "input"]
        .iter()
        .any(|key| value.get(key).is_some());
    let answers = [
        "choices",
        "usage",
        "token_usage",
        "tokens_used",
        "output",
        "content",
    ]
    .iter()
    .any(|key| value.get(key).is_some());
    let path = if dialect == Dialect::Anthropic {
        "/v1/messages"
    } else {
        "/v1/chat/completions"
    };
    let described = describe(Some(dialect), path, body);
    (asks && !answers && described.operation != Operation::Other).then_some(described)
}

fn usage(scan: &Scan) -> Value {
    if let Some(counted) = scan.counted {
        return json!({ "input": counted, "output": null, "cache_read": null, "cache_write": null, "reasoning": null, "total": null });
    }
    let Some(usage) = &scan.usage else {
        return Value::Null;
    };
    if !usage.split_known {
        return json!({ "input": null, "output": null, "cache_read": null, "cache_write": null, "reasoning": null, "total": usage.total() });
    }
    let mut value = json!({
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
        "total": usage.total(),
    });
    if let Some(billed) = usage.billed {
        value["billed_input"] = json!(billed.input);
        value["billed_output"] = json!(billed.output);
    }
    if let Some(cost) = usage.cost {
        value["cost_usd"] = json!(cost.nanos() as f64 / 1e9);
    }
    value
}

/// Adds what the provider's limits per minute on input and on output are charged, where the catalog knows that input from the
/// cache is free of charge there.
fn add_charge(value: &mut Value, usage: &Usage, provider: &Provider) {
    let limits = provider.policies(None).unwrap_or_default();
    let is_free = |limit: &PolicySpec| limit.unit == Unit::InputTokens && !limit.cache_reads;
    if limits.iter().any(is_free) {
        value["itpm_cost"] = json!(usage.input - usage.cache_read);
        value["otpm_cost"] = json!(usage.output);
    }
}

struct Seen<'a> {
    file: &'a Path,
    kind: &'static str,
    usage: Value,
    verdict: Option<Verdict>,
    limits: Vec<ServiceLimit>,
    warnings: Vec<Warning>,
    request: Option<Descriptor>,
}

impl Seen<'_> {
    fn line(&self) -> Value {
        let verdict = self.verdict.as_ref().map(|verdict| {
            json!({
                "retryable": verdict.retryable,
                "scope": verdict.scope.as_str(),
                "retry_after_s": verdict.retry_after.map(|delay| delay.as_secs_f64()),
            })
        });
        let limit = |limit: &ServiceLimit| {
            json!({
                "name": limit.name,
                "unit": limit.unit.as_str(),
                "window_s": limit.window.map(|window| window.as_secs_f64()),
                "limit": limit.limit,
                "remaining": limit.remaining,
                "reset_s": limit.reset.map(|reset| reset.as_secs_f64()),
            })
        };
        let mut line = json!({
            "file": self.file.display().to_string(),
            "kind": self.kind,
            "usage": self.usage,
            "verdict": verdict,
            "limits": self.limits.iter().map(limit).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        if let Some(request) = &self.request {
            line["request"] = json!({
                "model": request.model.as_deref(),
                "output_cap": request.output_cap,
                "stream": request.stream,
                "text_bytes": request.text_bytes,
            });
        }
        line
    }
}
