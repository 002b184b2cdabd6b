//! Where lines stand, who goes first there, and when that has to be looked at.

use tollgate_limits::Tick;

use super::{Ahead, Kind, Line, LineId, Queue, Standing, Tenant};

/// A head that was turned away more often than this claims all meters of its lane.
const TURNED_AWAY: u8 = 3;

impl<A> Queue<A> {
    /// Makes a line stand at a meter, alone there or with others.
    pub(crate) fn stand(&mut self, id: LineId, meter: u32, now: Tick) {
        let line = &mut self.lines[id];
        let Some((number, _)) = line.front() else {
            return;
        };
        line.stands_as = number;
        line.spots.push(meter);
        let park = self.parks.entry(meter).or_default();
        park.insert(&self.lines, id, now);
        if park.first(&mut self.lines, now, self.ageing) == Some(id) {
            self.note(meter);
        }
    }

    /// Lets a line stand at another meter because its turn came at this one and the other had no room, or others ahead of it.
    /// Whoever is turned away again and again becomes senior and stands at all of `meters`, where nobody of its class who came
    /// later is admitted before it; seniors go by ticket, so that no two of them wait for each other.
    pub(crate) fn turn_away(&mut self, id: LineId, to: u32, meters: &[u32], now: Tick) {
        self.lift(id);
        let line = &mut self.lines[id];
        line.turned_away = line.turned_away.saturating_add(1);
        line.senior = line.turned_away > TURNED_AWAY;
        if line.senior {
            for &meter in meters {
                self.stand(id, meter, now);
            }
        } else {
            self.stand(id, to, now);
        }
    }

    /// Takes a line away from where it stands; others may come first there now.
    pub(crate) fn lift(&mut self, id: LineId) {
        while let Some(meter) = self.lines[id].spots.pop() {
            let Some(park) = self.parks.get_mut(&meter) else {
                continue;
            };
            park.remove(&self.lines, id);
            if park.is_empty() {
                if let Some(wake) = park.wake {
                    self.wakes.remove(&(wake, meter));
                }
                self.parks.remove(&meter);
            } else {
                self.note(meter);
            }
        }
    }

    /// Where the line stands that a call of this kind has to join, if calls wait there that came before it.
    pub(crate) fn joins(&self, call: &Standing) -> Option<u32> {
        let line = &self.lines[self.lines.find(call.kind)?];
        let (first, _) = line.front()?;
        line.spots.first().copied().filter(|_| first <= call.number)
    }

    /// The number of meters at which anybody stands.
    pub(crate) fn crowded(&self) -> usize {
        self.parks.len()
    }

    /// Meters at which anybody stands, in no order.
    pub(crate) fn meters(&self) -> Vec<u32> {
        self.parks.keys().copied().collect()
    }

    /// Who waits at which meter, and for what: each line where it stands.
    pub(crate) fn waiting_at(&self) -> impl Iterator<Item = (u32, &Line)> {
        let lines = self.lines.iter().map(|(_, line)| line);
        lines.filter_map(|line| Some((*line.spots.first()?, line)))
    }

    /// When somebody at a meter may be admitted first: `None` if nobody stands there, `Some(None)` if that takes a settlement.
    pub(crate) fn wake_of(&self, meter: u32) -> Option<Option<Tick>> {
        self.parks.get(&meter).map(|park| park.wake)
    }

    /// The least that goes before a call at a meter, in units, with `units` as those of a line.
    pub(crate) fn ahead(
        &self,
        meter: u32,
        call: &Standing,
        now: Tick,
        weight: &dyn Fn(Tenant) -> u32,
        units: &dyn Fn(&Line) -> u128,
    ) -> Option<Ahead> {
        let park = self.parks.get(&meter)?;
        Some(park.ahead(&self.lines, call, now, self.ageing, weight, units))
    }

    /// Whoever goes first at a meter.
    pub(crate) fn first_at(&mut self, meter: u32, now: Tick) -> Option<LineId> {
        let park = self.parks.get_mut(&meter)?;
        park.first(&mut self.lines, now, self.ageing)
    }

    /// Whether somebody who stands at a meter goes before this call.
    pub(crate) fn is_before(&mut self, meter: u32, call: &Standing, now: Tick) -> bool {
        let ageing = self.ageing;
        self.parks
            .get_mut(&meter)
            .is_some_and(|park| park.is_before(&mut self.lines, call, now, ageing))
    }

    /// How the head of a line stands against others.
    pub(crate) fn standing(&self, id: LineId) -> Standing {
        let line = &self.lines[id];
        Standing {
            kind: line.kind,
            number: line.front().map_or(u64::MAX, |(number, _)| number),
            line: Some(id),
            senior: line.senior,
        }
    }

    /// Takes note of a grant at a meter; the order there may be another now.
    pub(crate) fn charge(
        &mut self,
        meter: u32,
        call: &Standing,
        weight: u32,
        units: u64,
        now: Tick,
    ) {
        let Kind { class, tenant, .. } = call.kind;
        if let Some(park) = self.parks.get_mut(&meter) {
            park.charge(class, tenant, weight, units, !call.senior, now);
            self.note(meter);
        }
    }

    /// Notes a meter down to be looked at, if anybody stands there.
    pub(crate) fn note(&mut self, meter: u32) {
        if let Some(park) = self.parks.get_mut(&meter)
            && !park.due
        {
            park.due = true;
            self.due.push(meter);
        }
    }

    /// Notes down the meters whose instant has come.
    pub(crate) fn note_wakes(&mut self, now: Tick) {
        while let Some((wake, meter)) = self.wakes.first().copied()
            && wake <= now
        {
            self.wakes.pop_first();
            if let Some(park) = self.parks.get_mut(&meter) {
                park.wake = None;
            }
            self.note(meter);
        }
    }

    /// The next meter to be looked at.
    pub(crate) fn next_due(&mut self) -> Option<u32> {
        loop {
            let meter = self.due.pop()?;
            if self.parks.get(&meter).is_some_and(|park| park.due) {
                return Some(meter);
            }
        }
    }

    /// A meter has been looked at: whoever is first there stays. It has to be looked at again at `until`, or when a class rises.
    pub(crate) fn rest(&mut self, meter: u32, until: Option<Tick>, now: Tick) {
        if let Some(park) = self.parks.get_mut(&meter) {
            park.due = false;
            let wake = [until, park.next_promotion(now, self.ageing)];
            let wake = wake.into_iter().flatten().min();
            if wake != park.wake {
                if let Some(old) = park.wake {
                    self.wakes.remove(&(old, meter));
                }
                park.wake = wake;
                self.wakes.extend(wake.map(|wake| (wake, meter)));
            }
        }
    }

    /// When the next meter has to be looked at.
    pub(crate) fn first_wake(&self) -> Option<Tick> {
        self.wakes.first().map(|(wake, _)| *wake)
    }
}
