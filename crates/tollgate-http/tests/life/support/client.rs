//! `Client`: the inner client, which answers from a list, and what it answers.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use tollgate_gate::{Amounts, Gate, Tick};
use tollgate_http::{Attempt, SendError};

/// The inner client's error. Its text says nothing of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

pub(crate) type TestBody = UnsyncBoxBody<Bytes, Broken>;

/// What the inner client does with one send.
pub(crate) enum Answer {
    Now(Result<Response<TestBody>, SendError<Broken>>),
    After(Duration, Response<TestBody>),
    Never,
}

/// An inner client that answers from a list.
#[derive(Default)]
pub(crate) struct Client {
    answers: Mutex<VecDeque<Answer>>,
    sent: Mutex<Vec<(u32, Tick)>>,
    bodies: Mutex<Vec<Option<Bytes>>>,
}

impl Client {
    pub(crate) fn of(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Self::default()
        }
    }

    pub(crate) fn one(response: Response<TestBody>) -> Self {
        Self::of([now(response)])
    }

    /// Refuses with each of these, then answers.
    pub(crate) fn refusing(refusals: impl IntoIterator<Item = Response<TestBody>>) -> Self {
        Self::of(refusals.into_iter().chain([json(OPENAI_JSON)]).map(now))
    }

    pub(crate) async fn send(
        &self,
        attempt: Attempt,
        gate: &Gate,
    ) -> Result<Response<TestBody>, SendError<Broken>> {
        self.sent
            .lock()
            .unwrap()
            .push((attempt.ordinal, gate.now()));
        self.bodies.lock().unwrap().push(attempt.body);
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .expect("a call that was not foreseen");
        match answer {
            Answer::Now(result) => result,
            Answer::After(span, response) => {
                tokio::time::sleep(span).await;
                Ok(response)
            }
            Answer::Never => pending().await,
        }
    }

    /// What was to be sent instead of the caller's body, per attempt.
    pub(crate) fn bodies(&self) -> Vec<Option<String>> {
        let text = |body: &Bytes| String::from_utf8(body.to_vec()).unwrap();
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().map(|body| body.as_ref().map(text)).collect()
    }

    pub(crate) fn sends(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// When each attempt was sent; checks that attempts are numbered from one.
    #[track_caller]
    pub(crate) fn sent_at(&self) -> Vec<Tick> {
        let sent = self.sent.lock().unwrap();
        let ordinals: Vec<_> = sent.iter().map(|(ordinal, _)| *ordinal).collect();
        assert_eq!(ordinals, (1..).take(sent.len()).collect::<Vec<u32>>());
        sent.iter().map(|(_, at)| *at).collect()
    }
}

pub(crate) fn now(response: Response<TestBody>) -> Answer {
    Answer::Now(Ok(response))
}

pub(crate) const OPENAI_JSON: &str = r#"{"id":"c","model":"gpt-m-2","choices":[{"finish_reason":"stop","message":{"content":"Seven."}}],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}}"#;

/// The usage in `OPENAI_JSON` and `OPENAI_SSE`.
pub(crate) fn reported() -> Amounts {
    Amounts::call(11, 5)
}

/// Twelve bytes of text, four tokens at three bytes each, before the usage.
pub(crate) const OPENAI_SSE: &str = concat!(
    "data: {\"model\":\"gpt-m-2\",\"choices\":[{\"delta\":{\"content\":\"Seven.\"}}],\"usage\":null}\n\n",
    "data: {\"model\":\"gpt-m-2\",\"choices\":[{\"delta\":{\"content\":\" Really\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"model\":\"gpt-m-2\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16}}\n\n",
    "data: [DONE]\n\n",
);

pub(crate) fn full(bytes: impl Into<Bytes>) -> TestBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of these frames, each of which may be an error.
pub(crate) fn frames(frames: impl IntoIterator<Item = Result<Frame<Bytes>, Broken>>) -> TestBody {
    Frames(frames.into_iter().collect()).boxed_unsync()
}

pub(crate) fn data(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, Broken> {
    Ok(Frame::data(bytes.into()))
}

/// A body that must not be polled again after its end, which the `Body` contract leaves undefined.
struct Frames(VecDeque<Result<Frame<Bytes>, Broken>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.0.pop_front() {
            None => {
                self.0.push_back(Err(Broken("polled after its end")));
                std::task::Poll::Ready(None)
            }
            Some(Err(Broken("polled after its end"))) => panic!("a body is polled after its end"),
            frame @ Some(Err(_)) => {
                self.0.clear();
                self.0.push_back(Err(Broken("polled after its end")));
                std::task::Poll::Ready(frame)
            }
            frame => std::task::Poll::Ready(frame),
        }
    }
}

/// A body in the hands of a test.
pub(crate) fn channel() -> (http_body_util::channel::Sender<Bytes, Broken>, TestBody) {
    let (sender, body) = http_body_util::channel::Channel::new(1);
    (sender, body.boxed_unsync())
}

pub(crate) fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: TestBody,
) -> Response<TestBody> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body).unwrap()
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const SSE: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");

pub(crate) fn json(body: &'static str) -> Response<TestBody> {
    response(200, &[JSON], full(body))
}

pub(crate) fn sse(body: TestBody) -> Response<TestBody> {
    response(200, &[SSE], body)
}

pub(crate) fn refusal(
    status: u16,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response<TestBody> {
    response(status, headers, full(body))
}

/// A 429 about requests.
pub(crate) fn throttled(headers: &[(&str, &str)]) -> Response<TestBody> {
    refusal(
        429,
        headers,
        r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
    )
}
