//! `Policy` (a named quota and the calls it applies to) and `Plan`, the validated set of them.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use crate::{Counting, Labels, Quota, QuotaError, Shape, tick::nanos};

/// When the provider books a call against the quota, and whether it gives back what was not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Booking {
    /// On arrival, with the reserved amount; the unused rest is given back, dated to the arrival.
    #[default]
    Arrival,
    /// On arrival, with the reserved amount; the unused rest is kept (a provider that charges `max_tokens` whatever comes of it).
    ArrivalKept,
    /// On completion, with the amount used. The reservation is held beside the level while the call runs: it neither drains nor
    /// ages out.
    Completion,
}

/// A named quota with the calls it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) name: Arc<str>,
    pub(crate) quota: Quota,
    pub(crate) margin: u64,
    pub(crate) booking: Booking,
    pub(crate) counting: Counting,
    pub(crate) refuses: bool,
    pub(crate) pace: Option<u64>,
    pub(crate) shared: bool,
    pub(crate) trusting: bool,
    pub(crate) adaptive: Option<(u64, u64)>,
    pub(crate) matches: Vec<Match>,
    pub(crate) partition: Vec<Arc<str>>,
}

/// One condition on a call's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    label: Arc<str>,
    patterns: Vec<String>,
}

impl Policy {
    /// Margin for arrival jitter where none is set: what left 60.00 s apart can arrive 59.9 s apart.
    pub const DEFAULT_MARGIN: Duration = Duration::from_millis(100);

    /// A policy over all calls, unpartitioned, booked on arrival, with the default margin (less for windows too short for it).
    #[must_use]
    pub fn new(name: &str, quota: Quota) -> Self {
        let margin = nanos(Self::DEFAULT_MARGIN).min(widest_margin(&quota) / 4);
        Self {
            name: name.into(),
            quota,
            margin,
            booking: Booking::Arrival,
            counting: Counting::PLAIN,
            refuses: false,
            pace: None,
            shared: true,
            trusting: false,
            adaptive: None,
            matches: Vec::new(),
            partition: Vec::new(),
        }
    }

