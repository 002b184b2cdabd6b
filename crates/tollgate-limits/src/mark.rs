//! `Mark`: the books as a call found them, against which news is held.

use crate::terms::{Form, Terms};

/// A meter's books as a call left them when it was reserved. Together with today's `learned` it gives the use at the reservation
/// plus everything learned since, without keeping a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    // Unit-nanoseconds in a bucket, as the upper and the lower half of an i128, otherwise units: dividing is for those who ask.
    counted: [u64; 2],
    // Held less learned, modulo 2^64.
    pub(crate) rest: u64,
}

impl Mark {
    pub(crate) const fn new(counted: i128, rest: u64) -> Self {
        let counted = counted.cast_unsigned();
        Self {
            counted: [(counted >> 64) as u64, counted as u64],
            rest,
        }
    }

    /// The same as if the call had not been reserved, which took so many units.
    pub(crate) const fn without(mut self, units: u64) -> Self {
        self.rest = self.rest.wrapping_sub(units);
        self
    }

    /// The same under other terms.
    pub(crate) fn changed(self, old: &Terms, new: &Terms) -> Self {
        let counted = match (&old.form, &new.form) {
            (Form::Bucket(from), Form::Bucket(to)) if from.window == to.window => return self,
            (_, Form::Bucket(rate)) => rate.scaled(self.used(old)),
            _ => self.used(old).into(),
        };
        Self::new(counted, self.rest)
    }

    /// Units counted when the mark was made, as the policy's window measures them.
    pub(crate) fn used(self, terms: &Terms) -> u64 {
        let [high, low] = self.counted;
        match &terms.form {
            Form::Bucket(rate) => {
                rate.used((u128::from(high) << 64 | u128::from(low)).cast_signed())
            }
            _ => low,
        }
    }
}
