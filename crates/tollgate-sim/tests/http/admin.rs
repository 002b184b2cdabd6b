//! The admin pages and the program: they show what the library's own methods tell, and no key.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{SCOUT, chat, json_of, post};
use serde_json::{Value, json};
use tollgate_sim::{Latency, Provider, Server};

async fn page(server: &Server, path: &str) -> Value {
    json_of(
        reqwest::get(format!("{}{path}", server.url()))
            .await
            .expect("a page"),
    )
    .await
}

#[tokio::test]
async fn the_pages_show_the_books_the_calls_and_the_limits() {
    let builder = Provider::preset("llama-api")
        .expect("a preset")
        .latency(Latency::none())
        .speed(7);
    let server = builder.start().expect("a server");
    for prompt in ["toll", "toll road", "toll road over the river"] {
        let call = post(&server, "/v1/chat/completions", &chat(SCOUT, prompt, 50));
        assert_eq!(call.send().await.expect("an answer").status(), 200);
    }
    let books = page(&server, "/admin/books").await;
    assert_eq!(books, serde_json::to_value(server.books()).expect("JSON"));
    assert_eq!(
        (&books["calls"], &books["teams"]["acme"]["requests"]),
        (&json!(3), &json!(3))
    );
    let calls = page(&server, "/admin/calls").await;
    assert_eq!(calls, serde_json::to_value(server.calls()).expect("JSON"));
    let inputs: Vec<&Value> = calls
        .as_array()
        .expect("a list")
        .iter()
        .map(|call| &call["input"])
        .collect();
    assert_eq!(inputs, [&json!(5), &json!(6), &json!(9)]);
    let limits = page(&server, "/admin/limits").await;
    assert_eq!(
        (
            &limits["speed"],
            &limits["models"][SCOUT]["quotas"][0]["limit"]
        ),
        (&json!(7), &json!(10))
    );
}

#[tokio::test]
async fn keys_are_never_shown() {
    let builder = Provider::preset("unlimited")
        .expect("a preset")
        .latency(Latency::none());
    let server = builder
        .key("known-secret", "acme")
        .start()
        .expect("a server");
    for key in ["sk-acme-secret", "bare-secret", "known-secret"] {
        let call =
            post(&server, "/v1/chat/completions", &chat("any", "toll", 5)).header("x-api-key", key);
        assert_eq!(call.send().await.expect("an answer").status(), 200);
    }
    for path in ["/admin/books", "/admin/calls", "/admin/limits"] {
        let text = page(&server, path).await.to_string();
        assert!(!text.contains("secret"), "{path}: {text}");
    }
    let books = server.books();
    assert_eq!((books.teams.len(), books.teams["acme"].requests), (2, 2));
}

#[tokio::test]
async fn the_program_prints_where_it_listens_and_serves_there() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-sim"));
    let command = command.args(["--preset", "llama-3", "--port", "0", "--speed", "600"]);
    let mut program = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("a line");
    let (url, rest) = line.split_once(' ').expect("an address first");
    let limits = reqwest::get(format!("{url}/admin/limits"))
        .await
        .map(|response| response.status().as_u16());
    program.kill().expect("it still runs");
    program.wait().expect("it ends");
    assert_eq!(limits.ok(), Some(200));
    assert_eq!(
        rest,
        "plays llama-3: llama-3: 10000 tokens per 60s, window from the first call\n"
    );
}
