//! A thousand calls, dropped wherever a caller can drop them.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tollgate::CallOptions;
use tollgate::gate::Source;
use tollgate_sim::{Ending, Latency, tokens};

use super::{in_step, one_model_per_call, records, settlement};
use crate::support::{Client, Log, What, Wire, gate_over, limits, poll_until, provider, rules};

const SEED: u64 = 0x0701_1ca7;
const CALLS: u64 = 1_000;
const CAP: u64 = 300;
const REQUESTS: u64 = 150;
const TOKENS: u64 = 75_000;

/// Where a caller loses interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    NotPolled,
    AtTheGate { after: Duration },
    JustSent { polls: u32 },
    InFlight { after: Duration },
    AtTheHead,
    MidStream { chunks: u32 },
    AfterTheEnd,
}

impl Stop {
    fn draw(rng: &mut Rng, stream: bool) -> Self {
        let millis = |rng: &mut Rng, range| Duration::from_millis(rng.u64(range));
        match rng.u32(0..20) {
            0 => Self::NotPolled,
            1..=5 => Self::AtTheGate {
                after: millis(rng, 0..1_500),
            },
            6 | 7 => Self::JustSent {
                polls: rng.u32(0..4),
            },
            8..=10 => Self::InFlight {
                after: millis(rng, 5..60),
            },
            11 | 12 => Self::AtTheHead,
            13..=16 if stream => Self::MidStream {
                chunks: rng.u32(1..30),
            },
            _ => Self::AfterTheEnd,
        }
    }
}

/// One call and what its caller saw of it.
#[derive(Debug)]
struct Dropped {
    model: String,
    stream: bool,
    stop: Stop,
    /// The body as far as it was read.
    text: Vec<u8>,
    /// Whether it was read to its end.
    whole: bool,
}

impl Dropped {
    /// Runs the call up to where it is dropped.
    async fn run(&mut self, client: &Client, wire: &Wire, log: &Log) {
        let mut call = Box::pin(client.send(wire, CallOptions::new().attempts(1)));
        let admitted = || log.has(&self.model, What::is_admitted);
        let mut over = None;
        match self.stop {
            Stop::NotPolled => return,
            Stop::AtTheGate { after } => {
                // Until patience is lost, or with the first poll of the request if it comes so far.
                let _ = tokio::time::timeout(after, poll_until(&mut call, admitted)).await;
                return;
            }
            Stop::JustSent { polls } => {
                over = poll_until(&mut call, admitted).await;
                for _ in 0..polls {
                    if over.is_none() {
                        tokio::task::yield_now().await;
                        over = poll_until(&mut call, || true).await;
                    }
                }
                if over.is_none() {
                    return;
                }
            }
            Stop::InFlight { after } => {
                over = poll_until(&mut call, admitted).await;
                if over.is_none() {
                    match tokio::time::timeout(after, &mut call).await {
                        Ok(reply) => over = Some(reply),
                        Err(_) => return,
                    }
                }
            }
            _ => {}
        }
        let reply = match over {
            Some(reply) => reply,
            None => call.await,
        };
        let mut reply = reply.expect("a head");
        let most = match self.stop {
            Stop::MidStream { chunks } => chunks,
            Stop::AfterTheEnd => u32::MAX,
            _ => 0,
        };
        for _ in 0..most {
            match reply.chunk().await.expect("a body without faults") {
                Some(bytes) => self.text.extend_from_slice(&bytes),
                None => {
                    self.whole = reply.status() == 200;
                    break;
                }
            }
        }
    }

