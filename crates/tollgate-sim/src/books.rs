//! What the provider has seen and billed: counters, and a record of each admitted call.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

/// Records kept of ended calls; older ones are dropped.
pub const MOST_RECORDS: usize = 100_000;

/// The provider's counters since it started.
///
/// `requests_received >= calls + rejected`, the rest being requests whose body is still on its way or never came;
/// `calls = admitted + throttled`; `admitted = in_flight + completed + aborted + cut + failed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Requests to the paths of models, whatever became of them.
    pub requests_received: u64,
    /// Requests answered with an error of the client's: 400, 401, 404, 413.
    pub rejected: u64,
    /// Requests that were understood and put before the quotas.
    pub calls: u64,
    /// Calls the quotas let through.
    pub admitted: u64,
    /// Calls answered with 429.
    pub throttled: u64,
    /// Admitted calls that have not ended.
    pub in_flight: u64,
    /// Calls answered in full.
    pub completed: u64,
    /// Calls whose client went away before the answer was complete.
    pub aborted: u64,
    /// Streams that the provider cut, as told by its faults.
    pub cut: u64,
    /// Admitted calls answered with 500, as told by the faults.
    pub failed: u64,
    /// Input tokens billed.
    pub input_tokens: u64,
    /// Output tokens billed.
    pub output_tokens: u64,
    /// The same per model, by the name the calls used.
    pub models: BTreeMap<String, Tally>,
    /// The same per team.
    pub teams: BTreeMap<String, Tally>,
}

/// The counters of one model or one team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls the quotas let through.
    pub requests: u64,
    /// Calls answered with 429.
    pub throttled: u64,
    /// Input tokens billed.
    pub input_tokens: u64,
    /// Output tokens billed.
    pub output_tokens: u64,
    /// Calls whose client went away before the answer was complete.
    pub aborted: u64,
    /// Streams that the provider cut.
    pub cut: u64,
    /// Admitted calls answered with 500.
    pub failed: u64,
}

/// How an admitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Answered in full.
    Completed,
    /// The client went away; billed for the input and what was produced by then.
    Aborted,
    /// The provider cut the stream; billed for the input and what was produced by then.
    Cut,
    /// Answered with 500; nothing but the request is billed.
    Failed,
}

/// One admitted call that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// The model, by the name the call used.
    pub model: String,
    /// The team it was charged to.
    pub team: String,
    /// When it was read and admitted, in nanoseconds of the provider's time.
    pub arrival_ns: u64,
    /// When it ended, on the same clock.
    pub finished_ns: u64,
    /// Input tokens billed.
    pub input: u64,
    /// Output tokens billed.
    pub output: u64,
    /// Tokens it asked room for at arrival: its input and its output cap.
    pub reserved: u64,
    /// How it ended.
    pub ending: Ending,
}

/// Keeps the books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) books: Books,
    calls: VecDeque<CallRecord>,
}

impl Ledger {
    pub(crate) fn admitted(&mut self, model: &str, team: &str) {
        self.books.calls += 1;
        self.books.admitted += 1;
        self.books.in_flight += 1;
        self.tally(model, team, |tally| tally.requests += 1);
    }

    pub(crate) fn throttled(&mut self, model: &str, team: &str) {
        self.books.calls += 1;
        self.books.throttled += 1;
        self.tally(model, team, |tally| tally.throttled += 1);
    }

    pub(crate) fn ended(&mut self, call: CallRecord) {
        let books = &mut self.books;
        books.in_flight -= 1;
        books.input_tokens += call.input;
        books.output_tokens += call.output;
        match call.ending {
            Ending::Completed => books.completed += 1,
            Ending::Aborted => books.aborted += 1,
            Ending::Cut => books.cut += 1,
            Ending::Failed => books.failed += 1,
        }
        self.tally(&call.model, &call.team, |tally| {
            tally.input_tokens += call.input;
            tally.output_tokens += call.output;
            tally.aborted += u64::from(call.ending == Ending::Aborted);
            tally.cut += u64::from(call.ending == Ending::Cut);
            tally.failed += u64::from(call.ending == Ending::Failed);
        });
        if self.calls.len() == MOST_RECORDS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// The kept records in the order of arrival.
    pub(crate) fn calls(&self) -> Vec<CallRecord> {
        let mut calls: Vec<CallRecord> = self.calls.iter().cloned().collect();
        calls.sort_by_key(|call| call.arrival_ns);
        calls
    }

    fn tally(&mut self, model: &str, team: &str, count: impl Fn(&mut Tally)) {
        for (map, key) in [
            (&mut self.books.models, model),
            (&mut self.books.teams, team),
        ] {
            match map.get_mut(key) {
                Some(tally) => count(tally),
                None => count(map.entry(key.to_owned()).or_default()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(arrival_ns: u64, ending: Ending) -> CallRecord {
        let (model, team) = ("model".to_owned(), "team".to_owned());
        CallRecord {
            model,
            team,
            arrival_ns,
            finished_ns: arrival_ns + 5,
            input: 3,
            output: 4,
            reserved: 10,
            ending,
        }
    }

    #[test]
    fn every_admitted_call_is_counted_once_by_how_it_ended() {
        let mut ledger = Ledger::default();
        for (arrival, ending) in [
            (9, Ending::Completed),
            (7, Ending::Aborted),
            (8, Ending::Cut),
            (6, Ending::Failed),
        ] {
            ledger.admitted("model", "team");
            ledger.ended(record(arrival, ending));
        }
        ledger.admitted("model", "team");
        ledger.throttled("model", "team");
        let books = &ledger.books;
        assert_eq!(
            (
                books.calls,
                books.admitted,
                books.throttled,
                books.in_flight
            ),
            (6, 5, 1, 1)
        );
        assert_eq!(
            (books.completed, books.aborted, books.cut, books.failed),
            (1, 1, 1, 1)
        );
        let tally = Tally {
            requests: 5,
            throttled: 1,
            input_tokens: 12,
            output_tokens: 16,
            aborted: 1,
            cut: 1,
            failed: 1,
        };
        assert_eq!((books.models["model"], books.teams["team"]), (tally, tally));
        let arrivals: Vec<u64> = ledger.calls().iter().map(|call| call.arrival_ns).collect();
        assert_eq!(arrivals, [6, 7, 8, 9]);
    }

    #[test]
    fn records_are_bounded_and_the_oldest_go_first() {
        let mut ledger = Ledger::default();
        for arrival in 0..MOST_RECORDS as u64 + 2 {
            ledger.admitted("model", "team");
            ledger.ended(record(arrival, Ending::Completed));
        }
        let calls = ledger.calls();
        assert_eq!((calls.len(), calls[0].arrival_ns), (MOST_RECORDS, 2));
    }
}
