//! A call that runs: its tokens are produced at the model's pace, and it is booked exactly once, however it ends.

use std::sync::Arc;

use super::frames::Sender;
use super::shared::{Inner, Shared};
use crate::books::{CallRecord, Ending};
use crate::provider::Ticket;
use crate::reply::Pace;
use crate::wire::Answer;

/// A running call. Dropped before its end, as happens when the client goes away, it books itself as aborted.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
    team: String,
    model: String,
    input: u64,
    reserved: u64,
    produced: u64,
}

impl Running {
    pub(crate) fn new(
        shared: Arc<Shared>,
        ticket: Ticket,
        team: &str,
        model: &str,
        input: u64,
        reserved: u64,
    ) -> Self {
        let (team, model) = (team.to_owned(), model.to_owned());
        Self {
            shared,
            ticket: Some(ticket),
            team,
            model,
            input,
            reserved,
            produced: 0,
        }
    }

    /// Produces the whole answer, then books it.
    pub(crate) async fn produce_all(mut self, answer: &Answer, pace: Pace) {
        let arrival = self.arrival();
        for text in &answer.texts {
            for (_, count) in text.pieces(self.least(answer)) {
                self.wait(arrival, pace, count).await;
                self.produce(count);
            }
        }
        self.end(Ending::Completed);
    }

    /// The call failed inside the provider: its request counts, its tokens are given back.
    pub(crate) fn fail(&mut self) {
        self.input = 0;
        self.end(Ending::Failed);
    }

    fn arrival(&self) -> u64 {
        self.ticket.as_ref().map_or(0, Ticket::arrival_ns)
    }

    /// Tokens of a frame: one word at real speed, but no more than about fifty frames per answer when time runs fast.
    fn least(&self, answer: &Answer) -> u64 {
        if self.shared.setup.speed < 5 {
            1
        } else {
            answer.output().div_ceil(50).max(1)
        }
    }

    async fn wait(&self, arrival: u64, pace: Pace, count: u64) {
        self.shared
            .clock
            .sleep_until(arrival.saturating_add(pace.at(self.produced + count)))
            .await;
    }

    fn produce(&mut self, count: u64) {
        self.produced += count;
        if let Some(ticket) = &mut self.ticket {
            self.shared
                .lock()
                .enforcer
                .produce(ticket, self.shared.clock.now(), count);
        }
    }

    fn end(&mut self, ending: Ending) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let mut inner = self.shared.lock();
        let Inner { enforcer, ledger } = &mut *inner;
        let (now, arrival_ns) = (self.shared.clock.now(), ticket.arrival_ns());
        match ending {
            Ending::Aborted => enforcer.abort(ticket, now, self.produced),
            Ending::Completed | Ending::Cut | Ending::Failed => {
                enforcer.complete(ticket, now, self.input, self.produced);
            }
        }
        ledger.ended(CallRecord {
            model: std::mem::take(&mut self.model),
            team: std::mem::take(&mut self.team),
            arrival_ns,
            finished_ns: now,
            input: self.input,
            output: self.produced,
            reserved: self.reserved,
            ending,
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Ending::Aborted);
    }
}

/// Streams an answer at the model's pace until its end, its cut or the client's leave.
pub(crate) async fn stream(
    mut running: Running,
    answer: Answer,
    pace: Pace,
    cut: bool,
    sender: Sender,
) {
    tokio::select! {
        () = sender.gone() => {}
        () = send_all(&mut running, &answer, pace, cut, &sender) => {
            // Booked before the last bytes go out, so that whoever has them finds the call in the books.
            if cut {
                running.end(Ending::Cut);
                sender.cut();
            } else {
                running.end(Ending::Completed);
                sender.send(answer.close());
            }
        }
    }
}

/// Sends the answer but its end; of one that is cut, the first half.
async fn send_all(running: &mut Running, answer: &Answer, pace: Pace, cut: bool, sender: &Sender) {
    let arrival = running.arrival();
    let least = running.least(answer);
    let stop_at = if cut { answer.output() / 2 } else { u64::MAX };
    running.wait(arrival, pace, 0).await;
    sender.send(answer.open());
    for (choice, text) in answer.texts.iter().enumerate() {
        for (piece, count) in text.pieces(least) {
            if running.produced + count > stop_at {
                return;
            }
            running.wait(arrival, pace, count).await;
            running.produce(count);
            sender.send(answer.piece(choice, piece));
        }
    }
}
