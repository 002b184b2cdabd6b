//! What a call would be told: whether it would wait, for which policy, and when it is admitted at the earliest.

use tollgate_limits::{Amounts, Binding, Check, Lane, Tick, Wait};

use crate::{
    AcquireError,
    core::Core,
    queue::{Line, Standing},
};

/// Why a call is not admitted now.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// It does not fit by itself.
    Wait(Wait),
    /// It may fit, but others who wait at this meter go first.
    Behind(u32),
    Spent(Wait),
    NeverFits(Binding),
}

/// Where a call that has to wait will stand, if it is the first of its line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    Meter(u32),
    /// At the meter that it lacks room in for longest.
    Binding,
}

impl Obstacle {
    pub(crate) const fn spot(&self) -> Spot {
        match self {
            Self::Behind(meter) => Spot::Meter(*meter),
            Self::Wait(_) | Self::Spent(_) | Self::NeverFits(_) => Spot::Binding,
        }
    }
}

/// Why a call waits, in full.
#[derive(Debug)]
pub(crate) struct Reason {
    /// `until` is the earliest instant with all who go first.
    pub(crate) wait: Wait,
    /// It fits by itself; others go first.
    pub(crate) behind: bool,
}

impl Core {
    /// Why a call would wait; `None` if it would be admitted now.
    pub(crate) fn outlook(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
    ) -> Option<Obstacle> {
        match self.ledger.check(now, call.kind.lane, amounts) {
            Check::Fits => self.behind(now, call, None).map(Obstacle::Behind),
            Check::Wait(wait) => Some(Obstacle::Wait(wait)),
            Check::Spent(wait) => Some(Obstacle::Spent(wait)),
            Check::NeverFits(binding) => Some(Obstacle::NeverFits(binding)),
        }
    }

    /// What a call would be told now.
    pub(crate) fn check(&mut self, now: Tick, call: &Standing, amounts: &Amounts) -> Check {
        match self.outlook(now, call, amounts) {
            None => Check::Fits,
            Some(Obstacle::Spent(wait)) => Check::Spent(wait),
            Some(Obstacle::NeverFits(binding)) => Check::NeverFits(binding),
            Some(Obstacle::Wait(wait)) => {
                Check::Wait(self.with_those_ahead(now, call, amounts, wait))
            }
            Some(Obstacle::Behind(meter)) => {
                let wait = self.wait_behind(now, meter);
                Check::Wait(self.with_those_ahead(now, call, amounts, wait))
            }
        }
    }

    /// Why a call must not wait, whoever waits already.
    pub(crate) fn must_refuse(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
    ) -> Option<AcquireError> {
        if !self.ledger.may_refuse(lane, amounts) {
            return None;
        }
        if let Some(binding) = self.ledger.never_fits(now, lane, amounts) {
            return Some(AcquireError::never_fits(binding, now));
        }
        let spent = self.ledger.spent(now, lane, amounts)?;
        Some(AcquireError::spent(spent, now))
    }

    /// An obstacle in full: the policy, what is missing there, and the earliest instant.
    ///
    /// # Errors
    /// If the call must not wait for it.
    pub(crate) fn reason(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
        obstacle: Obstacle,
    ) -> Result<Reason, AcquireError> {
        let (wait, behind) = match obstacle {
            Obstacle::Wait(wait) => (wait, false),
            Obstacle::Spent(wait) => return Err(AcquireError::spent(wait, now)),
            Obstacle::NeverFits(binding) => return Err(AcquireError::never_fits(binding, now)),
            Obstacle::Behind(meter) => match self.ledger.check(now, call.kind.lane, amounts) {
                Check::Wait(wait) => (wait, false),
                Check::Spent(wait) => return Err(AcquireError::spent(wait, now)),
                Check::NeverFits(binding) => return Err(AcquireError::never_fits(binding, now)),
                Check::Fits => (self.wait_behind(now, meter), true),
            },
        };
        let wait = self.with_those_ahead(now, call, amounts, wait);
        Ok(Reason { wait, behind })
    }

    /// The policy that whoever goes first at a meter waits for.
    fn wait_behind(&mut self, now: Tick, meter: u32) -> Wait {
        let first = self.queue.first_at(meter, now);
        let ahead = first.and_then(|id| self.queue.head_of(id));
        let units = ahead.map_or(0, |ahead| self.ledger.units_of(meter, ahead.amounts()));
        Wait {
            binding: self.ledger.binding(now, meter, units),
            until: Some(now),
        }
    }

    /// The same with the earliest instant at which the call can be admitted after those who go first, if nobody leaves or gives back.
    fn with_those_ahead(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
        wait: Wait,
    ) -> Wait {
        let until = wait.until;
        Wait {
            until: until.and_then(|at| self.after_those_ahead(now, call, amounts, 1, at)),
            ..wait
        }
    }

    /// When the last of so many calls that would be through at `alone` by themselves is admitted after those who go first, at the
    /// earliest and if nobody leaves or gives back; `None` if that takes settlements, of which nobody knows when they come.
    pub(crate) fn after_those_ahead(
        &mut self,
        now: Tick,
        call: &Standing,
        amounts: &Amounts,
        calls: u64,
        alone: Tick,
    ) -> Option<Tick> {
        let mut until = alone;
        let lane = call.kind.lane;
        for i in 0..self.ledger.meters_of(lane).len() {
            let meter = self.ledger.meters_of(lane)[i];
            let Some((in_class, all, risen)) = self.ahead_at(now, meter, call) else {
                continue;
            };
            let own = u128::from(self.ledger.units_of(meter, amounts)) * u128::from(calls);
            let mut room_at = |units: u128| {
                let units = u64::try_from(own + units).unwrap_or(u64::MAX);
                self.ledger.earliest(now, meter, units)
            };
            let at = room_at(all)?;
            let at = if all == in_class {
                at
            } else {
                at.min(room_at(in_class)?.max(risen))
            };
            until = until.max(at);
        }
        Some(until)
    }

    /// The least units that go before a call at a meter: of its class, with higher ones, and when its class may have risen.
    fn ahead_at(&self, now: Tick, meter: u32, call: &Standing) -> Option<(u128, u128, Tick)> {
        let weight = |tenant| self.lanes.weight(tenant);
        let units = |line: &Line| self.units_waiting(meter, line);
        let ahead = self.queue.ahead(meter, call, now, &weight, &units)?;
        Some((ahead.in_class, ahead.in_class + ahead.higher, ahead.until))
    }

    /// The units of a meter that the calls of a line ask for together.
    pub(crate) fn units_waiting(&self, meter: u32, line: &Line) -> u128 {
        let asked = self.ledger.units_of(meter, &line.backlog.amounts());
        // Slots count calls, whatever they ask for.
        let each = self.ledger.units_of(meter, &Amounts::ZERO);
        u128::from(asked).max(u128::from(each) * line.live() as u128)
    }
}
