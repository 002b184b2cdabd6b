//! What the tests over HTTP share: a client, bodies for each dialect, and reading streams.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tollgate_sim::{Books, Server};

pub(crate) const SCOUT: &str = "Llama-4-Scout-17B-16E-Instruct-FP8";

/// A call to a path, with a key of the team `acme`.
pub(crate) fn post(server: &Server, path: &str, body: &Value) -> RequestBuilder {
    let url = format!("{}{path}", server.url());
    Client::new()
        .post(url)
        .bearer_auth("sk-acme-secret")
        .json(body)
}

/// A chat of one message, in OpenAI's and Meta's form and with a cap in Anthropic's.
pub(crate) fn chat(model: &str, prompt: &str, cap: u64) -> Value {
    json!({"model": model, "max_tokens": cap, "messages": [{"role": "user", "content": prompt}]})
}

/// The same, streamed.
pub(crate) fn streamed(mut chat: Value) -> Value {
    chat["stream"] = json!(true);
    chat
}

pub(crate) async fn json_of(response: Response) -> Value {
    response.json().await.expect("a JSON body")
}

/// The events of a stream: their JSON, and whether `[DONE]` closed it.
pub(crate) async fn events_of(response: Response) -> (Vec<Value>, bool) {
    let text = response.text().await.expect("a whole stream");
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let done = data.last() == Some(&"[DONE]");
    let events = data[..data.len() - usize::from(done)].iter();
    let parse = |event: &&str| serde_json::from_str(event).expect("an event of JSON");
    (events.map(parse).collect(), done)
}

pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("a header of text").to_owned())
}

/// The books once `ready` holds; the provider learns of a client that left when its socket tells it.
pub(crate) async fn books_when(server: &Server, ready: impl Fn(&Books) -> bool) -> Books {
    for _ in 0..1_000 {
        let books = server.books();
        if ready(&books) {
            return books;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the books never got there: {:?}", server.books());
}
