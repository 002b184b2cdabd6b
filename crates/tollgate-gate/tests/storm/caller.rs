//! One caller: how it asks, how long it waits, and how its call ends.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use tollgate_gate::{
    Acquire, AcquireError, Amounts, Call, Check, Gate, Labels, News, Permit, Priority, Refusal,
    Source, Unit,
};

use crate::books::{Books, Running};
use crate::world::LARGEST;

pub(crate) struct Caller {
    pub(crate) gate: Gate,
    pub(crate) books: Books,
    pub(crate) labels: Arc<Labels>,
    pub(crate) random: Rng,
    pub(crate) answer: Answer,
}

/// Asks for one call and ends it one way or another.
pub(crate) async fn live(mut caller: Caller) {
    let random = &mut caller.random;
    sleep(ticks(random, 2_000)).await;
    let tokens = match random.u8(..10) {
        0 => LARGEST,
        _ => random.u64(1..LARGEST / 8),
    };
    let priority = [Priority::High, Priority::Normal, Priority::Low][random.usize(..3)];
    let call = Call::new(caller.labels.clone(), Amounts::call(0, tokens)).priority(priority);
    let (number, asked) = (caller.books.number(), caller.gate.now());
    let result = match random.u8(..16) {
        0 => Some(caller.gate.try_acquire(&call)),
        1 | 2 => give_up_after(ticks(random, 4_000), caller.gate.acquire(&call)).await,
        3 => Some(
            caller
                .gate
                .acquire(&call.clone().by(asked.plus(ticks(random, 4_000))))
                .await,
        ),
        // The deadline falls on the very instant at which the call would fit.
        4 => {
            let deadline = match caller.gate.check(&call) {
                Check::Wait(wait) => wait.until.unwrap_or(asked),
                _ => asked,
            };
            Some(caller.gate.acquire(&call.clone().by(deadline)).await)
        }
        _ => Some(caller.gate.acquire(&call).await),
    };
    let permit = match result {
        Some(Ok(permit)) => permit,
        Some(Err(error)) => {
            caller.answer.given = true;
            return refused(&caller.books, &error);
        }
        None => return,
    };
    caller.answer.given = true;
    let admitted = caller.gate.now();
    caller
        .books
        .admitted(&caller.labels, number, priority, asked, admitted);
    send(&mut caller, permit, tokens).await;
}

/// A span of whole ticks, so that much of what happens in a world happens at the same instants.
pub(crate) fn ticks(random: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(TICK * random.u64(..most / TICK))
}

/// Milliseconds.
const TICK: u64 = 40;

/// Gives up after `span`, even if the permit is there at that very instant.
async fn give_up_after(span: Duration, acquire: Acquire) -> Option<Result<Permit, AcquireError>> {
    tokio::select! {
        biased;
        () = sleep(span) => None,
        result = acquire => Some(result),
    }
}

fn refused(books: &Books, error: &AcquireError) {
    match error.refusal() {
        Refusal::Deadline => books.count(|seen| &mut seen.too_late),
        Refusal::NotNow => books.count(|seen| &mut seen.refused),
        other => books.fault(format!("refused as {other:?}: {error}")),
    }
}

/// Sends the call, or thinks better of it.
async fn send(caller: &mut Caller, mut permit: Permit, tokens: u64) {
    let Caller {
        gate,
        books,
        labels,
        random,
        ..
    } = caller;
    if random.u8(..20) == 0 {
        books.count(|seen| &mut seen.released);
        // Either way everything is given back.
        return match random.bool() {
            true => permit.release(),
            false => drop(permit),
        };
    }
    permit.mark_sent();
    let running = books.arrives(gate.now(), labels, tokens);
    let mut sent = Sent {
        books: books.clone(),
        gate: gate.clone(),
        running: Some(running),
        tokens,
        permit: Some(permit),
    };
    let latency = match random.u8(..10) {
        0 => 30_000,
        _ => 1_500,
    };
    sleep(ticks(random, latency)).await;
    if random.u8(..10) == 0 {
        // Somebody else has used a part of the quota.
        let news = News {
            unit: [Unit::Requests, Unit::TotalTokens][random.usize(..2)],
            window: None,
            limit: None,
            remaining: Some(random.u64(..LARGEST)),
            rounding: 0,
        };
        books.count(|seen| &mut seen.tightened);
        sent.hear(&news);
    }
    match random.u8(..10) {
        // Dropped without a word: the reservation is kept.
        0 => books.count(|seen| &mut seen.dropped),
        1 => {
            books.count(|seen| &mut seen.overran);
            sent.settle(tokens + random.u64(1..LARGEST));
        }
        _ => sent.settle(random.u64(..=tokens)),
    }
}

/// A call that runs. However it ends, the provider hears of it first: the gate may admit others at once.
struct Sent {
    books: Books,
    gate: Gate,
    running: Option<Running>,
    tokens: u64,
    permit: Option<Permit>,
}

impl Sent {
    fn hear(&self, news: &News) {
        if let Some(permit) = &self.permit {
            permit.adopt(news);
        }
    }

    fn settle(&mut self, used: u64) {
        self.end(used);
        if let Some(permit) = self.permit.take() {
            permit.settle(&Amounts::call(0, used), Source::Reported);
        }
    }

    fn end(&mut self, used: u64) {
        if let Some(running) = self.running.take() {
            self.books.ends(self.gate.now(), running, used);
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.end(self.tokens);
    }
}

/// Counts a caller that goes away before it has an answer, be it before it has asked.
pub(crate) struct Answer {
    books: Books,
    given: bool,
}

impl Answer {
    pub(crate) const fn pending(books: Books) -> Self {
        let given = false;
        Self { books, given }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            self.books.count(|seen| &mut seen.gave_up);
        }
    }
}