    /// Applies only to calls whose `label` equals one of `patterns`; a pattern ending in `*` matches by prefix. Several calls of
    /// this method must all match. A call without the label does not match.
    #[must_use]
    pub fn only(
        mut self,
        label: &str,
        patterns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.matches.push(Match {
            label: label.into(),
            patterns: patterns.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// Gives each value of `label` a share of its own, with the whole limit each. Calls without the label share one.
    #[must_use]
    pub fn per(mut self, label: &str) -> Self {
        self.partition.push(label.into());
        self
    }

    /// When the provider books a call. Slots are held while the call runs, whatever is set here.
    #[must_use]
    pub const fn booking(mut self, booking: Booking) -> Self {
        self.booking = booking;
        self
    }

    /// How it counts what a call takes.
    #[must_use]
    pub const fn counting(mut self, counting: Counting) -> Self {
        self.counting = counting;
        self
    }

    /// Refuses calls once the quota is spent, instead of letting them wait for the next window: what a budget does. A call still
    /// waits where only calls in flight stand in its way, since they may use less than was reserved for them.
    #[must_use]
    pub const fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// Spaces grants at `pace` units per window from the start, as a policy does that has been tightened by refusals
    /// ([`crate::Ledger::throttled`]): for a rule of the provider's that is known to want it. Between 1 and the limit; slots have none.
    ///
    /// # Errors
    /// [`QuotaError::Pace`] if it is zero, above the limit, or the quota is one of slots.
    pub fn paced(mut self, pace: u64) -> Result<Self, QuotaError> {
        if pace == 0 || pace > self.quota.limit() || matches!(self.quota.shape(), Shape::Slots) {
            return Err(QuotaError::Pace { pace });
        }
        self.pace = Some(pace);
        Ok(self)
    }

    /// Searches for a limit that is not known: the quota's is where it starts, and it ends up below the one at which the provider
    /// refuses, between `floor` and `ceiling`. Each partition searches for itself. Grants are spaced at the limit; calls that need more
    /// units than `floor` may have to wait until it is high enough. Tell the ledger of refusals with [`crate::Ledger::throttled`].
    ///
    /// # Errors
    /// [`QuotaError::Adaptive`] unless 1 <= `floor` <= the quota's limit <= `ceiling` <= [`Quota::MAX_LIMIT`].
    pub fn adaptive(mut self, floor: u64, ceiling: u64) -> Result<Self, QuotaError> {
        let limit = self.quota.limit();
        if floor == 0 || floor > limit || limit > ceiling || ceiling > Quota::MAX_LIMIT {
            return Err(QuotaError::Adaptive { floor, ceiling });
        }
        self.adaptive = Some((floor, ceiling));
        Ok(self)
    }

    /// Takes over a limit that a response reports even if it is higher than the quota's. A lower one always wins.
    #[must_use]
    pub const fn trusting(mut self) -> Self {
        self.trusting = true;
        self
    }

    /// Expects nobody else to use the quota: use by others that a response shows is booked, but no room is left free for more of it
    /// and calls are not spaced for it.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.shared = false;
        self
    }

    /// The same with another limit. A bucket's burst follows it where it was the limit itself, and a pace where it is above it.
    ///
    /// # Errors
    /// If the limit is zero or too large, or the margin or the bounds of a search do not go together with it.
    pub fn with_limit(mut self, limit: u64) -> Result<Self, QuotaError> {
        self.quota = self.quota.with_limit(limit)?;
        self.pace = self.pace.map(|pace| pace.min(limit));
        if let Some((floor, ceiling)) = self.adaptive {
            self = self.adaptive(floor, ceiling)?;
        }
        let margin = Duration::from_nanos(self.margin);
        self.margin(margin)
    }

    /// How far arrival times may drift apart on the way to the provider. Zero trusts every instant to the nanosecond.
    /// Saturated calls lose about `margin / window` of the quota to it.
    ///
    /// # Errors
    /// [`QuotaError::Margin`] if it leaves no room in the quota's window.
    pub fn margin(mut self, margin: Duration) -> Result<Self, QuotaError> {
        if nanos(margin) > 0 && nanos(margin) >= widest_margin(&self.quota) {
            return Err(QuotaError::Margin { margin });
        }
        self.margin = nanos(margin);
        Ok(self)
    }

    /// The policy's name in errors, events and telemetry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its quota.
    #[must_use]
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The labels that it looks at: those that calls must match, and those that it is partitioned by.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let matched = self.matches.iter().map(|m| &*m.label);
        matched.chain(self.partition.iter().map(|label| &**label))
    }

    /// When the provider books a call against it.
    #[must_use]
    pub const fn booked(&self) -> Booking {
        self.booking
    }

    /// How it counts what a call takes.
    pub const fn counted(&self) -> Counting {
        self.counting
    }

    /// Whether it refuses calls once the quota is spent.
    #[must_use]
    pub const fn is_refusing(&self) -> bool {
        self.refuses
    }

    /// Whether units count as they stand and are booked on arrival; slots have no other way.
    pub(crate) fn is_plain(&self) -> bool {
        let on_arrival = self.booking != Booking::Completion || *self.quota.shape() == Shape::Slots;
        on_arrival && self.counting == Counting::PLAIN
    }

    /// Whether it applies to a call with these labels.
    #[must_use]
    pub fn applies_to(&self, labels: &Labels) -> bool {
        self.matches.iter().all(|m| {
            labels
                .get(&m.label)
                .is_some_and(|value| m.patterns.iter().any(|p| pattern_matches(p, value)))
        })
    }
}

fn pattern_matches(pattern: &str, value: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == value, |prefix| value.starts_with(prefix))
}

/// The first margin that is too wide for a quota, in nanoseconds.
fn widest_margin(quota: &Quota) -> u64 {
    match quota.shape() {
        Shape::Slots => u64::MAX,
        Shape::Sliding => quota.window_nanos(),
        Shape::Window(_) => quota.window_nanos() / 2,
        Shape::Bucket { burst } => {
            let refill =
                u128::from(*burst) * u128::from(quota.window_nanos()) / u128::from(quota.limit());
            u64::try_from(refill).unwrap_or(u64::MAX)
        }
    }
}

/// A validated set of policies. A call takes from every policy that applies to it, or from none.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    policies: Arc<[Policy]>,
}

impl Plan {
    /// The most policies in a plan, and so the most that one call can take from.
    pub const MAX_POLICIES: usize = 64;

    /// Checks that names are present and unique. An empty plan admits everything.
    ///
    /// # Errors
    /// [`QuotaError::Name`] or [`QuotaError::TooManyPolicies`].
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Result<Self, QuotaError> {
        let policies: Vec<Policy> = policies.into_iter().collect();
        if policies.len() > Self::MAX_POLICIES {
            return Err(QuotaError::TooManyPolicies);
        }
        for (i, policy) in policies.iter().enumerate() {
            if policy.name.is_empty() || policies[..i].iter().any(|p| p.name == policy.name) {
                return Err(QuotaError::Name);
            }
        }
        Ok(Self {
            policies: policies.into(),
        })
    }

    /// Its policies, in the order given.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }
}
