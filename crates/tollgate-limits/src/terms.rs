//! `Terms`: the numbers of a policy as its meters use them.

use crate::{
    Amounts, Booking, Counting, Policy, Shape, Unit, adaptive::Climb, bucket::Rate, sliding::Span,
    tighten::Tightening, window::Frame,
};

/// What the meters of a policy share, and what a meter has for itself once the provider has told it of a lower limit.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) policy: u32,
    pub(crate) unit: Unit,
    pub(crate) manner: Manner,
    /// Whether calls are refused once it is spent.
    pub(crate) refuses: bool,
    pub(crate) form: Form,
    /// What was learned from refusals: the same in all terms of a policy.
    pub(crate) tightening: Tightening,
    /// How the limit is searched for, where it is not known; each meter searches for itself.
    pub(crate) climb: Option<Climb>,
    /// Whether a higher limit in a header is taken over.
    pub(crate) trusting: bool,
    /// Whether room is left free for others once they are heard of.
    pub(crate) shared: bool,
}

/// How a policy counts a call, and books its reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) booked: Booked,
    counting: Counting,
    // The common case, in which units are counted as they stand.
    plain: bool,
}

impl Manner {
    /// The units of `unit` that a call takes.
    #[inline]
    pub(crate) fn units(&self, unit: Unit, amounts: &Amounts) -> u64 {
        // Of a call with a cap beyond its expected output, what is expected has to be told apart.
        if self.plain && amounts.output_spare == 0 {
            amounts.get(unit)
        } else {
            self.counting.units(unit, amounts)
        }
    }

    /// The same for reservations whose charges are no longer told apart. What is held is let go in any case.
    pub(crate) const fn lumped(mut self) -> Self {
        if !matches!(self.booked, Booked::Held) {
            self.booked = Booked::Lump;
        }
        self
    }
}

/// How a policy books a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Booked {
    /// On arrival; what was not used is given back.
    Refunded,
    /// On arrival; what was not used is kept.
    Kept,
    /// Beside the level while the call runs; what was used is charged on completion.
    Held,
    /// Before the policy changed its shape: what was booked stays.
    Lump,
}

#[derive(Clone, Debug)]
pub(crate) enum Form {
    Bucket(Rate),
    Window(Frame),
    Sliding(Span),
    Slots(u64),
}

impl Terms {
    pub(crate) fn new(policy: &Policy, index: u32) -> Self {
        let quota = policy.quota();
        let (limit, window, margin) = (quota.limit(), quota.window_nanos(), policy.margin);
        let form = match quota.shape() {
            Shape::Bucket { burst } => Form::Bucket(Rate::new(limit, *burst, window, margin)),
            Shape::Window(anchor) => Form::Window(Frame {
                limit,
                window,
                margin,
                anchor: anchor.clone(),
            }),
            Shape::Sliding => Form::Sliding(Span {
                limit,
                window,
                margin,
            }),
            Shape::Slots => Form::Slots(limit),
        };
        let booked = match (&form, policy.booking) {
            (Form::Slots(_), _) | (_, Booking::Completion) => Booked::Held,
            (_, Booking::Arrival) => Booked::Refunded,
            (_, Booking::ArrivalKept) => Booked::Kept,
        };
        Self {
            policy: index,
            unit: quota.unit(),
            manner: Manner {
                booked,
                counting: policy.counting,
                plain: policy.counting == Counting::PLAIN,
            },
            refuses: policy.refuses,
            form,
            tightening: policy
                .pace
                .map_or_else(Tightening::default, Tightening::told),
            shared: policy.shared,
            climb: policy
                .adaptive
                .map(|(floor, ceiling)| Climb::new(floor, ceiling)),
            trusting: policy.trusting,
        }
    }

    /// Whether every grant holds back the next one.
    #[inline]
    pub(crate) const fn spaces_grants(&self) -> bool {
        self.tightening.is_on() || self.climb.is_some()
    }

    /// The units that a call takes.
    #[inline]
    pub(crate) fn units(&self, amounts: &Amounts) -> u64 {
        self.manner.units(self.unit, amounts)
    }

    /// The most that one call can ever take.
    pub(crate) const fn capacity(&self) -> u64 {
        match &self.form {
            Form::Bucket(rate) => rate.burst,
            _ => self.limit(),
        }
    }

    pub(crate) const fn limit(&self) -> u64 {
        match &self.form {
            Form::Bucket(rate) => rate.limit,
            Form::Window(frame) => frame.limit,
            Form::Sliding(span) => span.limit,
            Form::Slots(limit) => *limit,
        }
    }

    pub(crate) const fn window_nanos(&self) -> u64 {
        match &self.form {
            Form::Bucket(rate) => rate.window,
            Form::Window(frame) => frame.window,
            Form::Sliding(span) => span.window,
            Form::Slots(_) => 0,
        }
    }

    /// The same with another limit; a bucket's burst is then no more than that.
    pub(crate) fn limited(&self, limit: u64) -> Self {
        let mut lowered = self.clone();
        match &mut lowered.form {
            Form::Bucket(rate) => *rate = rate.limited(limit),
            Form::Window(frame) => frame.limit = limit,
            Form::Sliding(span) => span.limit = limit,
            Form::Slots(slots) => *slots = limit,
        }
        lowered
    }
}
