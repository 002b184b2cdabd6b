//! Beyond reserving and settling: news, other plans, forecasts.

use core::time::Duration;

use proptest::{prelude::*, sample::Index};
use tollgate_limits::{Decision, News, Status, Tick, Wait};

use crate::{
    World, amounts_of, key,
    naive::History,
    name, plan,
    scripts::{Rule, Script},
};

impl World {
    pub(crate) fn change(
        &mut self,
        which: Index,
        how: u8,
        rule: &Rule,
    ) -> Result<(), TestCaseError> {
        let i = which.index(self.rules.len());
        match how {
            0 if self.rules.len() > 1 => {
                let (gone, _) = self.rules.remove(i);
                self.index.retain(|(name, ..), _| *name != gone);
            }
            1 => {
                self.rules.insert(i, (name(self.named), rule.clone()));
                self.named += 1;
            }
            _ => self.rules[i].1 = self.rules[i].1.changed(how, rule),
        }
        self.ledger.change(self.tick(), plan(&self.rules)).unwrap();
        for ((name, ..), history) in &self.index {
            let (_, rule) = self.rules.iter().find(|(other, _)| other == name).unwrap();
            self.histories[*history].change(self.now, &rule.spec);
        }
        let kept: Vec<usize> = self.index.values().copied().collect();
        for open in &mut self.open {
            open.histories.retain(|(i, _)| kept.contains(i));
        }
        // Who waits takes the lane anew if its labels are not known, and sees what applies now.
        for (lane, place, _) in std::mem::take(&mut self.pinned) {
            let (found, _) = self.lane(place)?;
            self.ledger.pin(found);
            self.ledger.unpin(lane);
            let meters = self.ledger.meters_of(found).to_vec();
            self.pinned.push((found, place, meters));
        }
        // New partitions may have come with it, with nothing used.
        let statuses: Vec<Status> = self.statuses().into_values().collect();
        for status in statuses {
            let (_, rule) = self
                .rules
                .iter()
                .find(|(name, _)| **name == *status.policy)
                .unwrap();
            let next = self.histories.len();
            let history = *self.index.entry(key(&status)).or_insert(next);
            if history == next {
                self.histories.push(History::new(&rule.spec));
            }
        }
        Ok(())
    }

    /// Compares a forecast with the calls themselves.
    pub(crate) fn foretell(&mut self, script: &Script) -> Result<(), TestCaseError> {
        let (lane, calls, amounts) = script.batch;
        let amounts = amounts_of(amounts);
        let (lane, _) = self.lane(lane)?;
        let now = self.tick();
        let forecast = self.ledger.forecast(now, lane, calls, &amounts);
        prop_assert_eq!(forecast, self.ledger.forecast(now, lane, calls, &amounts));
        let mut at = now;
        for _ in 0..calls {
            let granted = loop {
                match self.ledger.reserve(at, lane, &amounts) {
                    Decision::Granted(reservation) => break reservation,
                    Decision::Wait(Wait {
                        until: Some(until), ..
                    }) => at = until,
                    // The forecast is of calls that wait; what a spent budget refuses does not.
                    Decision::Spent(_) => return Ok(()),
                    _ => {
                        prop_assert_eq!(forecast, None);
                        return Ok(());
                    }
                }
            };
            self.ledger.settle(at, granted, &amounts);
        }
        prop_assert_eq!(forecast, Some(at));
        Ok(())
    }

    pub(crate) fn adopt(
        &mut self,
        which: Index,
        policy: Index,
        limit: Option<u64>,
        remaining: Option<u64>,
        rounding: u64,
    ) -> Result<(), TestCaseError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let open = &self.open[which.index(self.open.len())];
        let lane = &open.histories;
        if lane.is_empty() {
            return Ok(());
        }
        // Of several policies with the same unit and window the first is meant.
        let meant = &self.histories[lane[policy.index(lane.len())].0].spec;
        let (unit, window) = (meant.unit, meant.window);
        let first = lane.iter().find(|(i, _)| {
            let spec = &self.histories[*i].spec;
            (spec.unit, spec.window) == (unit, window)
        });
        let history = &mut self.histories[first.unwrap().0];
        let news = News {
            unit,
            window: Some(Duration::from_nanos(window)),
            limit,
            remaining,
            rounding,
        };
        let changed = history.adopt(self.now, open.call, &news);
        let now = Tick::from_nanos(self.now);
        prop_assert_eq!(self.ledger.adopt(now, &open.reservation, &news), changed);
        prop_assert!(
            !self.ledger.adopt(now, &open.reservation, &news),
            "the same news changes nothing"
        );
        Ok(())
    }
}