    /// Tokens of the text of the answer that came through, by the provider's own tokenizer.
    fn tokens_read(&self) -> u64 {
        let body = String::from_utf8_lossy(&self.text);
        let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
        let texts = events.filter_map(|event| {
            let event: serde_json::Value = serde_json::from_str(event).ok()?;
            Some(event["event"]["delta"]["text"].as_str()?.to_owned())
        });
        tokens(&texts.collect::<String>())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_dropped_at_any_point_leave_nothing_behind() {
    println!("seed {SEED}");
    let mut rng = Rng::with_seed(SEED);
    let latency = Latency {
        first_token: (Duration::from_secs(6), Duration::from_secs(9)),
        tokens_per_second: (100, 200),
    };
    let name = |n: u64| format!("call-{n:04}");
    let server = one_model_per_call(provider(), (0..CALLS).map(name))
        .rules(rules(REQUESTS, TOKENS))
        .chat(tollgate_sim::Dialect::MetaLlama)
        .latency(latency)
        .start()
        .expect("a server");
    let (tollgate, log) = gate_over("meta-llama", limits(REQUESTS, TOKENS));
    let clients = Client::both(&tollgate);

    let mut running = JoinSet::new();
    for n in 0..CALLS {
        let stream = rng.bool();
        let mut call = Dropped {
            model: name(n),
            stream,
            stop: Stop::draw(&mut rng, stream),
            text: Vec::new(),
            whole: false,
        };
        let prompt = "The cart waits. ".repeat(rng.usize(5..80));
        let wire = Wire::llama(&server, &call.model, &prompt, CAP, stream);
        let (client, log) = (clients[usize::from(rng.bool())].clone(), log.clone());
        running.spawn(async move {
            call.run(&client, &wire, &log).await;
            call
        });
    }
    let calls = running.join_all().await;

    assert_eq!(tollgate.gate().open_reservations(), 0);
    assert_eq!(tollgate.gate().waiting(), 0);
    let (books, records) = records(&server).await;
    let (mut sent, mut unseen, mut completed) = (0, 0, 0);
    let (mut charged, mut booked) = (0, 0);
    for call in &calls {
        let events = log.of(&call.model);
        let finished = events.iter().filter(|what| what.is_finished()).count();
        let polled = call.stop != Stop::NotPolled;
        assert_eq!(finished, usize::from(polled), "{call:?}: {events:?}");
        let record = records.get(&call.model);
        let Some((reserved, used, source)) = settlement(&log, &call.model) else {
            assert_eq!(record, None, "{call:?} was never admitted: {events:?}");
            continue;
        };
        sent += 1;
        let Some(record) = record else {
            // It was dropped before the request was through: the provider never admitted it, which its client cannot know.
            unseen += 1;
            assert!(
                matches!(
                    (source, used == reserved),
                    (Source::Kept, true) | (Source::Rejected, _)
                ),
                "{call:?}: {events:?}"
            );
            continue;
        };
        let billed = record.input + record.output;
        if call.whole {
            completed += 1;
            assert_eq!(record.ending, Ending::Completed, "{call:?}");
            assert_eq!((used, source), (billed, Source::Reported), "{call:?}");
            continue;
        }
        charged += used;
        booked += billed;
        if call.stream && source != Source::Kept {
            // The provider may have produced more than was read before it noticed that nobody listens. What can be known is the
            // prompt and the text that came through; no less than that is charged.
            let known = record.input + call.tokens_read();
            assert!(used >= known, "{call:?}: {used} < {known}, {record:?}");
        } else {
            // A document, or a stream whose head never came: nothing is known, and the whole reservation is kept.
            assert_eq!((used, source), (reserved, Source::Kept), "{call:?}");
            assert!(used >= billed, "{call:?}: {record:?}");
        }
    }
    println!(
        "sent {sent}, unseen {unseen}, completed {completed}, charged {charged}, booked {booked}"
    );
    assert_eq!(sent, books.admitted + unseen, "requests in the ledger");
    assert!(charged >= booked, "charged {charged}, booked {booked}");
    // The storm was one: calls ended in every way.
    assert!(
        completed >= 50 && books.aborted >= 50 && sent < CALLS,
        "{books:?}, {completed}"
    );

    in_step(&server, &tollgate, &log, REQUESTS * 3 / 2).await;
}
