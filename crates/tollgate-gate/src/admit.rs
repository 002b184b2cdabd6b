//! Who is admitted: the one place where the order of the queue and the room in the ledger meet.
//!
//! Whoever goes first at a meter is admitted if every meter of its lane has room and nobody who stands at another of them goes
//! before it. If not, it stands where it takes longest; if that is here, nobody behind it is admitted here either, so what comes
//! back accrues to it, however large it is.

use tollgate_limits::{Amounts, Decision, Lane, Room, Tick, Wait};

use crate::{
    AcquireError,
    core::{Answer, Core, Wakes},
    permit::Held,
    queue::{LineId, Standing},
};

/// What was found out about whoever goes first at a meter.
enum Turn {
    Answered(Answer),
    /// It stands elsewhere now.
    Moved,
    /// It stays, and has to be looked at again then; `None`: when something happens.
    Stays(Option<Tick>),
}

impl Core {
    /// Admits every waiting call whose turn has come, then refuses those whose deadline has passed.
    pub(crate) fn pump(&mut self, now: Tick, wakes: &mut Wakes) {
        let now = self.forward(now);
        self.queue.note_wakes(now);
        loop {
            while let Some(meter) = self.queue.next_due() {
                self.look_at_meter(now, meter, wakes);
            }
            // Whoever is refused may have stood in the way of others.
            if !self.refuse_late(now, wakes) {
                break;
            }
        }
        self.check_invariants(now);
        self.rearm(wakes);
    }

    fn look_at_meter(&mut self, now: Tick, meter: u32, wakes: &mut Wakes) {
        // Whoever goes first is looked at again and again until this meter has room; after it has had some for one, the next is
        // likely to fit too.
        let mut hopeful = false;
        while let Some(id) = self.queue.first_at(meter, now) {
            let Some((_, place)) = self.queue.lines[id].front() else {
                return;
            };
            // The caller's own estimate runs before anything is changed, in case that it panics.
            let amounts = self.queue.look_again(place);
            if !hopeful && let Room::Later(until) = self.ledger.room(now, meter, &amounts) {
                return self.queue.rest(meter, until, now);
            }
            match self.take_turn(now, id, meter, &amounts) {
                Turn::Answered(answer) => {
                    hopeful = true;
                    wakes.wakers.extend(self.answer(now, place, answer));
                }
                Turn::Moved => {}
                Turn::Stays(until) => return self.queue.rest(meter, until, now),
            }
        }
    }

    fn take_turn(&mut self, now: Tick, id: LineId, meter: u32, amounts: &Amounts) -> Turn {
        let call = self.queue.standing(id);
        let lane = call.kind.lane;
        if let Some(other) = self.behind(now, &call, Some(meter)) {
            return self.turn_away(now, id, &call, other, None);
        }
        let wait = match self.reserve(now, lane, amounts) {
            Ok(answer) => {
                if answer.is_ok() {
                    self.charge(now, &call, amounts);
                }
                return Turn::Answered(answer);
            }
            Err(wait) => wait,
        };
        if let Room::Later(until) = self.ledger.room(now, meter, amounts) {
            return Turn::Stays(until);
        }
        match self.binding_meter(now, id) {
            Some((other, until)) => self.turn_away(now, id, &call, other, until),
            None => Turn::Stays(wait.until),
        }
    }

    /// The ledger's answer to a waiting call.
    ///
    /// # Errors
    /// If it has to wait on.
    pub(crate) fn reserve(
        &mut self,
        now: Tick,
        lane: Lane,
        amounts: &Amounts,
    ) -> Result<Answer, Wait> {
        let error = match self.ledger.reserve(now, lane, amounts) {
            Decision::Granted(reservation) => return Ok(Ok(Held::Local(reservation, lane))),
            Decision::Wait(wait) => return Err(wait),
            Decision::Spent(wait) => AcquireError::spent(wait, now),
            Decision::NeverFits(binding) => AcquireError::never_fits(binding, now),
        };
        Ok(Err(Box::new(error)))
    }

    /// The turn of a line's head came at one meter, and `other` has no room until then, or others there go first. A senior stands
    /// there already and keeps its claim here.
    fn turn_away(
        &mut self,
        now: Tick,
        id: LineId,
        call: &Standing,
        other: u32,
        until: Option<Tick>,
    ) -> Turn {
        if call.senior {
            if self.queue.first_at(other, now) == Some(id) {
                self.queue.rest(other, until, now);
            }
            return Turn::Stays(None);
        }
        let meters = self.ledger.meters_of(call.kind.lane);
        self.queue.turn_away(id, other, meters, now);
        Turn::Moved
    }

    /// The meter that a line's head lacks room in for longest, and when it has room.
    pub(crate) fn binding_meter(&mut self, now: Tick, id: LineId) -> Option<(u32, Option<Tick>)> {
        let amounts = *self.queue.head_of(id)?.amounts();
        let lane = self.queue.lines[id].kind.lane;
        let mut latest: Option<(u32, Option<Tick>)> = None;
        self.ledger.blocked_by(now, lane, &amounts, |meter, fit| {
            // No instant at all is later than any.
            let later = |known: Option<Tick>| (fit.is_none(), fit) > (known.is_none(), known);
            if latest.is_none_or(|(_, known)| later(known)) {
                latest = Some((meter, fit));
            }
        });
        latest
    }

    /// Moves a tenant's turn on at every meter where calls wait.
    pub(crate) fn charge(&mut self, now: Tick, call: &Standing, amounts: &Amounts) {
        let weight = self.lanes.weight(call.kind.tenant);
        for &meter in self.ledger.meters_of(call.kind.lane) {
            let units = self.ledger.units_of(meter, amounts);
            self.queue.charge(meter, call, weight, units, now);
        }
    }

    /// Refuses calls whose deadline has come without an admission; whether there were any.
    pub(crate) fn refuse_late(&mut self, now: Tick, wakes: &mut Wakes) -> bool {
        let mut any = false;
        while let Some((deadline, place)) = self.queue.first_deadline()
            && deadline <= now
            && let Some(waiter) = self.queue.get(place)
        {
            let (line, amounts) = (waiter.line, *waiter.amounts());
            let is_head = self.queue.is_head(place);
            let longest = waiter.longest_wait(self.longest_wait);
            let told = waiter.told().map(|told| told.wait.clone());
            let wait = told.or_else(|| {
                let mut call = self.queue.standing(line);
                if !is_head {
                    // Its own line's head goes before it.
                    call.number = u64::MAX;
                    (call.line, call.senior) = (None, false);
                }
                let obstacle = self.outlook(now, &call, &amounts)?;
                let reason = self.reason(now, &call, &amounts, obstacle);
                reason.ok().map(|reason| reason.wait)
            });
            let error = AcquireError::late(wait, longest, now);
            wakes
                .wakers
                .extend(self.answer(now, place, Err(Box::new(error))));
            any = true;
        }
        any
    }

    /// After every look: whoever goes first at a meter lacks room there, or waits for its turn at another.
    fn check_invariants(&mut self, now: Tick) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.queue.check_invariants();
        if self.queue.waiting() > 32 {
            return;
        }
        for meter in self.queue.meters() {
            let Some(id) = self.queue.first_at(meter, now) else {
                panic!("meter {meter}: nobody stands there");
            };
            let call = self.queue.standing(id);
            let Some(head) = self.queue.head_of(id) else {
                panic!("meter {meter}: an empty line stands there");
            };
            let room = self.ledger.room(now, meter, head.amounts());
            assert!(
                call.senior || matches!(room, Room::Later(_)),
                "meter {meter} has room for {call:?}"
            );
        }
    }
}
