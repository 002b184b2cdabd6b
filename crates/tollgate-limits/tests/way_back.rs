//! What refusals have taught is eased again: soon where their cause has gone, seldom where it stays.

use core::time::Duration;

use proptest::prelude::*;
use tollgate_limits::{
    Amounts, Decision, Labels, Lane, Ledger, Plan, Policy, Quota, Reservation, Tick, Unit,
};

const WINDOW: Duration = Duration::from_secs(60);

struct Client {
    ledger: Ledger,
    lane: Lane,
    now: Tick,
}

impl Client {
    fn new(quota: Quota) -> Self {
        let policy = Policy::new("limit", quota).margin(Duration::ZERO).unwrap();
        let mut ledger = Ledger::new(Plan::new([policy]).unwrap());
        let lane = ledger.lane(&Labels::new());
        Self {
            ledger,
            lane,
            now: Tick::ZERO.plus(Duration::from_secs(1_000)),
        }
    }

    /// Waits until the next call of so many units is granted.
    fn next(&mut self, units: u64) -> Reservation {
        let amounts = Amounts::ZERO.with(Unit::TotalTokens, units);
        loop {
            match self.ledger.reserve(self.now, self.lane, &amounts) {
                Decision::Granted(reservation) => return reservation,
                Decision::Wait(wait) => self.now = wait.until.expect("it fits some day"),
                other => panic!("{other:?}"),
            }
        }
    }

    fn pace(&self) -> Option<u64> {
        self.ledger
            .tightenings()
            .first()
            .map(|learned| learned.pace)
    }

    fn refuse(&mut self, call: Reservation) {
        self.now = self.now.plus(Duration::from_millis(1));
        self.ledger
            .throttled(self.now, &call, Some(Unit::TotalTokens), self.now);
        self.ledger.settle(self.now, call, &Amounts::ZERO);
    }
}

fn quotas(limit: u64) -> [Quota; 2] {
    [
        Quota::sliding(Unit::TotalTokens, limit, WINDOW).unwrap(),
        Quota::bucket(Unit::TotalTokens, limit, WINDOW).unwrap(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever refusals came before: once none comes any more, a client that uses what it may has its full pace back, step by step,
    /// each of which is told.
    #[test]
    fn the_full_pace_comes_back_once_the_cause_has_gone(
        refusals in prop::collection::vec(1_usize..400, 1..6),
        dearest in 1_u64..40,
        bucket in 0_usize..2,
    ) {
        let mut client = Client::new(quotas(1_000)[bucket].clone());
        let mut random = 1_u64;
        let mut units = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            1 + (random >> 33) % dearest
        };
        for good in &refusals {
            for _ in 0..*good {
                let call = client.next(units());
                client.ledger.settle(client.now, call, &Amounts::ZERO.with(Unit::TotalTokens, 1));
            }
            let call = client.next(units());
            client.refuse(call);
        }
        prop_assert!(client.pace().is_some());
        let gone = client.now;
        let mut eased = Vec::new();
        while client.pace().is_some() {
            let call = client.next(units());
            client.ledger.settle(client.now, call, &Amounts::ZERO.with(Unit::TotalTokens, 1));
            let told = client.ledger.eased();
            for step in told {
                prop_assert_eq!(step.pace, client.pace());
                eased.push(step.pace);
            }
            let windows = client.now.since(gone).as_nanos() / WINDOW.as_nanos();
            // Each refusal may have been of a try, after which twice as many windows pass on its rung, before it and after it, and
            // two thousand calls, of which a window has at least as many as it has dearest ones.
            let most = 20 + 4 * (2 << refusals.len()) + 2_000 * dearest / 600;
            prop_assert!(windows <= u128::from(most), "{} windows, {} refusals", windows, refusals.len());
        }
        prop_assert_eq!(eased.last(), Some(&None));
    }

    /// Where the provider never grants more than some calls close behind one another, one in two thousand calls is refused at most, but
    /// for the first ones.
    #[test]
    fn a_cause_that_stays_is_met_again_by_one_call_in_two_thousand(limit in 50_u64..400, bucket in 0_usize..2) {
        let mut client = Client::new(quotas(limit)[bucket].clone());
        let gap = WINDOW.as_nanos() / u128::from(limit);
        let mut last = Tick::ZERO;
        let (mut calls, mut refused) = (0, 0);
        while calls < 20_000 {
            let call = client.next(1);
            calls += 1;
            // Spaced by less than the limit says.
            if client.now.since(last).as_nanos() < gap * 9 / 10 {
                refused += 1;
                client.refuse(call);
            } else {
                last = client.now;
                client.ledger.settle(client.now, call, &Amounts::ZERO.with(Unit::TotalTokens, 1));
            }
        }
        // The first is the lesson, the second the first try; of the others each waits for two thousand calls.
        prop_assert!(refused <= 2 + 10, "{} of {}", refused, calls);
    }
}
