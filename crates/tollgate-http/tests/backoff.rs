//! A user's own `backoff::backoff::Backoff` is the schedule of retries.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use backoff::backoff::Backoff;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tollgate_gate::{Gate, Plan, Tick};
use tollgate_http::{
    CallOptions, Exchange, Failure, Report, Schedule, SendError, Settings, Target,
};
use tollgate_tokens::Catalog;

/// 3 s, 6 s, 9 s, and then no more.
#[derive(Default)]
struct InThrees(u64);

impl Backoff for InThrees {
    fn next_backoff(&mut self) -> Option<Duration> {
        self.0 += 3;
        (self.0 <= 9).then(|| Duration::from_secs(self.0))
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

/// Calls a provider that is always down; when each attempt was sent, and the last status.
async fn sends(exchange: &Exchange) -> (Vec<Duration>, u16) {
    let start = exchange.gate().now();
    let mut sent: Vec<Tick> = Vec::new();
    let target = Target {
        host: "elsewhere.example",
        port: None,
        path: "/v1/chat/completions",
    };
    let down = || {
        Response::builder()
            .status(503)
            .body(Full::new(Bytes::from_static(b"down")))
            .unwrap()
    };
    let answer: Result<_, Failure<Infallible>> = exchange
        .run(target, Some(b"{}"), true, &CallOptions::new(), |_| {
            sent.push(exchange.gate().now());
            async { Ok::<_, SendError<Infallible>>(down()) }
        })
        .await;
    let answer = answer.unwrap();
    let report: &Report = answer.extensions().get().unwrap();
    assert_eq!(
        (report.attempts() as usize, report.retry_at()),
        (sent.len(), None)
    );
    (
        sent.into_iter().map(|at| at.since(start)).collect(),
        answer.status().as_u16(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_backoff_gives_the_delays_of_each_call_anew_and_its_end_ends_them() {
    // It has been used before, and is reset before it is asked.
    let schedule = Schedule::from_backoff(|| InThrees(100));
    let settings = Settings::default().schedule(schedule).attempts(99);
    let gate = Gate::new(Plan::new([]).unwrap());
    let exchange = Exchange::new(gate, Catalog::empty(), &BTreeMap::new(), settings);
    let expected: Vec<_> = [0, 3, 9, 18].map(Duration::from_secs).into();
    for _ in 0..2 {
        assert_eq!(sends(&exchange).await, (expected.clone(), 503));
    }
}
