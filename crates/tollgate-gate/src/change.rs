//! Another plan while calls wait: they line up anew under the policies that now apply to them.

use tollgate_limits::{ChangeError, Plan, Tick};

use crate::{
    Gate,
    core::{Core, Wakes},
    queue::{Kind, LineId},
};

impl Gate {
    /// Works by another plan from now on. What was used carries over to policies of the same name, calls that wait line up anew in
    /// their order and are admitted as the new limits allow, and those that can never be admitted any more are refused:
    /// see [`tollgate_limits::Ledger::change`]. A gate with a store only checks calls by it; the store has its own.
    ///
    /// # Errors
    /// If a policy of the same name counts something else, or by other labels; nothing has changed then.
    pub fn change(&self, plan: Plan) -> Result<(), ChangeError> {
        let now = self.now();
        let mut wakes = Wakes::default();
        let changed = self.lock().change(now, plan, &mut wakes);
        self.inner().wake(wakes);
        changed
    }

    /// Gives one policy another limit from now on; all else is as with [`Gate::change`]. A bucket's burst follows the limit where it was
    /// the limit itself.
    ///
    /// # Errors
    /// If there is no policy of that name, or its limit cannot be that; nothing has changed then.
    pub fn set_limit(&self, policy: &str, limit: u64) -> Result<(), ChangeError> {
        let now = self.now();
        let mut wakes = Wakes::default();
        let changed = self.lock().set_limit(now, policy, limit, &mut wakes);
        self.inner().wake(wakes);
        changed
    }
}

impl Core {
    /// Works by another plan from now on.
    ///
    /// # Errors
    /// If the ledger cannot carry over what was used; nothing has changed then.
    pub(crate) fn change(
        &mut self,
        now: Tick,
        plan: Plan,
        wakes: &mut Wakes,
    ) -> Result<(), ChangeError> {
        let now = self.forward(now);
        self.ledger.change(now, plan)?;
        self.follow(now, wakes);
        Ok(())
    }

    /// Gives one policy another limit from now on.
    ///
    /// # Errors
    /// If there is no such policy, or its limit cannot be that; nothing has changed then.
    fn set_limit(
        &mut self,
        now: Tick,
        policy: &str,
        limit: u64,
        wakes: &mut Wakes,
    ) -> Result<(), ChangeError> {
        let now = self.forward(now);
        self.ledger.set_limit(now, policy, limit)?;
        self.follow(now, wakes);
        Ok(())
    }

    /// The ledger works by another plan: whoever waits lines up anew.
    fn follow(&mut self, now: Tick, wakes: &mut Wakes) {
        self.lanes.forget(&mut self.ledger);
        self.refuse_hopeless(now, wakes);
        let Self {
            ledger,
            queue,
            lanes,
            ..
        } = self;
        let opened = queue.line_up_anew(|waiter| {
            let (lane, tenant) = lanes.find(ledger, waiter.labels());
            let class = waiter.ticket.priority;
            Kind {
                lane,
                class,
                tenant,
            }
        });
        for id in opened {
            let lane = self.queue.lines[id].kind.lane;
            self.ledger.pin(lane);
            let meter = self.binding_meter(now, id).map(|(meter, _)| meter);
            // One that has room is looked at by `pump`, as is everybody else.
            match meter.or_else(|| self.ledger.meters_of(lane).first().copied()) {
                Some(meter) => self.queue.stand(id, meter, now),
                None => self.admit_all(now, id, wakes),
            }
        }
        self.unpin_vacated();
        self.pump(now, wakes);
    }

    /// Refuses those who wait for what can never be granted by now.
    fn refuse_hopeless(&mut self, now: Tick, wakes: &mut Wakes) {
        for place in self.queue.places() {
            let Some(waiter) = self.queue.get(place) else {
                continue;
            };
            let (labels, amounts) = (waiter.labels().clone(), *waiter.amounts());
            let (lane, _) = self.lanes.find(&mut self.ledger, &labels);
            if let Some(error) = self.must_refuse(now, lane, &amounts) {
                wakes
                    .wakers
                    .extend(self.answer(now, place, Err(Box::new(error))));
            }
        }
    }

    /// Admits a whole line to which no policy applies any more.
    fn admit_all(&mut self, now: Tick, id: LineId, wakes: &mut Wakes) {
        let lane = self.queue.lines[id].kind.lane;
        for place in self.queue.lines[id].calls().collect::<Vec<_>>() {
            let amounts = self.queue.look_again(place);
            if let Ok(answer) = self.reserve(now, lane, &amounts) {
                wakes.wakers.extend(self.answer(now, place, answer));
            }
        }
    }
}
